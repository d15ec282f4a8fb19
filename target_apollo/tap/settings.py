"""The tap's settings: those of the target that say where Apollo and the ledger are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from singer_sdk import Target

from target_apollo.config.environment import prefix_of
from target_apollo.config.schema import CREDENTIALS
from target_apollo.config.schema import SCHEMA as TARGET_SCHEMA
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import PREFIX as TARGET_PREFIX
from target_apollo.config.sources import Source, given_settings
from target_apollo.config.validation import credential_problems, problems_of, with_defaults

NAME = "tap-apollo-sync"

PREFIX = prefix_of(NAME)

_SHARED = (
    *(p.name for p in CREDENTIALS),
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
        sources: As `given_settings` takes them. Of the variables, ``TAP_APOLLO_SYNC_…`` win over
            ``TARGET_APOLLO_…``.

    Raises:
        SettingsError: As `given_settings`.
    """
    return given_settings(sources, SCHEMA, TARGET_PREFIX, PREFIX)


def config_problems(config: Mapping[str, Any]) -> list[str]:
    """A sentence for every setting that is wrong, or that neither the tap nor the target has.

    The target's other settings are allowed, so that one file can serve both. Missing credentials
    are no problem here, since the ledger is read without them.
    """
    schema: dict[str, Any] = {"properties": dict(TARGET_SCHEMA["properties"])}
    Target.append_builtin_config(schema)
    foreign = [name for name in schema["properties"] if name not in SCHEMA["properties"]]
    own = {name: value for name, value in config.items() if name not in foreign}
    later = credential_problems(own)
    return [problem for problem in problems_of(own, SCHEMA) if problem not in later]


def target_settings(config: Mapping[str, Any]) -> Settings:
    """The typed settings of the target, with the tap's config and defaults for all others.

    Raises:
        SettingsError: There are no credentials, or two kinds of them.
    """
    missing = credential_problems(config)
    if missing:
        raise SettingsError(missing)
    return Settings.of(with_defaults(config, TARGET_SCHEMA))
