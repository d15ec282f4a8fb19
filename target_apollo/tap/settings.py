"""The tap's settings: those of the target that say where Apollo and the ledger are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from singer_sdk import Target

from target_apollo.config import schema as credential_settings
from target_apollo.config.environment import prefix_of, read_environment
from target_apollo.config.given_files import ENVIRONMENT, read_object
from target_apollo.config.meltano import MeltanoSettings
from target_apollo.config.schema import SCHEMA as TARGET_SCHEMA
from target_apollo.config.settings import Settings, SettingsError, problems_of
from target_apollo.config.sources import PREFIX as TARGET_PREFIX
from target_apollo.config.sources import Source

NAME = "tap-apollo-sync"

PREFIX = prefix_of(NAME)

_SHARED = (
    *(p.name for p in credential_settings.PROPERTIES),
    "api_url",
    "ledger_url",
    "quota_share",
    "quota_percent",
    "max_wait_seconds",
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: TARGET_SCHEMA["properties"][name] for name in _SHARED},
}


def read_config(sources: Sequence[Source]) -> dict[str, Any]:
    """The settings from files, Meltano and the environment, unchecked and without defaults.

    Args:
        sources: Paths and plugins' settings, of which a later one wins, and ``ENV``: the variables
            ``TARGET_APOLLO_…`` win over the files, ``TAP_APOLLO_SYNC_…`` over both. Without any
            source, ``ENV``.

    Raises:
        SettingsError: A file can't be read, or a variable has not its setting's type.
    """
    config: dict[str, Any] = {}
    for source in sources:
        if isinstance(source, MeltanoSettings):
            config |= source.values
        elif source != ENVIRONMENT:
            config |= read_object(source, "settings")
    if not sources or ENVIRONMENT in sources:
        for prefix in (TARGET_PREFIX, PREFIX):
            config |= read_environment(SCHEMA, prefix)
    return config


def config_problems(config: Mapping[str, Any]) -> list[str]:
    """A sentence for every setting that is wrong, or that neither the tap nor the target has.

    The target's other settings are allowed, so that one file can serve both. Missing credentials
    are no problem here, since the ledger is read without them.
    """
    schema: dict[str, Any] = {"properties": dict(TARGET_SCHEMA["properties"])}
    Target.append_builtin_config(schema)
    foreign = [name for name in schema["properties"] if name not in SCHEMA["properties"]]
    own = {name: value for name, value in config.items() if name not in foreign}
    later = credential_settings.credential_problems(own)
    return [problem for problem in problems_of(own, SCHEMA) if problem not in later]


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The tap's settings of a config, with defaults where they are not set."""
    filled = {}
    for name, setting in SCHEMA["properties"].items():
        value = config.get(name)
        if value is None:
            value = setting.get("default")
        if value is not None:
            filled[name] = value
    return filled


def target_settings(config: Mapping[str, Any]) -> Settings:
    """The typed settings of the target, with the tap's config and defaults for all others.

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
