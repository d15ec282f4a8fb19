"""Where the target's settings come from: JSON files, environment variables, a Meltano project.

Every problem becomes a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from target_apollo.config.environment import prefix_of, read_environment
from target_apollo.config.given_files import ENVIRONMENT, read_object
from target_apollo.config.meltano import (
    MeltanoSettings,
    settings_of_command,
    settings_of_project,
)
from target_apollo.config.meltano_project import PluginKind
from target_apollo.config.paths import files_of, problems_of_files
from target_apollo.config.schema import SCHEMA, add_sdk_settings, credential_problems
from target_apollo.config.settings import Settings, SettingsError, problems_of
from target_apollo.config.source import add_source
from target_apollo.config.typed_values import with_types

PREFIX = prefix_of("target-apollo")

#: The path of a JSON file, ``ENV`` for the environment, or a plugin's settings in Meltano.
Source: TypeAlias = str | MeltanoSettings


def read_settings(sources: Sequence[Source], *, asks_apollo: bool = True) -> Settings:
    """The settings that the target would run with, typed. Arguments and errors as `read_config`."""
    return Settings.of(read_config(sources, asks_apollo=asks_apollo))


def read_config(sources: Sequence[Source], *, asks_apollo: bool = True) -> dict[str, Any]:
    """The settings that the target would run with, checked as it checks them.

    Args:
        sources: Paths of JSON files and plugins' settings, a later one wins, and ``ENV`` for the
            environment, which wins over both. Without any source, the environment.
        asks_apollo: Whether credentials are needed.

    Raises:
        SettingsError: A file can't be read, settings are wrong, or name files that are unfit for
            their use (a sentence for each).
    """
    schema = _whole_schema()
    config: dict[str, Any] = {}
    for source in sources:
        if isinstance(source, MeltanoSettings):
            config |= source.values
        elif source != ENVIRONMENT:
            config |= read_object(source)
    if not sources or ENVIRONMENT in sources:
        config |= read_environment(schema, PREFIX)
    config = with_types(config, schema)
    problems = problems_of(config, schema)
    if not asks_apollo:
        of_credentials = credential_problems(config)
        problems = [problem for problem in problems if problem not in of_credentials]
    if problems and not config:
        problems.append(f"Give a settings file with --config, or set {PREFIX}API_KEY.")
    if problems:
        raise SettingsError(problems)
    for name, setting in schema["properties"].items():
        if "default" in setting and config.get(name) is None:
            config[name] = setting["default"]
    add_source(config)
    unfit = problems_of_files(files_of(config, sources))
    if unfit:
        raise SettingsError(unfit)
    return config


def source_in_meltano(
    plugin: str | None = None,
    environment: str | None = None,
    kind: PluginKind = PluginKind.LOADER,
) -> MeltanoSettings | None:
    """A plugin's settings in Meltano; None outside a project with such a plugin of this package.

    In a command of the loader, such as ``meltano invoke target-apollo:check``, they are what
    Meltano has given it.

    Args:
        plugin: The name of the plugin, where the project has several.
        environment: Meltano's environment; None: the one that is active.
        kind: The kind of plugin.

    Raises:
        SettingsError: There are several plugins or none of that name, or the settings can't be
            read.
    """
    given = settings_of_command(_whole_schema())
    if given is None:
        return settings_of_project(kind, plugin, environment)
    if plugin not in (None, given.plugin) or environment not in (None, given.environment):
        raise SettingsError(
            [
                "Meltano has chosen plugin and environment before this command: name them as in "
                "`meltano --environment=prod invoke target-apollo:check`, without --plugin and "
                "--environment."
            ]
        )
    return given


def _whole_schema() -> dict[str, Any]:
    schema: dict[str, Any] = {**SCHEMA, "properties": dict(SCHEMA["properties"])}
    add_sdk_settings(schema)
    return schema
