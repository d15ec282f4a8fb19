"""Where the target's settings come from: JSON files and environment variables.

They are read by the SDK's rules, but every problem becomes a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from target_apollo.config.given_files import ENVIRONMENT, read_object
from target_apollo.config.paths import files_of, problems_of_files
from target_apollo.config.schema import SCHEMA, add_sdk_settings, credential_problems
from target_apollo.config.sdk import parse_environment_config
from target_apollo.config.settings import Settings, SettingsError, problems_of
from target_apollo.config.source import add_source

PREFIX = "TARGET_APOLLO_"


def read_environment(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The settings from environment variables such as ``TARGET_APOLLO_API_KEY``.

    Each variable is read on its own, so that the error can name it.

    Raises:
        SettingsError: The value of a variable has not its setting's type.
    """
    config: dict[str, Any] = {}
    for name, setting in schema["properties"].items():
        try:
            config |= parse_environment_config({"properties": {name: setting}}, PREFIX)
            # The SDK leaves numbers that may have a fraction as text.
            if "number" in setting.get("type", ()) and isinstance(config.get(name), str):
                config[name] = float(config[name])
        except ValueError:
            variable = f"{PREFIX}{name.upper()}"
            raise SettingsError(
                [f"The environment variable {variable} holds no value of its setting's type."]
            ) from None
    return config


def read_settings(sources: Sequence[str], *, asks_apollo: bool = True) -> Settings:
    """The settings that the target would run with, typed. Arguments and errors as `read_config`."""
    return Settings.of(read_config(sources, asks_apollo=asks_apollo))


def read_config(sources: Sequence[str], *, asks_apollo: bool = True) -> dict[str, Any]:
    """The settings that the target would run with, checked as it checks them.

    Args:
        sources: Paths of JSON files, a later one wins, and ``ENV`` for the environment, which wins
            over the files. Without any source, the environment.
        asks_apollo: Whether credentials are needed.

    Raises:
        SettingsError: A file can't be read, settings are wrong, or name files that are unfit for
            their use (a sentence for each).
    """
    schema: dict[str, Any] = {**SCHEMA, "properties": dict(SCHEMA["properties"])}
    add_sdk_settings(schema)
    config: dict[str, Any] = {}
    for source in sources:
        if source != ENVIRONMENT:
            config |= read_object(source)
    if not sources or ENVIRONMENT in sources:
        config |= read_environment(schema)
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
