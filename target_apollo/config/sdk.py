"""All that this package uses of the Singer SDK without the SDK offering it.

The SDK's other names are public: their changes are announced. These may change with any release,
and `tests/config/test_sdk.py` holds each of them against the release that is installed:

``PluginBase._validate_config``
    Called as a plugin is made. The SDK's own shows values of settings, of secrets too, and lets
    unknown settings pass.
``PluginBase._config``
    The settings that it checks; `PluginBase.config` can only be read.
``PluginBase._handle_termination``
    Called for SIGINT and SIGTERM, from the moment at which a plugin is made. A target's writes all
    that is pending inside the handler, which acknowledges records that were never sent.
``Stream._increment_stream_state``
    Called for each record of a tap's stream. It moves the bookmark to the newest record, past what
    other runs have not written yet.
``singer_sdk.configuration._dict_config.parse_environment_config``
    Settings from environment variables and from a file ``.env``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import FrameType
from typing import Any, Protocol

from singer_sdk import Stream
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import PluginBase

__all__ = [
    "CheckedPlugin",
    "GivenSettings",
    "OwnBookmark",
    "parse_environment_config",
    "set_up_log",
]


class CheckedPlugin(PluginBase):
    """A plugin that checks its settings and ends on a signal in its own way."""

    @abc.abstractmethod
    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The settings to go on with, and a sentence for each of those given that is wrong."""

    @abc.abstractmethod
    def on_signal(self, signal_number: int) -> None:
        """Called in the main thread when SIGINT or SIGTERM comes."""

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self._config, problems = self.check_settings(self._config)
        if problems and raise_errors:
            raise ConfigValidationError(
                "Config validation failed", errors=problems, schema=self.config_jsonschema
            )
        return problems

    def _handle_termination(
        self,
        signum: int,
        frame: FrameType | None,  # noqa: ARG002 - the SDK's signature
    ) -> None:
        self.on_signal(signum)


class GivenSettings(Protocol):
    """What the SDK's command line makes of `--config`, whose class is private."""

    config: dict[str, Any]
    parse_env: bool


class OwnBookmark(Stream):
    """A stream of a tap that sets its bookmark itself."""

    def _increment_stream_state(
        self, latest_record: Mapping[str, Any], *, context: Mapping[str, Any] | None = None
    ) -> None:
        """Leaves the bookmark alone."""


def set_up_log(plugin: type[PluginBase]) -> None:
    """Sets up the log of a plugin that has a command of its own, as the SDK would.

    Meltano names a file by which the log becomes JSON. The SDK reads it as it makes the command.
    """
    _ = plugin.cli
