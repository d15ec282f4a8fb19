"""The Singer target: its command, its settings and the handling of each message.

The SDK provides the command line, `--about`, stream maps and flattening. The methods of this class
handle the messages in place of the SDK's: a record gets its number, goes through its stream maps,
is validated and handed to its sink, and STATE waits for its outcome.
"""

from __future__ import annotations

import time
from typing import IO, Any, ClassVar, cast

from singer_sdk import Target
from singer_sdk.exceptions import RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)

from target_apollo.config.environment import add_source
from target_apollo.config.paths import files_of, problems_of_files
from target_apollo.config.schema import SCHEMA, add_sdk_settings
from target_apollo.config.sdk import CheckedPlugin, GivenSettings
from target_apollo.config.settings import Settings
from target_apollo.config.typed_values import with_types
from target_apollo.config.validation import problems_of, with_defaults
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.model.outcomes import Reason
from target_apollo.sync.counts import Position
from target_apollo.sync.deletions.whole_tables import SourceTables
from target_apollo.sync.exit import RECORD_ERRORS
from target_apollo.sync.rejects.rejects_file import NO_PROPERTIES, UNREADABLE_STREAM
from target_apollo.sync.run import SyncRun
from target_apollo.sync.source_record import DELETED_AT, REJECT, Former, SourceRecord
from target_apollo.sync.source_schema import UnusableSchema
from target_apollo.system import logs
from target_apollo.target import process
from target_apollo.target.finish import RunFinisher, finish_whole_tables
from target_apollo.target.left_out import (
    MELTANO_TEST,
    MOST_PROPERTIES,
    UNUSABLE_SCHEMA,
    Intake,
    rejection_of,
    too_wide,
)
from target_apollo.target.odd_lines import Message
from target_apollo.target.process import SignalHandler
from target_apollo.target.progress import Progress
from target_apollo.target.record_sinks import AccountsSink, ContactsSink, RecordSink
from target_apollo.target.sinks import StreamSink, WaitingRecords
from target_apollo.target.state import Checkpoint, StateWriter
from target_apollo.target.stdin import SingerInput, StopReading
from target_apollo.target.stream_setup import StreamSetup
from target_apollo.target.streams import METADATA, SourceStream

#: Used for a stream before its first SCHEMA message.
_WITHOUT_SCHEMA = SourceStream()


