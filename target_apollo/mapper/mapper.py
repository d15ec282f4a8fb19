"""The command map-apollo-leads, built on the SDK's `InlineMapper`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import singer_sdk.singerlib as singer
from singer_sdk import InlineMapper
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities

from target_apollo.config.paths import given_with, problems_of_files
from target_apollo.config.sdk import CheckedPlugin
from target_apollo.mapper.errors import LeadsError, SettingsError
from target_apollo.mapper.pipeline import Pipeline
from target_apollo.mapper.settings import (
    CLOCK_VARIABLE,
    FixedClock,
    Settings,
    clock_from_environment,
    named_files,
    read_settings,
    settings_schema,
)
from target_apollo.mapper.stdio import BlockReader, log_end, read_message, write_message


class MapApolloLeads(CheckedPlugin, InlineMapper):
    """Passes the leads that meet every rule, and writes down the verdict on each lead."""

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
            self.logger.warning("The clock stands at %s (%s).", clock(), CLOCK_VARIABLE)
        self._pipeline = Pipeline(self._settings, clock, self.logger)
        self.message_reader.expand = self._pipeline.expanded
        self.message_reader.transform = self._pipeline.process_lines
        self.message_reader.counts = self._pipeline.counts

    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The settings as given, and a sentence for the first one that is unknown or wrong."""
        try:
            self._settings = read_settings(given)
        except SettingsError as error:
            return given, [str(error)]
        return given, problems_of_files(
            [*given_with("--config", self.config_sources), *named_files(self._settings)]
        )

    def on_signal(self, signal_number: int) -> None:
        """End the run after the lines read so far; the SDK's handler could cut a line in two."""
        self.message_reader.stop(signal_number)

    def process_endofpipe(self) -> None:
        """Log the counts of leads and how the run ended; exit with its code, if that is not 0."""
        self._pipeline.finish()
        code = log_end(self.message_reader, self.logger)
        if code:
            sys.exit(code)

    # The SDK requires a method for each message type. A run does not call them: `BlockReader` reads
    # lines as bytes. They serve callers that have decoded messages.

    def map_schema_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """The messages to pass on for a SCHEMA message."""
        return self._map(message_dict)

    def map_record_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """The messages to pass on for a RECORD message."""
        return self._map(message_dict)

    def map_state_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """The messages to pass on for a STATE message."""
        return self._map(message_dict)

    def map_activate_version_message(
        self, message_dict: dict[str, Any]
    ) -> Iterable[singer.Message]:
        """The messages to pass on for an ACTIVATE_VERSION message."""
        return self._map(message_dict)

    def map_batch_message(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        """The messages to pass on for a BATCH message."""
        return self._map(message_dict)

    def _map(self, message_dict: dict[str, Any]) -> Iterable[singer.Message]:
        for block in self._pipeline.expanded([write_message(message_dict)]):
            for line in self._pipeline.process_lines(block):
                message = read_message(line)
                yield _MESSAGES[message["type"]].from_dict(message)

    @classmethod
    def invoke(cls, **options: Any) -> None:
        """Run the mapper; log each `LeadsError` as a sentence and exit with its code."""
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
