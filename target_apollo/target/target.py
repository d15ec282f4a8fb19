"""The target: what the SDK calls, and in which order things happen.

What a SCHEMA message says of its stream.

Keeps an expression of `stream_maps` that fails on one record from ending the run.

The SDK tells that it can't apply a map only where the evaluator finds fault with the expression;
what Python's own operators raise (a text and a null added, a division by zero) would pass for a
defect.

The short way of a record to its sink, past steps of the SDK that would leave it as it is.

For every record the SDK makes a copy, applies a stream map, takes out seven properties that it
might have added itself, and calls ten methods more, which takes longer than to read the record and
to find it unchanged. A stream without a map and flattening needs little of that. Its records go
straight to the sink, as long as nothing is wrong with them: all others go the SDK's way, so that
there is one place that refuses records and one set of words.

The end of a run: its last STATE, its rejected records on disk, its verdict, its summary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from types import FrameType
from typing import IO, Any, ClassVar, cast

from singer_sdk import Target
from singer_sdk.exceptions import MapExpressionError, MappingError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)
from singer_sdk.mapper import CustomStreamMap, PluginMapper, SameRecordTransform, StreamMap
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib.exceptions import InvalidInputLine
from singer_sdk.sinks import Sink

from target_apollo import logs
from target_apollo.config.schema import SCHEMA, add_sdk_settings
from target_apollo.config.settings import Settings, SettingsError, check_given
from target_apollo.model.objects import ObjectKind
from target_apollo.sync.counts import Position
from target_apollo.sync.deletions import is_deleted, saw_whole_table
from target_apollo.sync.exit import RECORD_ERRORS, RunEnd, RunError, check_reject_limit, ending_of
from target_apollo.sync.notices import unused_settings
from target_apollo.sync.rejects_file import UNREADABLE_STREAM, without_reject
from target_apollo.sync.run import SyncRun
from target_apollo.sync.source_record import Former, SourceRecord
from target_apollo.target import process
from target_apollo.target.intake import TurnedAway, rejection_of, too_wide
from target_apollo.target.process import Stopping
from target_apollo.target.progress import Progress
from target_apollo.target.sinks import AccountsSink, ApolloSink, ContactsSink
from target_apollo.target.state import Checkpoint, PassingState
from target_apollo.target.stdin import LineReader, Message, StopReading
from target_apollo.target.validation import CompiledValidator


@dataclass(frozen=True)
class Described:
    """A stream as its tap describes it.

    Attributes:
        schema: JSON schema of its records, without the property that the rejects file adds; None
            as long as no SCHEMA has come.
        key_properties: The properties that tell its rows apart.
        bookmark_properties: Those by which the tap finds what changed; none where it sends the
            whole table each time.
    """

    schema: Mapping[str, Any] | None = None
    key_properties: tuple[str, ...] = ()
    bookmark_properties: tuple[str, ...] = ()

    @classmethod
    def by(cls, message: Mapping[str, Any]) -> Described:
        """Reads a SCHEMA message.

        Raises:
            InvalidInputLine: It does not name the properties of records.
        """
        schema = message.get("schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise InvalidInputLine(
                f"The SCHEMA of stream '{message['stream']}' has no 'properties': mend the tap's "
                "catalog."
            )
        return cls(
            without_reject(schema),
            tuple(message.get("key_properties") or ()),
            tuple(message.get("bookmark_properties") or ()),
        )


#: A stream whose SCHEMA has not come.
UNDESCRIBED = Described()


Record = dict[str, Any]


def guard_maps(maps: Iterable[StreamMap]) -> None:
    """Has each map of a stream refuse a record, whatever its expressions raise for it."""
    for stream_map in maps:
        if isinstance(stream_map, CustomStreamMap):
            # An attribute of the map itself goes before the method of its class.
            vars(stream_map)["transform"] = _guarded(stream_map.transform)


def _guarded(transform: Callable[[Record], Record | None]) -> Callable[[Record], Record | None]:
    def refuse_what_fails(record: Record) -> Record | None:
        try:
            return transform(record)
        except MapExpressionError:
            raise
        except Exception as problem:  # noqa: BLE001 - an expression may raise anything
            # Its words may show a value.
            raise MapExpressionError(type(problem).__name__) from None

    return refuse_what_fails


#: Properties that the SDK takes out of records, since it adds them where that is asked for.
METADATA = frozenset(
    {
        "_sdc_batched_at",
        "_sdc_deleted_at",
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_sequence",
        "_sdc_sync_started_at",
        "_sdc_table_version",
    }
)
# Later releases of the SDK count the records of its metric when they are written.
_COUNTS_RECORDS_READ = tuple(map(int, version("singer-sdk").split(".")[:2])) < (0, 55)


class StraightWay:
    """The short way of one stream's records into one sink."""

    def __init__(self, sink: ApolloSink) -> None:
        validator = sink._validator
        self._sink = sink
        self._accepts = validator.accepts if isinstance(validator, CompiledValidator) else _anything
        self._key_properties = tuple(sink._key_properties)

    @classmethod
    def of(cls, stream: str, mapper: PluginMapper, sinks: Mapping[str, Sink]) -> StraightWay | None:
        """The short way for a stream, or None where the SDK does something to its records.

        Args:
            mapper: The SDK's mapper, after it took the SCHEMA of the stream in.
            sinks: The active sinks by the name of their stream.
        """
        maps = mapper.stream_maps.get(stream, [])
        sink = sinks.get(stream)
        if (
            not isinstance(sink, ApolloSink)
            or len(maps) != 1
            or type(maps[0]) is not SameRecordTransform
            or maps[0].stream_alias != stream
            or maps[0].flattening_enabled
            or sink.include_sdc_metadata_properties
            or not (sink._validator is None or isinstance(sink._validator, CompiledValidator))
        ):
            return None
        return cls(sink)

    def take(self, record: dict[str, Any]) -> ApolloSink | None:
        """Hands a record to the sink and returns the sink.

        Returns None where the record has to go the SDK's way; nothing has happened to it then.
        """
        if not record.keys().isdisjoint(METADATA):
            # The record itself stays whole, for the rejects file.
            record = {name: value for name, value in record.items() if name not in METADATA}
        for name in self._key_properties:
            if name not in record:
                return None
        if not self._accepts(record):
            return None
        sink = self._sink
        sink.tally_record_read()
        sink.process_record(record, sink._get_context(record))
        if _COUNTS_RECORDS_READ:
            sink.record_counter_metric.increment()
        return sink


