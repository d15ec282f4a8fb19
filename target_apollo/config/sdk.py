"""The private names of the Singer SDK that this package uses.

The SDK announces changes of its public names. These private names may change with any release, so
`tests/config/test_sdk.py` tests each of them with the installed release:

``PluginBase._validate_config``
    Called when a plugin is made. The SDK's own version shows values of settings, even secrets, and
    lets unknown settings pass.
``PluginBase._config``
    The settings that it checks; `PluginBase.config` is read-only.
``PluginBase._handle_termination``
    Called for SIGINT and SIGTERM once a plugin is made. A target's version drains all sinks inside
    the handler, which acknowledges records that were never sent.
``Stream._increment_stream_state``
    Called for each record of a tap's stream. It moves the bookmark to the newest record, past rows
    that other runs have not committed yet.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar

import click
from singer_sdk import Stream
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import PluginBase

from target_apollo.config.environment import ENVIRONMENT, prefix_of
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import given_settings
from target_apollo.system import logs

_MISCONFIGURED = 2

__all__ = [
    "CheckedPlugin",
    "GivenSettings",
    "OwnBookmark",
    "set_up_log",
]


@dataclass(frozen=True)
class GivenSettings:
    """The value of `--config`, with the names that the SDK gives to its parts.

    Attributes:
        config: The settings of the files and of the environment.
        parse_env: Whether the SDK has to read the environment: it is in `config` already.
    """

    config: dict[str, Any]
    parse_env: bool = False

    @classmethod
    def read(cls, sources: tuple[str, ...], plugin: type[PluginBase]) -> GivenSettings:
        """Reads the files of a command line, a later one wins, and the environment over them.

        Raises:
            SettingsError: As `given_settings`.
        """
        if not sources:
            return cls({})
        if ENVIRONMENT in sources:
            plugin.append_builtin_config(plugin.config_jsonschema)
        return cls(given_settings(sources, plugin.config_jsonschema, prefix_of(plugin.name)))


class CheckedPlugin(PluginBase):
    """A plugin that checks its settings and ends on a signal in its own way."""

    #: The values of `--config` in the command line of this process.
    config_sources: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A plugin logs before it is made, too.
        logs.make_printable()

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ARG003
        """Reads the settings; if they can't be read, logs a sentence and exits with code 2."""
        cls.config_sources = value
        try:
            return GivenSettings.read(value, cls)
        except SettingsError as wrong:
            for sentence in wrong.problems:
                cls.logger.error("%s", sentence)
            ctx.exit(_MISCONFIGURED)

    @abc.abstractmethod
    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The settings to use, and a sentence for each wrong one among the given settings."""

    @abc.abstractmethod
    def on_signal(self, signal_number: int) -> None:
        """Handles SIGINT and SIGTERM, in the main thread."""

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


class OwnBookmark(Stream):
    """A stream of a tap that sets its bookmark itself."""

    def _increment_stream_state(
        self, latest_record: Mapping[str, Any], *, context: Mapping[str, Any] | None = None
    ) -> None:
        """Does nothing, so that the stream's own bookmark stays."""


def set_up_log(plugin: type[PluginBase]) -> None:
    """Sets up the log of a plugin with a command of its own, as the SDK does for its commands.

    Meltano gives a file that configures the log as JSON. The SDK reads it when it makes the command
    line of a plugin, so this makes the command line.
    """
    _ = plugin.cli
