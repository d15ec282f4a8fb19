"""The command `apollo-sync explain`: why a lead was not sent, and where the verdicts are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from target_apollo.cli.options import FILE, ApolloCommand, CommandFailed
from target_apollo.config.meltano import settings_of_project
from target_apollo.config.meltano_project import PluginKind, Project
from target_apollo.mapper.explain import NoVerdict, explain
from target_apollo.mapper.settings import VERDICTS_PATH
from target_apollo.sync.exit import MISCONFIGURED

#: The environment variable with the mapper's setting `verdicts_path`.
VERDICTS_VARIABLE = "MAP_APOLLO_LEADS_VERDICTS_PATH"
_SETTING = "verdicts_path"


# A key may be a negative number, which click must not take for an option.
@click.command(cls=ApolloCommand, context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.option(
    "--verdicts",
    type=FILE,
    metavar="PATH",
    help="the mapper's verdicts_path (default: that of the mapper in the Meltano project around "
    f"this folder; outside a project ${VERDICTS_VARIABLE}, else {VERDICTS_PATH})",
)
@click.option(
    "--environment",
    metavar="NAME",
    help="Meltano's environment (default: $MELTANO_ENVIRONMENT, else the project's default)",
)
def command(key: str, verdicts: str | None, environment: str | None) -> int:
    """Says what map-apollo-leads decided last about the lead with this KEY.

    It names the rules that decided, and the values that they saw. A key of several properties is
    written with commas between its values. Exit codes: 0 shown; 1 there is no verdict on that lead.
    """
    path = Path(verdicts) if verdicts is not None else verdicts_path(environment)
    try:
        explanation = explain(path, key)
    except NoVerdict as unknown:
        raise CommandFailed(str(unknown)) from None
    sys.stdout.write(f"{explanation}\n")
    return 0


class ManyVerdicts(CommandFailed):
    """The mappers of a Meltano project write several files of verdicts."""

    def __init__(self, root: Path, found: list[str]) -> None:
        super().__init__(
            f"The Meltano project {root} has several mappers or mappings of map-apollo-leads with "
            f"verdicts of their own ({', '.join(found)}): name the file with --verdicts.",
            exit_code=MISCONFIGURED,
        )


def verdicts_path(environment: str | None = None) -> Path:
    """The file that a run's mapper writes its verdicts to.

    In a Meltano project it is that of a mapping, else of the variable, else of the mapper's other
    settings; outside one, that of the variable. A relative path begins in the project's folder.

    Args:
        environment: Meltano's environment; None: the one that is active.

    Raises:
        ManyVerdicts: Which file is meant is not clear.
        SettingsError: The project or its settings can't be read.
    """
    variable = os.environ.get(VERDICTS_VARIABLE)
    project = Project.around_here()
    mappers = project.own_plugins(PluginKind.MAPPER) if project is not None else []
    if project is None or not mappers:
        return Path(variable or VERDICTS_PATH)
    mapped = {path for one in mappers for path in project.mapping_values(one, _SETTING)}
    if len(mapped) > 1:
        raise ManyVerdicts(project.root, sorted(mapped))
    if mapped:
        return project.root / os.path.expandvars(mapped.pop())
    if variable:
        return project.root / variable
    if len(mappers) > 1:
        raise ManyVerdicts(project.root, mappers)
    found = settings_of_project(PluginKind.MAPPER, mappers[0], environment)
    return project.root / str((found.values if found else {}).get(_SETTING) or VERDICTS_PATH)
