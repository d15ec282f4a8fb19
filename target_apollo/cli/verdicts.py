"""Where map-apollo-leads has written its verdicts, for the commands that read them."""

from __future__ import annotations

import os
from pathlib import Path

from target_apollo.cli.options import CommandFailed
from target_apollo.config.meltano import settings_of_project
from target_apollo.config.meltano_project import PluginKind, Project
from target_apollo.mapper.settings import VERDICTS_PATH
from target_apollo.sync.exit import MISCONFIGURED

#: The environment variable with the mapper's setting `verdicts_path`.
VERDICTS_VARIABLE = "MAP_APOLLO_LEADS_VERDICTS_PATH"
_SETTING = "verdicts_path"


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
