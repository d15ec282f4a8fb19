"""The end of a run: rows missing in whole tables, the last STATE, its summary and exit code."""

from __future__ import annotations

from contextlib import suppress

from target_apollo.apollo import ApolloError
from target_apollo.ledger import LedgerError
from target_apollo.sync.deletions.missing_rows import WholeTable, move_missing_rows
from target_apollo.sync.deletions.whole_tables import SourceTables, doubt_of_all
from target_apollo.sync.exit import (
    FAILED,
    OK,
    OUT_OF_QUOTA,
    RunEnd,
    RunError,
    check_reject_limit,
    ending_of,
)
from target_apollo.sync.run import SyncRun
from target_apollo.sync.summary import summarise
from target_apollo.sync.updates.pending_fields import count_pending_fields, send_pending_fields
from target_apollo.target.object_sinks import ObjectSink
from target_apollo.target.process import SignalHandler
from target_apollo.target.record_sinks import RecordSink
from target_apollo.target.state import StateWriter
from target_apollo.target.stream_setup import StreamSetup


def finish_whole_tables(run: SyncRun, tables: SourceTables, setup: StreamSetup) -> None:
    """Does what follows from rows that are missing in tables that were sent as a whole.

    Raises:
        RunError: Too many rows are missing, so a person has to check the source first.
        ApolloError, LedgerError: The run can't go on.
    """
    whole: list[WholeTable] = []
    mirrors: list[ObjectSink] = []
    for name, sink in setup.sinks.items():
        if not sink.waits_for_whole_table or not _is_whole(run, tables, name, setup):
            continue
        if isinstance(sink, ObjectSink):
            mirrors.append(sink)
        elif isinstance(sink, RecordSink) and (table := sink.whole_table()) is not None:
            whole.append(table)
    move_missing_rows(run, whole)
    for mirror in mirrors:
        mirror.write_missing()


def _is_whole(run: SyncRun, tables: SourceTables, sink_name: str, setup: StreamSetup) -> bool:
    """Whether all source streams that feed a sink were sent whole; if not, it is logged why."""
    started_at = run.counts.started_at
    found = doubt_of_all(tables, setup.sources_of(sink_name), started_at)
    if found is not None:
        stream, doubt = found
        run.notices.not_whole(sink_name, stream, doubt, tables.began(stream, started_at))
    return found is None


class RunFinisher:
    """Ends a run, once.

    Attributes:
        ending: How the run ended; that of a defect as long as it has not.
    """

    def __init__(
        self,
        run: SyncRun,
        state_writer: StateWriter,
        signals: SignalHandler,
    ) -> None:
        self.ending = RunEnd(FAILED, "A defect of target-apollo ended the run.")
        self._run = run
        self._state_writer = state_writer
        self._signals = signals
        self._is_finished = False

    def finish(self, problem: BaseException | None) -> RunEnd | None:
        """Writes what a run leaves behind: its last STATE, rejected records and summary.

        A second call does nothing.

        Args:
            problem: The exception that ended the run; None where the input came to its end.

        Returns:
            How the run ended, or None for a defect of this program.
        """
        run = self._run
        ending = ending_of(problem, self._signals.signal_number)
        if self._is_finished:
            return ending
        self._is_finished = True
        with suppress(Exception):
            # Rows that Apollo confirms here count; the reason for the end is known already.
            run.pending_flush.finish()
        try:
            self._state_writer.write()
            run.rejects.keep()
        except RunError as unwritable:
            ending = ending_of(unwritable, 0)
        else:
            ending = self._send_pending_fields(ending)
        run.close()
        if ending is not None and ending.exit_code == 0:
            ending = check_reject_limit(
                run.counts.rejected_percent,
                run.settings.max_rejected_percent,
                run.rejects.location,
                rejected=run.counts.rejected_newly,
            )
        self.ending = ending or self.ending
        run.summary = summarise(run, self.ending)
        return ending

    def _send_pending_fields(self, ending: RunEnd | None) -> RunEnd | None:
        """Sends values that wait in the ledger, if the run came to its end or to a limit of Apollo.

        Returns:
            How the run ended, if that failed; else how it ended before.
        """
        if ending is None or self._run.adoption is not None:
            return ending
        try:
            if ending.exit_code in (OK, OUT_OF_QUOTA):
                send_pending_fields(self._run)
            else:
                count_pending_fields(self._run)
        except (ApolloError, LedgerError, RunError) as problem:
            return (
                ending_of(problem, self._signals.signal_number) if not ending.exit_code else ending
            )
        return ending
