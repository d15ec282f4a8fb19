"""The target: settings in, messages to sinks, STATE out, and the end of the run."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable
from types import FrameType
from typing import IO, Any, ClassVar, NoReturn, cast

from singer_sdk import Target
from singer_sdk.exceptions import ConfigValidationError, MappingError
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib.exceptions import InvalidInputLine
from singer_sdk.singerlib.json import serialize_json
from singer_sdk.sinks import Sink

from target_apollo import logs
from target_apollo.checkpoint import Checkpoint
from target_apollo.collecting import collect_rarely
from target_apollo.deletions import is_deleted
from target_apollo.ending import (
    FAILED,
    MISCONFIGURED,
    RECORD_ERRORS,
    Ending,
    RunError,
    ending_of,
    verdict,
)
from target_apollo.environment import read_environment
from target_apollo.intake import rejection_of, too_wide
from target_apollo.objects import ObjectKind
from target_apollo.outcomes import Outcome, Reason, Rejection
from target_apollo.progress import Position, Progress
from target_apollo.reading import LineReader, Message, StopReading, too_long
from target_apollo.received import Received
from target_apollo.rejects import UNREADABLE_STREAM, Former, without_reject
from target_apollo.run import Run
from target_apollo.settings import Settings, SettingsError, problems_of
from target_apollo.settings_schema import SCHEMA
from target_apollo.sinks import AccountsSink, ApolloSink, ContactsSink
from target_apollo.stopping import Stopping
from target_apollo.straight import StraightWay
from target_apollo.stream_maps import guard_maps

#: Settings that the SDK adds to every target and that say nothing to a target without tables.
_NOT_OURS = ("add_record_metadata", "batch_size_rows", "load_method")

_UNREADABLE = (
    f"Lines of the stream '{UNREADABLE_STREAM}' are left out: they were no Singer messages when "
    "they came and are none now. Mend them where they come from."
)
_OWN_REJECT = (
    "Records that this very run rejected come back on its input and are left out: it reads the "
    "file that it appends to. 'apollo-sync replay' does that and takes out what succeeds."
)


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
        self._state_passed_at = 0.0
        self._schemas: dict[str, Message] = {}
        self._straight: dict[str, StraightWay | None] = {}
        self._said: set[str] = set()
        self._finished = False
        logs.quieten(self.logger)
        super().__init__(**arguments)
        self.run = Run(Settings.of(self.config), self.logger)
        #: The record that is being handed to its sinks.
        self.receiving = Received(0, "", {}, None, ())
        #: Whether a sink took it; a stream map may have left it out.
        self.taken = False
        # One sink after another: parallel work is inside a flush, and accounts come first.
        self.max_parallelism = 1
        self._MAX_RECORD_AGE_IN_MINUTES = self.run.settings.max_record_age_seconds / 60
        self._reader = cast("LineReader", self.message_reader)
        self._reader.on_unreadable = self._reject_line
        self._reader.on_too_long = self._reject_long_line
        self._reader.on_idle = self._write_aged
        self._progress = Progress(self._position, self.logger)
        self._reader.most_records = self.run.settings.max_records

    # --- settings

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Adds the SDK's settings, but for those that would do nothing here."""
        super().append_builtin_config(config_jsonschema)
        for name in _NOT_OURS:
            config_jsonschema["properties"].pop(name, None)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK's own check lets unknown settings pass and shows values, of secrets too.
        self.append_builtin_config(self.config_jsonschema)
        problems = problems_of(self._config, self.config_jsonschema)
        if problems and raise_errors:
            raise ConfigValidationError(
                "The settings are wrong.", errors=problems, schema=self.config_jsonschema
            )
        for name, setting in self.config_jsonschema["properties"].items():
            if "default" in setting and self._config.get(name) is None:
                self._config[name] = setting["default"]
        return problems

    # --- sinks

    def get_sink_class(self, stream_name: str) -> type[Sink]:
        """The sink for a stream, by the setting `streams` or by the stream's name.

        Raises:
            SettingsError: Neither tells whether it holds contacts or accounts.
        """
        kind = self.run.settings.of_stream(stream_name).kind
        return ContactsSink if kind is ObjectKind.CONTACTS else AccountsSink

    def bookmark_properties(self, stream: str) -> list[str]:
        """The properties by which the tap bookmarks a stream."""
        return list(self._schemas.get(stream, {}).get("bookmark_properties") or [])

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

    def _sinks(self) -> list[ApolloSink]:
        sinks = [*self._sinks_to_clear, *self._sinks_active.values()]
        return [sink for sink in sinks if isinstance(sink, ApolloSink)]

    # --- messages

    def _process_schema_message(self, message_dict: Message) -> None:
        stream = message_dict["stream"]
        if not isinstance(message_dict.get("schema"), dict) or not isinstance(
            message_dict["schema"].get("properties"), dict
        ):
            raise InvalidInputLine(
                f"The SCHEMA of stream '{stream}' has no 'properties': mend the tap's catalog."
            )
        if stream == UNREADABLE_STREAM:
            return
        self._schemas[stream] = {
            **message_dict,
            "schema": without_reject(message_dict["schema"]),
            "key_properties": tuple(message_dict.get("key_properties") or ()),
        }
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
        described = self._schemas.get(stream, {})
        deleted = is_deleted(record)
        former = Former.taken_from(record)
        self.taken = False
        self.receiving = Received(
            self._checkpoint.next_record(),
            stream,
            # The SDK takes the mark of a deletion out of the record that goes on.
            dict(record) if deleted else record,
            described.get("schema"),
            described.get("key_properties") or (),
            former,
            self._reader.line_length,
            deleted,
        )
        if stream == UNREADABLE_STREAM or (former and former.run_id == self.run.run_id):
            self._leave_out(_UNREADABLE if stream == UNREADABLE_STREAM else _OWN_REJECT)
            return
        wide = too_wide(record)
        if wide is not None:
            self._reject_received(wide)
            return
        straight = self._straight.get(stream)
        sink = straight.take(record) if straight is not None else None
        if sink is not None:
            if sink.is_full:
                self.drain_one(sink)
            self._handle_max_record_age()
            return
        try:
            super()._process_record_message(message_dict)
        except RECORD_ERRORS as problem:
            if self.run.settings.on_record_error == "fail":
                raise
            key_properties = self.receiving.key_properties
            self._reject_received(rejection_of(problem, stream, key_properties))
            return
        if not self.taken:
            # A stream map leaves it out; its table holds it all the same.
            for stream_map in self.mapper.stream_maps.get(stream, ()):
                left_out_of = self._sinks_active.get(stream_map.stream_alias)
                if isinstance(left_out_of, ApolloSink):
                    left_out_of.is_unsure_of_keys()
            self.run.settle(self.receiving, Outcome.SKIPPED)

    def _leave_out(self, why: str) -> None:
        self.run.settle(self.receiving, Outcome.SKIPPED)
        if why not in self._said:
            self._said.add(why)
            self.logger.warning("%s", why)

    def _process_activate_version_message(self, message_dict: Message) -> None:
        """Moves the records of rows that are gone, after a tap has sent a table as a whole."""
        # The SDK's own form would warn for each message and expect a schema with its metadata.
        if not self.run.settings.on_delete:
            return
        for stream_map in self.mapper.stream_maps.get(message_dict["stream"], ()):
            sink = self._sinks_active.get(stream_map.stream_alias)
            if not isinstance(sink, ApolloSink):
                continue
            if self.bookmark_properties(message_dict["stream"]):
                # The tap sends only what changed, whatever version it calls active.
                self.run.saying.sends_changes_only(sink.stream_name)
                continue
            self.drain_one(sink)
            sink.move_vanished()

    def _reject_received(self, rejection: Rejection) -> None:
        for sink in self._sinks():
            sink.is_unsure_of_keys()
        self.run.rejecting.reject(self.receiving, rejection)
        self.run.check_limits()

    def _reject_line(self, line: bytes, line_number: int, problem: str) -> None:
        sentence = f"Line {line_number} ({len(line)} bytes) is {problem}"
        if self.run.settings.on_record_error == "fail":
            raise InvalidInputLine(f"{sentence}.")
        self._checkpoint.next_record()
        for sink in self._sinks():
            sink.is_unsure_of_keys()
        self.run.rejecting.reject_line(line, line_number, Rejection(Reason.UNREADABLE, sentence))
        self.run.check_limits()

    def _reject_long_line(self, length: int, line_number: int) -> None:
        sentence = f"Line {line_number} ({length} bytes) is {too_long()}"
        if self.run.settings.on_record_error == "fail":
            raise InvalidInputLine(f"{sentence}.")
        self._checkpoint.next_record()
        for sink in self._sinks():
            sink.is_unsure_of_keys()
        self.run.rejecting.reject_line(length, line_number, Rejection(Reason.TOO_LONG, sentence))
        self.run.check_limits()

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

    # --- STATE

    def pass_state(self, *, last: bool = False) -> None:
        """Prints the newest STATE whose records all have an outcome on disk.

        Args:
            last: Whether the run is at its end, where the interval between STATEs does not count.
        """
        if not self.run.advances_state:
            return
        now = time.monotonic()
        interval = self.run.settings.state_interval_seconds
        if not last and now - self._state_passed_at < interval:
            return
        pending = [s.oldest_pending for s in self._sinks() if s.oldest_pending is not None]
        covered = self._checkpoint.covered(pending)
        if covered is None or not covered[0]:
            return
        self.run.rejecting.keep()
        self._state_passed_at = now
        self._progress.make_way()
        sys.stdout.write(serialize_json(covered[0]) + "\n")
        sys.stdout.flush()
        self.run.state_at = self._checkpoint.received

    # --- the end

    def process_endofpipe(self) -> None:
        """Writes what is pending, unless a signal ended the reading, and ends the run."""
        if not self._stopping.signal_number:
            super().process_endofpipe()
        if self._reader.ended_early:
            self.run.saying.left_unread()
            self._reader.pass_over_rest()
        self.finish(None)

    def finish(self, problem: BaseException | None) -> Ending | None:
        """Passes the last STATE on and writes the summary; a second call does nothing.

        Returns:
            How the run ended, or None for a defect of this program.
        """
        ending = ending_of(problem, self._stopping.signal_number)
        if self._finished:
            return ending
        self._finished = True
        try:
            self.pass_state(last=True)
            self.run.rejecting.keep()
        except RunError as unwritable:
            ending = ending_of(unwritable, 0)
        self.run.close()
        if ending is not None and ending.exit_code == 0:
            ending = verdict(
                self.run.report.rejected_percent,
                self.run.settings.max_rejected_percent,
                self.run.rejecting.place,
            )
        self.ending = ending or Ending(1, "A defect of target-apollo ended the run.")
        self.run.summarise(self._checkpoint.received, self.ending.exit_code, self.ending.because)
        return ending

    def sync(self, file_input: IO[Any] | None = None) -> int:
        """Reads the input to its end, writes it, and gives the exit code of the run.

        Args:
            file_input: Singer messages; standard input where it is None.
        """
        self._progress.start()
        try:
            self.listen(file_input)
        except Exception as problem:
            if self.finish(problem) is None:
                raise
        finally:
            self._progress.stop()
        return self.ending.exit_code

    def _position(self) -> Position:
        return self.run.position(self._checkpoint.received, self._reader.part_read)

    @classmethod
    def _say(cls, problems: Iterable[str]) -> NoReturn:
        for sentence in problems:
            cls.logger.error("%s", sentence)
        sys.exit(2)

    def _handle_termination(
        self,
        signum: int,
        frame: FrameType | None,  # noqa: ARG002 - the SDK's signature
    ) -> None:
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
        collect_rarely()
        config = config or _ConfigInput()
        try:
            settings = dict(config.config)
            if config.parse_env:
                cls.append_builtin_config(cls.config_jsonschema)
                settings |= read_environment(cls.config_jsonschema)
            target = cls(config=settings)
        except ConfigValidationError as problem:
            cls._say(problem.errors)
        except SettingsError as problem:
            cls._say(problem.problems)
        try:
            exit_code = target.sync(file_input)
        except Exception as defect:  # noqa: BLE001 - its own words may show a record
            cls.logger.error("%s", logs.defect_text(defect))
            exit_code = FAILED
        target.leave_abandoned(exit_code)
        sys.exit(exit_code)

    def leave_abandoned(self, exit_code: int) -> None:
        """Ends the process after the run, if the thread of a request that was given up lives on."""
        if self.run.parallel.abandoned:
            logging.shutdown()
            os._exit(exit_code)


def main() -> None:
    """Entry point of ``target-apollo``."""
    try:
        TargetApollo.cli()
    except Exception as defect:  # noqa: BLE001 - its own words may show a record
        # It imports this module.
        from target_apollo.settings_sources import unusable_files

        unusable = unusable_files(sys.argv[1:])
        for sentence in unusable or [logs.defect_text(defect)]:
            logging.getLogger(TargetApollo.name).error("%s", sentence)
        sys.exit(MISCONFIGURED if unusable else FAILED)
