"""map-apollo-leads: the command, on the SDK's `InlineMapper`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import click
import singer_sdk.singerlib as singer
from singer_sdk import InlineMapper
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities

from target_apollo.config.sdk import CheckedPlugin
from target_apollo.mapper.errors import (
    VARIABLE,
    FixedClock,
    LeadsError,
    SettingsError,
    clock_from_environment,
)
from target_apollo.mapper.pipeline import Pipeline
from target_apollo.mapper.settings import Settings, read_settings, settings_schema
from target_apollo.mapper.stdio import BlockReader, log_end, read_message, write_message


class MapApolloLeads(CheckedPlugin, InlineMapper):
    """Lets only qualified leads through to Apollo, loses none, and can explain each verdict."""

    name = "map-apollo-leads"
    package_name = "target-apollo"
    config_jsonschema: ClassVar[dict[str, Any]] = settings_schema()
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    message_reader_class = BlockReader
    message_reader: BlockReader

    _settings: Settings

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        clock = clock_from_environment()
        if isinstance(clock, FixedClock):
            self.logger.warning("The clock stands at %s (%s).", clock(), VARIABLE)
        self._pipeline = Pipeline(self._settings, clock, self.logger)
        self.message_reader.transform = self._pipeline.process_lines
        self.message_reader.counts = self._pipeline.counts

    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Check the settings as this package states them: in sentences, unknown ones included."""
        try:
            self._settings = read_settings(given)
        except SettingsError as error:
            return given, [str(error)]
        return given, []

    def on_signal(self, signal_number: int) -> None:
        """End after the lines at hand; the SDK's own handler would cut a line in two."""
        self.message_reader.stop(signal_number)

    def process_endofpipe(self) -> None:
        """Say what became of the leads, and how the run ended."""
        self._pipeline.finish()
        code = log_end(self.message_reader, self.logger)
        if code:
            sys.exit(code)

    # The SDK asks for a method a message type. Runs do not come here (see `singer_io`); a caller
    # with decoded messages gets the same answers.

    def map_schema_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """What goes on for a SCHEMA message."""
        return self._map(message_dict)

    def map_record_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """What goes on for a RECORD message."""
        return self._map(message_dict)

    def map_state_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """What goes on for a STATE message."""
        return self._map(message_dict)

    def map_activate_version_message(
        self, message_dict: dict[str, Any]
    ) -> Iterable[singer.Message]:
        """What goes on for an ACTIVATE_VERSION message."""
        return self._map(message_dict)

    def map_batch_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """What goes on for a BATCH message."""
        return self._map(message_dict)

    def _map(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        for line in self._pipeline.process_lines([write_message(message_dict)]):
            message = read_message(line)
            yield _MESSAGES[message["type"]].from_dict(message)

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the config files; one that can't be read is said in a sentence."""
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError) as error:
            # The SDK raises its own error for a file that is not there, without a strerror.
            missing = isinstance(error, OSError)
            why = "there is no such file, or it can't be opened" if missing else "it is no JSON"
            cls.logger.error("The config %s can't be read: %s.", ", ".join(value), why)
            ctx.exit(SettingsError.exit_code)

    @classmethod
    def invoke(cls, **options: Any) -> None:
        """Run the mapper; what a user can cause ends in a sentence and an exit code."""
        try:
            super().invoke(**options)
        except ConfigValidationError as error:
            for sentence in error.errors:
                cls.logger.error("%s", sentence)
            sys.exit(SettingsError.exit_code)
        except LeadsError as error:
            cls.logger.error("%s", error)
            sys.exit(error.exit_code)


_MESSAGES: dict[str, type[singer.Message]] = {
    "SCHEMA": singer.SchemaMessage,
    "RECORD": singer.RecordMessage,
    "STATE": singer.StateMessage,
    "ACTIVATE_VERSION": singer.ActivateVersionMessage,
}


def main() -> None:
    """Entry point of ``map-apollo-leads``."""
    MapApolloLeads.cli()
