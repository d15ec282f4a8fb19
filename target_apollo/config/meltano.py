"""The settings of a plugin as Meltano gives them to a run, for the commands around it.

Meltano is asked, since it alone knows which value counts: variables and ``.env`` go before an
environment of ``meltano.yml``, that before the plugin, and that before the one it inherits from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess  # nosec B404 - Meltano, with arguments of our own
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dotenv import load_dotenv

from target_apollo.config.meltano_project import PluginKind, Project
from target_apollo.config.meltano_variables import loader_of_command, read_variables
from target_apollo.config.settings import SettingsError

_ENVIRONMENT = "MELTANO_ENVIRONMENT"
_LONGEST_SECONDS = 60
#: What Meltano says on standard error that is worth repeating; nothing else of it is shown, since a
#: traceback may hold a secret.
_REASONS = (
    re.compile(r"Environment '[^']+' was not found"),
    re.compile(r"Environment variable '[^']+' referenced but not set"),
    re.compile(r"Plugin '[^']+' is not known to Meltano"),
)


@dataclass(frozen=True)
class MeltanoSettings:
    """Where settings come from, besides files and variables: a plugin of a Meltano project.

    Attributes:
        project: The project.
        plugin: The plugin's name, which may be an inherited one.
        environment: Meltano's environment; empty: none.
        values: The settings.
    """

    project: Project
    plugin: str
    environment: str
    values: Mapping[str, Any] = field(repr=False)

    @property
    def told(self) -> str:
        """Where the settings come from, as a sentence."""
        where = f"environment {self.environment}" if self.environment else "no environment"
        return f"Settings: {self.plugin} of the Meltano project {self.project.root}, {where}."


def settings_of_command(schema: Mapping[str, Any]) -> MeltanoSettings | None:
    """The settings of the loader whose command this process is; None in any other process.

    Args:
        schema: That of the target, with the SDK's settings.

    Raises:
        SettingsError: They can't be read.
    """
    plugin = loader_of_command(os.environ)
    project = Project.around_here() if plugin else None
    if project is None:
        return None
    values = read_variables(schema, os.environ)
    return MeltanoSettings(project, plugin, os.environ.get(_ENVIRONMENT, ""), values)


def settings_of_project(
    kind: PluginKind, plugin: str | None = None, environment: str | None = None
) -> MeltanoSettings | None:
    """The settings of this package's plugin in the project around the working folder.

    None if there is no project, or it has no such plugin.

    Args:
        kind: The kind of plugin.
        plugin: Its name, where the project has several.
        environment: Meltano's environment; None: that of ``MELTANO_ENVIRONMENT``, else the default.

    Raises:
        SettingsError: There are several such plugins or none of that name, or Meltano can't tell
            the settings.
    """
    project = Project.around_here()
    if project is None:
        if plugin or environment:
            raise SettingsError(
                ["There is no meltano.yml here or above, which --plugin and --environment need."]
            )
        return None
    own = project.own_plugins(kind)
    where = f"The Meltano project {project.root} has"
    if plugin is not None and plugin not in own:
        others = f"; it has {', '.join(own)}" if own else ""
        raise SettingsError(
            [f"{where} no {kind.singular} {plugin} of {kind.package_name}{others}."]
        )
    if plugin is None and len(own) > 1:
        raise SettingsError(
            [f"{where} several {kind.plural} of {kind.package_name}: name one of {', '.join(own)} "
             "with --plugin."]
        )  # fmt: skip
    if not own:
        return None
    return _asked(project, kind, plugin or own[0], environment)


def _asked(
    project: Project, kind: PluginKind, plugin: str, environment: str | None
) -> MeltanoSettings:
    executable = shutil.which("meltano")
    otherwise = "give settings with --config FILE, or --config ENV for variables alone"
    if executable is None:
        raise SettingsError(
            [f"The settings of {plugin} are in the Meltano project {project.root}, and there is no "
             f"meltano on the PATH to ask for them: put it there, or {otherwise}."]
        )  # fmt: skip
    command = [executable, *([f"--environment={environment}"] if environment else []), "invoke"]
    command += ["--no-install", f"--plugin-type={kind.singular}", "--dump=config"]
    command += [f"--print-var={_ENVIRONMENT}", plugin]
    try:
        done = subprocess.run(  # noqa: S603  # nosec B603 - no shell
            command,
            cwd=project.root,
            env={**os.environ, "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SettingsError(
            [f"Meltano has not told the settings of {plugin} within {_LONGEST_SECONDS} seconds: "
             f"try again, or {otherwise}."]
        ) from None  # fmt: skip
    except OSError as problem:
        raise SettingsError(
            [f"Meltano ({executable}) can't be started: {problem.strerror}. Mend that, or "
             f"{otherwise}."]
        ) from None  # fmt: skip
    head, brace, rest = done.stdout.partition("{")
    try:
        values = json.loads(brace + rest) if done.returncode == 0 else None
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise SettingsError(
            [f"Meltano can't tell the settings of {plugin} in the project {project.root}"
             f"{_reason(done.stderr)}. `meltano invoke --dump=config {plugin}` there says more."]
        )  # fmt: skip
    # As in a run, a proxy or certificates may be named in the project's file.
    load_dotenv(project.root / ".env", override=False)
    found = re.search(rf"^{_ENVIRONMENT}=(.*)$", head, re.MULTILINE)
    name = found[1] if found and found[1] != "None" else ""
    return MeltanoSettings(project, plugin, name, values)


def _reason(log: str) -> str:
    """What Meltano's log gives as the reason, as the end of a clause; empty if that is unknown."""
    plain = re.sub(r"\s+", " ", log)
    found = next(filter(None, (reason.search(plain) for reason in _REASONS)), None)
    return f": {found[0]}" if found else ""