def _anything(record: dict[str, Any]) -> bool:  # noqa: ARG001
    return True


class Finishing:
    """Ends a run once, however often it is asked to.

    Attributes:
        ending: How the run ended; a defect until that is known.
    """

    def __init__(
        self, run: SyncRun, checkpoint: Checkpoint, state: PassingState, stopping: Stopping
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._state = state
        self._stopping = stopping
        self._finished = False
        self.ending = RunEnd(1, "A defect of target-apollo ended the run.")

    def finish(self, problem: BaseException | None) -> RunEnd | None:
        """Passes the last STATE on and writes the summary; a second call does nothing.

        Args:
            problem: What ended the reading or writing; None where the input came to its end.

        Returns:
            How the run ended, or None for a defect of this program.
        """
        ending = ending_of(problem, self._stopping.signal_number)
        if self._finished:
            return ending
        self._finished = True
        with suppress(Exception):
            # What was confirmed of it counts; why the run ends is known already.
            self._run.pending_flush.finish()
        try:
            self._state.pass_on(last=True)
            self._run.rejects.keep()
        except RunError as unwritable:
            ending = ending_of(unwritable, 0)
        self._run.close()
        if ending is not None and ending.exit_code == 0:
            ending = check_reject_limit(
                self._run.counts.rejected_percent,
                self._run.settings.max_rejected_percent,
                self._run.rejects.location,
            )
        self.ending = ending or self.ending
        received = self._checkpoint.received
        self._run.summarise(received, self.ending.exit_code, self.ending.because)
        return ending


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
        self.run = SyncRun(Settings.of(self.config), self.logger)
        #: The record that is being handed to its sinks.
        self.receiving = SourceRecord(0, "", {}, None, ())
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
        add_sdk_settings(config_jsonschema)

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
        if sink.object_type.kind is ObjectKind.CONTACTS:
            for other in self._sinks():
                if other.object_type.kind is ObjectKind.ACCOUNTS:
                    self.drain_one(other)

    def _drain_all(self, sink_list: Iterable[Sink], parallelism: int) -> None:
        super()._drain_all(sink_list, parallelism)
        self.run.pending_flush.finish()
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
            self.run.pending_flush.finish()
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
        self.receiving = SourceRecord(
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
                self.run.pending_flush.finish()
                sink.move_missing_rows()

    def _use_silence(self) -> None:
        """Writes what is under way or has waited long, since no more may come for a while."""
        self.run.pending_flush.finish()
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
        self.run.pending_flush.finish()
        if self._reader.ended_early:
            self.run.notices.left_unread()
            self._reader.pass_over_rest()
        self._finishing.finish(None)

    def _say_unmet_settings(self) -> None:
        if self._reader.ended_early or self._replays or not self._described:
            return
        streams = {sink.stream_name for sink in self._sinks()}
        schemas = [sink.schema for sink in self._sinks()]
        properties = [schema.get("properties", {}) for schema in schemas]
        for sentence in unused_settings(self.run.settings, streams, properties):
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
