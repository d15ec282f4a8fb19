"""The tap's settings: those of the target that say where Apollo and the ledger are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from singer_sdk import Target
from singer_sdk.configuration._dict_config import parse_environment_config

from target_apollo.config import credential_settings
from target_apollo.config.environment import PREFIX as TARGET_PREFIX
from target_apollo.config.schema import SCHEMA as TARGET_SCHEMA
from target_apollo.config.settings import Settings, SettingsError, problems_of

NAME = "tap-apollo-sync"
PREFIX = "TAP_APOLLO_SYNC_"
ENVIRONMENT = "ENV"

_SHARED = (*(p.name for p in credential_settings.PROPERTIES), "api_url", "ledger_url")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: TARGET_SCHEMA["properties"][name] for name in _SHARED},
}


def read_config(sources: Sequence[str]) -> dict[str, Any]:
    """The settings from JSON files, a later one before an earlier, and from the environment.

    Args:
        sources: Paths, and ``ENV`` for the variables ``TAP_APOLLO_SYNC_…``, which go before the
            target's ``TARGET_APOLLO_…``, and those before the files; none at all is ``ENV``.

    Raises:
        SettingsError: A file can't be read.
    """
    config: dict[str, Any] = {}
    for source in sources:
        if source != ENVIRONMENT:
            config |= read_object(source, "settings")
    if not sources or ENVIRONMENT in sources:
        for prefix in (TARGET_PREFIX, PREFIX):
            config |= parse_environment_config(SCHEMA, prefix)
    return config


def read_object(path: str, what: str) -> dict[str, Any]:
    """The JSON object in a file; ``what`` names the file in sentences ("catalog").

    Raises:
        SettingsError: It can't be read or is none. Neither its words nor the parser's are shown.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as problem:
        why = f"can't be read: {problem.strerror}"
    except (ValueError, RecursionError):
        why = "is no JSON in UTF-8"
    else:
        if isinstance(content, dict):
            return content
        why = "must hold a JSON object"
    raise SettingsError([f"The {what} file {path} {why}."])


def problems(config: Mapping[str, Any]) -> list[str]:
    """A sentence for every setting that is wrong, or that neither the tap nor the target has.

    The target's other settings may stand there: one file can serve both. Missing credentials are no
    problem yet, since the ledger is read without them.
    """
    schema: dict[str, Any] = {"properties": dict(TARGET_SCHEMA["properties"])}
    Target.append_builtin_config(schema)
    foreign = [name for name in schema["properties"] if name not in SCHEMA["properties"]]
    own = {name: value for name, value in config.items() if name not in foreign}
    later = credential_settings.credential_problems(own)
    return [problem for problem in problems_of(own, SCHEMA) if problem not in later]


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The tap's part of a config, with what is not set filled in."""
    filled = {}
    for name, setting in SCHEMA["properties"].items():
        value = config.get(name)
        if value is None:
            value = setting.get("default")
        if value is not None:
            filled[name] = value
    return filled


def target_settings(config: Mapping[str, Any]) -> Settings:
    """A config of the tap as the settings by which Apollo is reached.

    Raises:
        SettingsError: There are no credentials, or two kinds of them.
    """
    missing = credential_settings.credential_problems(config)
    if missing:
        raise SettingsError(missing)
    defaults = {
        name: setting["default"]
        for name, setting in TARGET_SCHEMA["properties"].items()
        if "default" in setting
    }
    return Settings.of({**defaults, **config})
