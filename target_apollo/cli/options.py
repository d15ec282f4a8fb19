"""What the commands of `apollo-sync` have in common: options, and how they end with an error.

An option is a decorator. A command that can't do its work raises; its user sees sentences on
standard error and an exit code, never a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from target_apollo.model.objects import ObjectKind

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

#: A path that shells complete. Whoever opens the file says what is wrong with it, so that click
#: looks at nothing before.
FILE = click.Path(readable=False)

#: Values: `sources`, as `target_apollo.config.sources.read_config` takes them.
config_option = click.option(
    "--config",
    "sources",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="JSON file with the target's settings, a later one wins; ENV for the environment "
    "variables TARGET_APOLLO_… (the default without any --config)",
)

#: Value: `wants_json`.
json_option = click.option(
    "--json", "wants_json", is_flag=True, help="print one JSON object instead"
)


def object_option(about: str) -> Callable[[_Decorated], _Decorated]:
    """The option `--object`, which may be given more than once.

    Its value is `kinds`: the kinds of object that are asked for, all without the option.

    Args:
        about: Its help.
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
    """A command can't do its work, for reasons that its user can see or mend.

    Args:
        sentences: What stands on standard error, a line each.
        exit_code: The exit code of the process; those of a run mean the same here.
    """

    def __init__(self, *sentences: str, exit_code: int = 1) -> None:
        super().__init__("\n".join(sentences))
        self.exit_code = exit_code


class ApolloCommand(click.Command):
    """A command that ends with sentences and an exit code, where what it raises is expected.

    Expected are `CommandFailed`, wrong settings, and that Apollo can't be asked.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Carries the command out, and returns its exit code."""
        try:
            return super().invoke(ctx)
        except Exception as problem:
            failure = _failure_of(problem)
            if failure is None:
                raise
            click.echo(str(failure), err=True)
            return failure.exit_code


def _failure_of(problem: Exception) -> CommandFailed | None:
    """What an expected exception means to the user; None for another one."""
    if isinstance(problem, CommandFailed):
        return problem
    # Commands that raise these have them loaded; to load them takes others half a second.
    from singer_sdk.exceptions import ConfigValidationError

    from target_apollo.apollo import ApolloError
    from target_apollo.config.settings import SettingsError
    from target_apollo.sync.exit import FAILED, MISCONFIGURED, ending_of

    if isinstance(problem, SettingsError):
        return CommandFailed(*problem.problems, exit_code=MISCONFIGURED)
    if isinstance(problem, ConfigValidationError):
        return CommandFailed(*problem.errors, exit_code=MISCONFIGURED)
    if isinstance(problem, ApolloError):
        ending = ending_of(problem, 0)
        return CommandFailed(str(problem), exit_code=FAILED if ending is None else ending.exit_code)
    return None
