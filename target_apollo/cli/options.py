"""Options that the commands of `apollo-sync` share, and how a command ends with an error.

An option is a decorator. A command that can't do its work raises an exception, of which its user
sees sentences on standard error and an exit code, but no traceback.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from target_apollo.model.objects.registry import ObjectKind
from target_apollo.system.shown import printable

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

#: A path that shells complete. Click does not check it, since the code that opens the file has a
#: better sentence for what is wrong with it.
FILE = click.Path(readable=False)

#: In place of a path: the environment, or standard input.
_NO_PATHS = ("ENV", "-")

_SETTINGS_OPTIONS = (
    click.option(
        "--config",
        "sources",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="JSON file with the target's settings, a later one wins; ENV for the environment "
        "variables TARGET_APOLLO_…. Without any --config: the settings of the loader in the "
        "Meltano project around this folder; outside a project, the variables",
    ),
    click.option(
        "--plugin",
        metavar="NAME",
        help="the loader of the Meltano project, where it has several of target-apollo",
    ),
    click.option(
        "--environment",
        metavar="NAME",
        help="Meltano's environment (default: $MELTANO_ENVIRONMENT, else the project's default)",
    ),
)


def config_option(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say where a command takes the target's settings from.

    Its value is `sources`, as `target_apollo.config.sources.read_config` takes them. In a Meltano
    project the command runs in the project's folder: paths in settings begin there.
    """

    @functools.wraps(command)
    def with_sources(
        *, sources: Sequence[str], plugin: str | None, environment: str | None, **values: Any
    ) -> int:
        # Imported here, since the import takes half a second: help and completion need no settings.
        from target_apollo.config.sources import Source, source_in_meltano

        if sources and (plugin or environment):
            raise click.UsageError(
                "--plugin and --environment choose settings in place of --config."
            )
        chosen: Sequence[Source] = sources
        found = None if sources else source_in_meltano(plugin, environment)
        if found is not None:
            click.echo(printable(found.told), err=True)
            values |= _paths_from_here(found.project.root)
            chosen = (found,)
        return command(sources=chosen, **values)

    for option in reversed(_SETTINGS_OPTIONS):
        with_sources = option(with_sources)
    return with_sources


def _paths_from_here(root: Path) -> dict[str, Any]:
    """Changes to a folder; returns the paths of the command line as they are named from there."""
    here = Path.cwd()
    if here == root:
        return {}
    named = dict(_named_paths(click.get_current_context(), here))
    os.chdir(root)
    return named


def _named_paths(context: click.Context, here: Path) -> Iterator[tuple[str, str]]:
    for parameter in context.command.params:
        name = parameter.name or ""
        path = context.params.get(name)
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if parameter.type is FILE and given and isinstance(path, str) and path not in _NO_PATHS:
            yield name, str(here / path)


#: Value: `wants_json`.
json_option = click.option(
    "--json", "wants_json", is_flag=True, help="print one JSON object instead"
)


def object_option(about: str) -> Callable[[_Decorated], _Decorated]:
    """The option `--object`, which may be given more than once.

    Its value is `kinds`: the given kinds of object; without the option, all of them.

    Args:
        about: The help of the option.
    """
    return click.option(
        "--object",
        "kinds",
        type=click.Choice([kind.value for kind in ObjectKind]),
        multiple=True,
        callback=_kinds,
        help=about,
    )


def _kinds(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    names: Sequence[str],
) -> list[ObjectKind]:
    return [ObjectKind(name) for name in names] or list(ObjectKind)


class CommandFailed(Exception):
    """A command can't do its work, for a reason that its user can solve.

    Args:
        sentences: The lines for standard error.
        exit_code: The exit code of the process, with the meaning that it has for a run.
    """

    def __init__(self, *sentences: str, exit_code: int = 1) -> None:
        super().__init__("\n".join(map(printable, sentences)))
        self.exit_code = exit_code


class ApolloCommand(click.Command):
    """A command that turns expected exceptions into sentences and an exit code.

    Expected are `CommandFailed`, the errors of wrong settings, `RunError` and `ApolloError`.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command and returns its exit code."""
        try:
            return super().invoke(ctx)
        except Exception as problem:
            failure = _failure_of(problem)
            if failure is None:
                raise
            click.echo(str(failure), err=True)
            return failure.exit_code


def _failure_of(problem: Exception) -> CommandFailed | None:
    """The sentences and exit code for an expected exception; None for any other exception."""
    if isinstance(problem, CommandFailed):
        return problem
    # Imported here, since the import takes half a second: a command that raises one of these has
    # imported them already.
    from singer_sdk.exceptions import ConfigValidationError

    from target_apollo.apollo import ApolloError
    from target_apollo.config.settings import SettingsError
    from target_apollo.sync.exit import FAILED, MISCONFIGURED, RunError, ending_of

    if isinstance(problem, SettingsError):
        return CommandFailed(*problem.problems, exit_code=MISCONFIGURED)
    if isinstance(problem, ConfigValidationError):
        return CommandFailed(*problem.errors, exit_code=MISCONFIGURED)
    if isinstance(problem, RunError):
        return CommandFailed(str(problem), exit_code=problem.exit_code)
    if isinstance(problem, ApolloError):
        ending = ending_of(problem, 0)
        return CommandFailed(str(problem), exit_code=FAILED if ending is None else ending.exit_code)
    return None
