"""The end of a run: its last STATE, its rejected records on disk, its summary and exit code."""

from __future__ import annotations

from contextlib import suppress

from target_apollo.sync.exit import FAILED, RunEnd, RunError, check_reject_limit, ending_of
from target_apollo.sync.run import SyncRun
from target_apollo.target.process import SignalHandler
from target_apollo.target.state import Checkpoint, StateWriter


class RunFinisher:
    """Ends a run, once.

    Attributes:
        ending: How the run ended; that of a defect as long as it has not.
    """

    def __init__(
        self,
        run: SyncRun,
        checkpoint: Checkpoint,
        state_writer: StateWriter,
        signals: SignalHandler,
    ) -> None:
        self.ending = RunEnd(FAILED, "A defect of target-apollo ended the run.")
        self._run = run
        self._checkpoint = checkpoint
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
        run.close()
        if ending is not None and ending.exit_code == 0:
            ending = check_reject_limit(
                run.counts.rejected_percent,
                run.settings.max_rejected_percent,
                run.rejects.location,
                rejected=run.counts.rejected_newly,
            )
        self.ending = ending or self.ending
        run.summarise(self._checkpoint.received, self.ending)
        return ending