class TargetApollo(CheckedPlugin, Target):
    """Syncs contacts and accounts into Apollo.io, without duplicates and without silent losses."""

    name = "target-apollo"
    package_name = "target-apollo"
    # The SDK adds its own settings to it in place.
    config_jsonschema: ClassVar[dict[str, Any]] = {**SCHEMA, "properties": {**SCHEMA["properties"]}}
    message_reader_class = SingerInput
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.BATCH,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    def __init__(self, **arguments: Any) -> None:
        self._signals = SignalHandler()
        self._checkpoint = Checkpoint()
        self._all_written_at = time.monotonic()
        #: The newest line that could not be read and may have been a SCHEMA; 0 for none.
        self._lost_schema = 0
        #: Whether the input holds records of a rejects file, which has only some of the streams.
        self._replays = False
        self.has_unusable_streams = False
        logs.quieten(self.logger)
        super().__init__(**arguments)
        self.run = SyncRun(Settings.of(self.config), self.logger)
        self.setup = StreamSetup(self)
        self._streams, self._sinks = self.setup.streams, self.setup.sinks
        #: What the taps said of whole tables; None if nothing follows from missing rows.
        self._tables = SourceTables() if self.run.settings.follows_whole_tables else None
        self._waiting = WaitingRecords(self._sinks)
        self._intake = Intake(self.run, self._sinks, self._waiting)
        self._input = cast("SingerInput", self.message_reader)
        self._input.handlers = {
            "SCHEMA": self._on_schema,
            "RECORD": self._on_record,
            "STATE": self._on_state,
            "ACTIVATE_VERSION": self._on_activate_version,
        }
        self._input.on_unreadable = self._on_unreadable
        self._input.on_too_long = self._intake.reject_long_line
        # Not called for every record: reading the clock would add 7 % to the time of a record.
        self._input.before_wait = self._write_aged
        self._input.on_idle = self._on_idle
        self._input.most_records = self.run.settings.max_records
        self._progress = Progress(self._position, self.logger)
        self._state_writer = StateWriter(
            self.run, self._checkpoint, self._sinks, self._progress.clear_line
        )
        self._finisher = RunFinisher(self.run, self._state_writer, self._signals)

    # --- settings

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Adds the SDK's settings, except those without an effect in this target."""
        add_sdk_settings(config_jsonschema)

    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The settings with defaults filled in, and a sentence for each invalid one."""
        self.append_builtin_config(self.config_jsonschema)
        typed = with_types(given, self.config_jsonschema)
        problems = problems_of(typed, self.config_jsonschema)
        config = with_defaults(typed, self.config_jsonschema)
        add_source(config)
        return config, problems or problems_of_files(files_of(config, self.config_sources))

    # --- messages

    def _on_schema(self, message: Message) -> None:
        name = message["stream"]
        try:
            stream = self.setup.announce(message)
        except UNUSABLE_SCHEMA as problem:
            if not self.setup.is_rejects_file:
                raise
            self.has_unusable_streams = True
            rejection = self._intake.unusable_stream(name, self._input.line_number, problem)
            self.setup.reject_stream(message, rejection)
            return
        if stream is not None and self._tables is not None:
            self._tables.note_schema(name, changes_only=stream.changes_only)

    def _on_record(self, message: Message) -> None:
        name, record = message["stream"], message["record"]
        stream = self._streams.get(name, _WITHOUT_SCHEMA)
        if self._tables is not None:
            self._tables.note_row(name, message.get("version"))
        former = Former.taken_from(record) if REJECT in record else None
        if former is not None and stream.schema == NO_PROPERTIES:
            stream = self._without_placeholder(stream, former)
        counts = self.run.counts
        counts.received += 1
        source = SourceRecord(
            counts.received,
            name,
            record,
            stream.schema,
            stream.key_properties,
            former,
            self._input.line_length,
            bool(record.get(DELETED_AT)),
        )
        if former is not None or name == UNREADABLE_STREAM:
            self._replays = True
            if self._intake.skip_replayed(source):
                return
        if stream.problem is not None:
            self._intake.reject(source, stream.problem)
            return
        if len(record) > MOST_PROPERTIES:
            self._intake.reject(source, too_wide(record))
            return
        try:
            is_taken = self._hand_in(stream, source, record)
        except RECORD_ERRORS as problem:
            if self.run.settings.on_record_error == "fail":
                raise
            rejection = rejection_of(problem, name, stream.key_properties)
            of_sinks = [route.sink_name for route in stream.routes]
            self._intake.reject(source, rejection, of_sinks)
            return
        if not is_taken:
            self.run.skip(source)

    @staticmethod
    def _without_placeholder(stream: SourceStream, former: Former) -> SourceStream:
        """The stream of a rejected record; without a schema where that is a placeholder."""
        is_made_up = former.reason == Reason.NO_SCHEMA.value and not stream.key_properties
        return _WITHOUT_SCHEMA if is_made_up else stream

    def begin_replay(self, longest_line: int) -> None:
        """Prepares for a rejects file as input.

        Args:
            longest_line: Bytes of the longest line that is read.
        """
        self.setup.is_rejects_file = True
        self._input.longest_line = longest_line

    def _hand_in(self, stream: SourceStream, source: SourceRecord, record: dict[str, Any]) -> bool:
        """Hands a record to the sinks of its stream; False where stream maps leave it out.

        Raises:
            RecordsWithoutSchemaException: It came before the SCHEMA of its stream.
            SettingsError: It is not known whether the stream holds contacts or accounts.
            UnusableSchema: The SCHEMA of its stream may be a line that could not be read.
            MapExpressionError, InvalidRecord, MissingKeyPropertiesError: It can't be used.
            ApolloError, RunError: The records that fill the sink can't be written.
        """
        if stream.schema is None:
            if self._lost_schema and not self.setup.is_rejects_file:
                raise UnusableSchema(
                    f"A record of stream '{source.stream}' has no SCHEMA, and line "
                    f"{self._lost_schema}, which may have been that, could not be read: mend it in "
                    "the tap. Otherwise all records of the stream would be rejected."
                )
            raise RecordsWithoutSchemaException(
                f"A record came before the SCHEMA of its stream '{source.stream}'"
            )
        is_taken = False
        try:
            for route in stream.routes:
                transformed: dict[str, Any] | None = record
                if not route.leaves_alone or not METADATA.isdisjoint(record):
                    transformed = route.transform(record)
                sink = self._sinks.get(route.sink_name)
                if sink is None:
                    if transformed is not None:
                        self._intake.leave_out(route.sink_name)
                    continue
                if transformed is None:
                    if self._tables is not None and not route.drops_all:
                        sink.note_filtered(record, self.setup.mapped_names)
                    continue
                sink.check(transformed)
                sink.add(source, transformed)
                if is_taken:
                    self.run.counts.split += 1
                is_taken = True
                self._waiting.added(sink, source.length)
        except RECORD_ERRORS:
            if is_taken:
                # The rejection is an outcome besides those of the sinks that have it.
                self.run.counts.split += 1
            raise
        return is_taken

    def _on_unreadable(self, line: bytes, line_number: int, problem: str) -> None:
        if b'"SCHEMA"' in line:
            self._lost_schema = line_number
        self._intake.reject_line(line, line_number, problem)

    def _on_activate_version(self, message: Message) -> None:
        """Notes that a tap sends a whole table; what follows is decided at the end of the run."""
        if self._tables is not None:
            self._tables.note_version(message["stream"], message.get("version"))

    def _on_state(self, message: Message) -> None:
        if self._tables is not None:
            self._tables.note_state()
        self._checkpoint.hold(message["value"], after=self.run.counts.received)
        self._write_aged()
        self.pass_state()

    def _on_idle(self) -> None:
        """Finishes the flush under way and writes old batches while no line arrives."""
        self.run.pending_flush.finish()
        self._write_aged()
        self.pass_state()

    # --- sinks

    def get_sink_class(self, stream_name: str) -> type[RecordSink]:
        """The sink for a stream of contacts or accounts.

        Raises:
            SettingsError: Neither tells whether the stream holds contacts or accounts.
        """
        kind = self.run.settings.of_stream(stream_name).kind
        return ContactsSink if kind is ObjectKind.CONTACTS else AccountsSink

    def bookmark_properties(self, stream: str) -> tuple[str, ...]:
        """The properties by which the tap bookmarks a stream."""
        return self._streams.get(stream, _WITHOUT_SCHEMA).bookmark_properties

    def before_flush(self, sink: StreamSink) -> None:
        """Checks the credentials once, and writes what rows of the sink may name.

        Raises:
            ApolloError: The credentials are refused, or the other records can't be written.
        """
        _ = self.run.connection
        if sink.rank:
            for other in self._sinks.values():
                if other.rank < sink.rank:
                    self.drain_one(other)

    def pass_state(self) -> None:
        """Prints the newest STATE whose records all have an outcome on disk."""
        if self._checkpoint.waiting:
            self._state_writer.write_if_due()

    def _write_all(self) -> None:
        for sink in self._sinks.values():
            self.drain_one(sink)
        self.run.pending_flush.finish()
        self.pass_state()
        self._all_written_at = time.monotonic()

    def _write_aged(self) -> None:
        """Writes batches that may have waited for `max_record_age_seconds`.

        Otherwise a stream without new records would hold STATE back.
        """
        waited = time.monotonic() - self._all_written_at
        if waited > self.run.settings.max_record_age_seconds:
            self._write_all()

    # --- the end

    def process_endofpipe(self) -> None:
        """Writes the waiting records, unless a signal ended the reading, and ends the run."""
        if not self._signals.signal_number:
            self._write_all()
            if self._tables is not None and not (self._input.ended_early or self._replays):
                finish_whole_tables(self.run, self._tables, self.setup)
            for sink in self._sinks.values():
                sink.clean_up()
            self._warn_of_unused_settings()
        self.run.pending_flush.finish()
        if self._input.ended_early:
            self.run.notices.left_unread()
            self._input.discard_rest()
        self._finisher.finish(None)

    def _warn_of_unused_settings(self) -> None:
        if self._input.ended_early or self._replays:
            return
        if not self._streams:
            self.run.notices.no_stream()
        if not {*self._streams} - {MELTANO_TEST}:
            return
        for sentence in self.setup.unused_settings():
            self.logger.warning("%s", sentence)
        for stream in sorted(self.setup.without_object):
            self.run.notices.no_object(stream)

    def sync(self, file_input: IO[Any] | None = None) -> int:
        """Reads and writes the whole input; returns the exit code of the run.

        Args:
            file_input: Singer messages; standard input where it is None.
        """
        self._progress.start()
        try:
            self.listen(file_input)
        except Exception as problem:
            if self._finisher.finish(problem) is None:
                raise
        finally:
            self._progress.stop()
        return self._finisher.ending.exit_code

    def _position(self) -> Position:
        return self.run.position(self._input.part_read)

    def on_signal(self, signal_number: int) -> None:
        """Stops the reading; records that wait for a flush are not written any more."""
        if not self._signals.handle(signal_number):
            return
        self.run.stop.set()
        self._input.stopped = True
        if self._input.waiting:
            raise StopReading

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: GivenSettings | None = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Runs the target and ends the process with the exit code of the run."""
        if about:
            super().invoke(about=True, about_format=about_format)
        process.run_process(
            cls,
            {} if config is None else config.config,
            file_input,
        )

    def exit_without_threads(self, exit_code: int) -> None:
        """Ends the process after the run, if an abandoned request still has a thread."""
        process.exit_without_threads(self.run, exit_code)


def main() -> None:
    """Runs the command ``target-apollo``."""
    TargetApollo.cli()
