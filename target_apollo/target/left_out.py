"""Lines and records that reach no sink: unreadable, rejected, replayed or left out, and why.

After one of them, missing rows are no longer taken for deleted: the row of the lost record may
still be in its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from singer_sdk.exceptions import (
    InvalidRecord,
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.config.settings import SettingsError
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.rejects.rejects_file import UNREADABLE_STREAM
from target_apollo.sync.remarks import Remarks, Weight
from target_apollo.sync.run import SyncRun
from target_apollo.sync.settings_check import SettingsCheck
from target_apollo.sync.source_record import SourceRecord
from target_apollo.sync.source_schema import UnusableSchema
from target_apollo.target.odd_lines import too_long
from target_apollo.target.sinks import StreamSink, WaitingRecords


class Intake:
    """Gives an outcome to each line and record that reaches no sink.

    Args:
        sinks: All sinks, by the name of their stream; more may be added later.
    """

    def __init__(
        self,
        run: SyncRun,
        sinks: Mapping[str, StreamSink],
        waiting: WaitingRecords,
    ) -> None:
        self._run = run
        self._sinks = sinks
        self._waiting = waiting

    def reject(
        self, received: SourceRecord, rejection: Rejection, sinks: Sequence[str] = ()
    ) -> None:
        """Rejects a record that can't be handed to its sinks.

        Args:
            sinks: The streams of its sinks, as far as they are known. Where it is one, its next
                flush rejects the record, since the ledger may know it as rejected before.

        Raises:
            InvalidRecord: `on_record_error` is ``fail``.
            RunError: Too many records are rejected, or the rejects file can't be written.
            ApolloError: The records that fill the sink can't be written.
        """
        self._mark_incomplete(self._sinks.values())
        settings = self._run.settings
        may_be_known = settings.ledger_url and settings.on_record_error != "fail"
        if len(sinks) == 1 and may_be_known and received.former is None:
            sink = self._sinks[sinks[0]]
            sink.add_rejected(received, rejection)
            self._waiting.added(sink, received.length)
            return
        self._run.rejects.reject(received, rejection)
        self._run.check_limits()

    def reject_line(self, line: bytes, line_number: int, problem: str) -> None:
        """Rejects a line that is no Singer message.

        Args:
            problem: The end of the sentence ``Line 3 (20 bytes) is …``.

        Raises:
            InvalidInputLine: `on_record_error` is ``fail``.
            RunError: Too many records are rejected, or the rejects file can't be written.
        """
        sentence = f"Line {line_number} ({len(line)} bytes) is {problem}"
        self._reject_line(line, line_number, Rejection(Reason.UNREADABLE, sentence))

    def reject_long_line(self, length: int, line_number: int) -> None:
        """Rejects a line of `length` bytes that was skipped; raises as `reject_line`."""
        sentence = f"Line {line_number} ({length} bytes) is {too_long()}"
        self._reject_line(length, line_number, Rejection(Reason.TOO_LONG, sentence))

    def _reject_line(self, line: bytes | int, line_number: int, rejection: Rejection) -> None:
        if self._run.settings.on_record_error == "fail":
            raise InvalidInputLine(f"{rejection.detail}.")
        self._run.counts.received += 1
        self._mark_incomplete(self._sinks.values())
        self._run.rejects.reject_line(line, line_number, rejection)
        self._run.check_limits()

    def unusable_stream(self, stream: str, line_number: int, problem: Exception) -> Rejection:
        """Logs why a stream of the rejects file can't be used; returns why its records can't."""
        why = _sentence_of(problem)
        self._run.logger.error(
            "Line %d of %s: the SCHEMA of stream '%s' can't be used: %s Its records stay there.",
            line_number,
            self._run.rejects.file.path,
            stream,
            why,
        )
        return Rejection(Reason.NO_SCHEMA, f"the SCHEMA of its stream can't be used: {why}")

    def leave_out(self, stream: str) -> None:
        """Counts a record of a stream without a sink; answers Meltano's test of a loader.

        Raises:
            SettingsError: It is not known whether the stream holds contacts or accounts, or Meltano
                tests settings with which a run would be refused.
            ApolloError, RunError: Meltano tests credentials that Apollo does not know, or Apollo
                can't be reached.
        """
        settings = self._run.settings
        if stream == MELTANO_TEST:
            _answer_test(self._run)
            return
        if not settings.leaves_out(stream) and not settings.has_object(stream):
            # Raises, and says how to set the object.
            settings.of_stream(stream)
        self._run.counts.left_out[stream] += 1

    def skip_replayed(self, received: SourceRecord) -> bool:
        """Skips a record that was rejected before and would be again; True if it was skipped.

        These are lines that were no Singer messages, and records that this very run rejected.
        """
        if received.stream == UNREADABLE_STREAM:
            self._run.notices.unreadable_again()
        elif received.former is not None and received.former.run_id == self._run.run_id:
            self._run.notices.own_rejects()
        else:
            return False
        self._run.skip(received)
        return True

    @staticmethod
    def _mark_incomplete(sinks: Iterable[StreamSink]) -> None:
        for sink in sinks:
            sink.note_lost_record()


#: The stream that Meltano sends to test a loader (``meltano config test target-apollo``), with one
#: record. No run but that test has a stream of this name.
MELTANO_TEST: Final = "meltano_test_stream"

#: What is raised for a SCHEMA that can't be used.
UNUSABLE_SCHEMA = (SettingsError, UnusableSchema)


def _sentence_of(problem: Exception) -> str:
    if isinstance(problem, SettingsError):
        return " ".join(problem.problems)
    return str(problem)


#: Most properties of a record. Contacts and accounts have far fewer, and each one is looked up.
MOST_PROPERTIES = 10_000

_REASONS: Mapping[type[Exception], Reason] = {
    InvalidRecord: Reason.SCHEMA_MISMATCH,
    MissingKeyPropertiesError: Reason.MISSING_KEY_PROPERTY,
    RecordsWithoutSchemaException: Reason.NO_SCHEMA,
    MapExpressionError: Reason.STREAM_MAP,
}


def rejection_of(problem: Exception, stream: str, key_properties: Sequence[str]) -> Rejection:
    """The rejection for one of the SDK's exceptions about a record (`exit.RECORD_ERRORS`)."""
    reason = next(reason for kind, reason in _REASONS.items() if isinstance(problem, kind))
    detail = {
        Reason.MISSING_KEY_PROPERTY: f"it lacks a key property: {', '.join(key_properties)}",
        Reason.NO_SCHEMA: f"it came before the SCHEMA of stream '{stream}'",
    }.get(reason, str(problem.args[0] if problem.args else problem))
    return Rejection(reason, detail)


def too_wide(record: Mapping[str, object]) -> Rejection:
    """The rejection for a record of more than `MOST_PROPERTIES` properties."""
    return Rejection(
        Reason.TOO_MANY_PROPERTIES,
        f"it has {len(record)} properties, and at most {MOST_PROPERTIES} are read",
    )


def _answer_test(run: SyncRun) -> None:
    """Checks what a run with these settings would refuse whatever its rows are; writes nothing.

    Meltano expects that a loader writes the record of its test.

    Raises:
        ApolloError, RunError: Apollo does not know the credentials, or can't be reached.
        SettingsError: A run would be refused.
    """
    _ = run.connection
    remarks = Remarks()
    SettingsCheck(run, [*ObjectKind], remarks).check()
    faults = [one.sentence for one in remarks.all if one.weight is Weight.FAULT]
    if faults:
        raise SettingsError(faults)
    run.logger.info(
        "This is Meltano's test of a loader: Apollo knows the credentials, the settings can be "
        "followed, and nothing is written. `apollo-sync check` says more."
    )
