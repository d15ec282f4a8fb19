"""The target: what the SDK calls, and in which order things happen."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import IO, Any, ClassVar, cast

from singer_sdk import Target
from singer_sdk.exceptions import MappingError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.sinks import Sink

from target_apollo import logs
from target_apollo.config.given_settings import check_given
from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.model.objects import ObjectKind
from target_apollo.sync.deletions import is_deleted, saw_whole_table
from target_apollo.sync.exit import RECORD_ERRORS
from target_apollo.sync.received import Received
from target_apollo.sync.rejects_file import UNREADABLE_STREAM, Former, without_reject
from target_apollo.sync.run import Run
from target_apollo.sync.unmet_settings import unmet_settings
from target_apollo.target import process
from target_apollo.target.described import UNDESCRIBED, Described
from target_apollo.target.finishing import Finishing
from target_apollo.target.intake import TurnedAway
from target_apollo.target.intake_part import rejection_of, too_wide
from target_apollo.target.passing_state import PassingState
from target_apollo.target.progress import Position, Progress
from target_apollo.target.sinks import AccountsSink, ApolloSink, ContactsSink
from target_apollo.target.state import Checkpoint
from target_apollo.target.stdin import LineReader, Message, StopReading
from target_apollo.target.stopping import Stopping
from target_apollo.target.straight import StraightWay
from target_apollo.target.stream_maps import guard_maps

#: Settings that the SDK adds to every target and that say nothing to a target without tables.
_NOT_OURS = ("add_record_metadata", "batch_size_rows", "load_method")


class TargetApollo(Target):
    """Syncs contacts and accounts into Apollo.io, without duplicates and without silent losses."""

    name = "target-apollo"
    package_name = "target-apollo"
    config_jsonschema = SCHEMA
    message_reader_class = LineReader
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    def __init__(self, **arguments: Any) -> None:
        self._stopping = Stopping()
        self._checkpoint = Checkpoint()
        self._described: dict[str, Described] = {}
        self._straight: dict[str, StraightWay | None] = {}
        logs.quieten(self.logger)
        super().__init__(**arguments)
        self.run = Run(Settings.of(self.config), self.logger)
        #: The record that is being handed to its sinks.
        self.receiving = Received(0, "", {}, None, ())
        #: Whether a sink took it; a stream map may have left it out.
        self.taken = False
        #: Whether records come that were rejected before, which are of some streams only.
        self._replays = False
        # One sink after another: parallel work is inside a flush, and accounts come first.
        self.max_parallelism = 1
        self._MAX_RECORD_AGE_IN_MINUTES = self.run.settings.max_record_age_seconds / 60
        self._reader = cast("LineReader", self.message_reader)
        self._turned_away = TurnedAway(self.run, self._checkpoint, self._sinks)
        self._reader.on_unreadable = self._turned_away.reject_line
        self._reader.on_too_long = self._turned_away.reject_long_line
        # For every record, the look at the clock alone would take a fourteenth of its reading.
        self._reader.on_caught_up = self._handle_max_record_age
        self._reader.on_idle = self._use_silence
        self._reader.most_records = self.run.settings.max_records
        self._progress = Progress(self._position, self.logger)
        self._passing_state = PassingState(
            self.run, self._checkpoint, self._sinks, self._progress.make_way
        )
        self._finishing = Finishing(self.run, self._checkpoint, self._passing_state, self._stopping)

    # --- settings

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Adds the SDK's settings, but for those that would do nothing here."""
        super().append_builtin_config(config_jsonschema)
        for name in _NOT_OURS:
            config_jsonschema["properties"].pop(name, None)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self.append_builtin_config(self.config_jsonschema)
        return check_given(self._config, self.config_jsonschema, raise_errors=raise_errors)

    # --- sinks

    def get_sink_class(self, stream_name: str) -> type[Sink]:
        """The sink for a stream, by the setting `streams` or by the stream's name.

        Raises:
            SettingsError: Neither tells whether it holds contacts or accounts.
        """
        kind = self.run.settings.of_stream(stream_name).kind
        return ContactsSink if kind is ObjectKind.CONTACTS else AccountsSink

    def bookmark_properties(self, stream: str) -> tuple[str, ...]:
        """The properties by which the tap bookmarks a stream."""
        return self._described.get(stream, UNDESCRIBED).bookmark_properties

    def before_flush(self, sink: ApolloSink) -> None:
        """Proves the credentials once, and writes pending accounts before contacts.

        Raises:
            ApolloError: The credentials are refused, or the accounts can't be written.
        """
        _ = self.run.connection
        if sink.target_object.kind is ObjectKind.CONTACTS:
            for other in self._sinks():
                if other.target_object.kind is ObjectKind.ACCOUNTS:
                    self.drain_one(other)

    def _drain_all(self, sink_list: Iterable[Sink], parallelism: int) -> None:
        super()._drain_all(sink_list, parallelism)
        self.run.under_way.finish()
        self.pass_state()

    def _sinks(self) -> list[ApolloSink]:
        sinks = [*self._sinks_to_clear, *self._sinks_active.values()]
        return [sink for sink in sinks if isinstance(sink, ApolloSink)]

    def _sinks_of(self, stream: str) -> list[ApolloSink]:
        """The sinks into which a stream goes by its stream maps."""
        maps = self.mapper.stream_maps.get(stream, ())
        sinks = [self._sinks_active.get(stream_map.stream_alias) for stream_map in maps]
        return [sink for sink in sinks if isinstance(sink, ApolloSink)]

    # --- messages

    def _process_schema_message(self, message_dict: Message) -> None:
        stream = message_dict["stream"]
        described = Described.by(message_dict)
        if stream == UNREADABLE_STREAM:
            return
        self._described[stream] = described
        message_dict["schema"] = without_reject(message_dict["schema"])
        try:
            super()._process_schema_message(message_dict)
        except MappingError as problem:
            raise SettingsError(
                [f"The setting 'stream_maps' can't be applied to stream '{stream}': {problem}"]
            ) from None
        guard_maps(self.mapper.stream_maps.get(stream, ()))
        # The SDK keeps a replaced sink's records until the end, where they would overwrite newer
        # values of the same rows.
        if self._sinks_to_clear:
            self.run.under_way.finish()
        for sink in self._sinks_to_clear:
            self.drain_one(sink)
            sink.clean_up()
            follower = self._sinks_active.get(sink.stream_name)
            if isinstance(sink, ApolloSink) and isinstance(follower, ApolloSink):
                follower.follow(sink)
        self._sinks_to_clear = []
        self._straight[stream] = StraightWay.of(stream, self.mapper, self._sinks_active)

    def _process_record_message(self, message_dict: Message) -> None:
        stream = message_dict["stream"]
        record = message_dict["record"]
        described = self._described.get(stream, UNDESCRIBED)
        deleted = is_deleted(record)
        former = Former.taken_from(record)
        self.taken = False
        self.receiving = Received(
            self._checkpoint.next_record(),
            stream,
            # The SDK takes the mark of a deletion out of the record that goes on.
            dict(record) if deleted else record,
            described.schema,
            described.key_properties,
            former,
            self._reader.line_length,
            deleted,
        )
        if former is not None or stream == UNREADABLE_STREAM:
            self._replays = True
            if self._turned_away.comes_back(self.receiving):
                return
        wide = too_wide(record)
        if wide is not None:
            self._turned_away.reject(self.receiving, wide)
            return
        straight = self._straight.get(stream)
        sink = straight.take(record) if straight is not None else None
        if sink is not None:
            if sink.is_full:
                sink.flush_ahead()
            return
        try:
            super()._process_record_message(message_dict)
        except RECORD_ERRORS as problem:
            if self.run.settings.on_record_error == "fail":
                raise
            rejection = rejection_of(problem, stream, self.receiving.key_properties)
            self._turned_away.reject(self.receiving, rejection)
            return
        if not self.taken:
            self._turned_away.leave_out(self.receiving, self._sinks_of(stream))

    def _process_activate_version_message(self, message_dict: Message) -> None:
        """Moves the records of rows that are gone, after a tap has sent a table as a whole."""
        # The SDK's own form would warn for each message and expect a schema with its metadata.
        stream, version = message_dict["stream"], message_dict.get("version")
        for sink in self._sinks_of(stream):
            name = sink.stream_name
            if saw_whole_table(self.run, name, version, self.bookmark_properties(stream)):
                self.drain_one(sink)
                self.run.under_way.finish()
                sink.move_vanished()

    def _use_silence(self) -> None:
        """Writes what is under way or has waited long, since no more may come for a while."""
        self.run.under_way.finish()
        self._write_aged()

    def _process_state_message(self, message_dict: Message) -> None:
        self._checkpoint.hold(message_dict["value"])
        self._write_aged()

    def _write_aged(self) -> None:
        """Writes batches that have waited for `max_record_age_seconds`.

        The SDK looks at their age when a record comes; a stream that has fallen silent would hold
        STATE back.
        """
        self._handle_max_record_age()
        self.pass_state()

    def pass_state(self) -> None:
        """Prints the newest STATE whose records all have an outcome on disk."""
        self._passing_state.pass_on()

    # --- the end

    def process_endofpipe(self) -> None:
        """Writes what is pending, unless a signal ended the reading, and ends the run."""
        if not self._stopping.signal_number:
            super().process_endofpipe()
            self._say_unmet_settings()
        self.run.under_way.finish()
        if self._reader.ended_early:
            self.run.saying.left_unread()
            self._reader.pass_over_rest()
        self._finishing.finish(None)

    def _say_unmet_settings(self) -> None:
        if self._reader.ended_early or self._replays or not self._described:
            return
        streams = {sink.stream_name for sink in self._sinks()}
        schemas = [sink.schema for sink in self._sinks()]
        properties = [schema.get("properties", {}) for schema in schemas]
        for sentence in unmet_settings(self.run.settings, streams, properties):
            self.logger.warning("%s", sentence)

    def sync(self, file_input: IO[Any] | None = None) -> int:
        """Reads the input to its end, writes it, and gives the exit code of the run.

        Args:
            file_input: Singer messages; standard input where it is None.
        """
        self._progress.start()
        try:
            self.listen(file_input)
        except Exception as problem:
            if self._finishing.finish(problem) is None:
                raise
        finally:
            self._progress.stop()
        return self._finishing.ending.exit_code

    def _position(self) -> Position:
        return self.run.position(self._checkpoint.received, self._reader.part_read)

    def _handle_termination(self, signum: int, _frame: FrameType | None) -> None:
        # The SDK drains inside the handler, which acknowledges records that were never sent. Here
        # it only says that the end has come; Meltano and the shell may both send a signal.
        if not self._stopping.take(signum):
            return
        self.run.stop.set()
        self._reader.stopped = True
        if self._reader.waiting:
            raise StopReading

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Runs the target and ends the process with the exit code of the run."""
        if about:
            super().invoke(about=True, about_format=about_format)
        process.run_process(cls, config or _ConfigInput(), file_input)

    def leave_abandoned(self, exit_code: int) -> None:
        """Ends the process after the run, if the thread of a request that was given up lives on."""
        process.leave_abandoned(self.run, exit_code)


def main() -> None:
    """Runs the command ``target-apollo``."""
    try:
        TargetApollo.cli()
    except Exception as defect:  # noqa: BLE001 - it says more than may be shown
        process.end_before_start(TargetApollo.name, defect)
