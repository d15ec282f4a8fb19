"""The end of a run: its last STATE, its rejected records on disk, its verdict, its summary."""

from __future__ import annotations

from contextlib import suppress

from target_apollo.sync.exit import Ending, RunError, ending_of, verdict
from target_apollo.sync.run import Run
from target_apollo.target.passing_state import PassingState
from target_apollo.target.state import Checkpoint
from target_apollo.target.stopping import Stopping


class Finishing:
    """Ends a run once, however often it is asked to.

    Attributes:
        ending: How the run ended; a defect until that is known.
    """

    def __init__(
        self, run: Run, checkpoint: Checkpoint, state: PassingState, stopping: Stopping
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._state = state
        self._stopping = stopping
        self._finished = False
        self.ending = Ending(1, "A defect of target-apollo ended the run.")

    def finish(self, problem: BaseException | None) -> Ending | None:
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
            self._run.under_way.finish()
        try:
            self._state.pass_on(last=True)
            self._run.rejecting.keep()
        except RunError as unwritable:
            ending = ending_of(unwritable, 0)
        self._run.close()
        if ending is not None and ending.exit_code == 0:
            ending = verdict(
                self._run.report.rejected_percent,
                self._run.settings.max_rejected_percent,
                self._run.rejecting.place,
            )
        self.ending = ending or self.ending
        received = self._checkpoint.received
        self._run.summarise(received, self.ending.exit_code, self.ending.because)
        return ending
