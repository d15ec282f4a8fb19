"""STATE on standard output: the newest one whose records all have an outcome on disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from singer_sdk.singerlib.json import serialize_json

from target_apollo.sync.run import Run
from target_apollo.target.sinks import ApolloSink
from target_apollo.target.state import Checkpoint


class PassingState:
    """Passes STATE on, no more often than `state_interval_seconds` says.

    Args:
        sinks: All sinks that there are at the moment.
        make_way: Called before a line is printed, for what a terminal shows there.
    """

    def __init__(
        self,
        run: Run,
        checkpoint: Checkpoint,
        sinks: Callable[[], Iterable[ApolloSink]],
        make_way: Callable[[], None],
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._sinks = sinks
        self._make_way = make_way
        self._passed_at = 0.0

    def pass_on(self, *, last: bool = False) -> None:
        """Prints the newest STATE that may pass, if there is one.

        Args:
            last: Whether the run is at its end, where the interval between STATEs does not count.

        Raises:
            RunError: The rejected records before it can't be kept.
        """
        if not self._run.advances_state:
            return
        now = time.monotonic()
        interval = self._run.settings.state_interval_seconds
        if not last and now - self._passed_at < interval:
            return
        waiting = [self._run.under_way.oldest, *(sink.oldest_pending for sink in self._sinks())]
        covered = self._checkpoint.covered([number for number in waiting if number is not None])
        if covered is None or not covered[0]:
            return
        self._run.rejecting.keep()
        self._passed_at = now
        self._make_way()
        sys.stdout.write(serialize_json(covered[0]) + "\n")
        sys.stdout.flush()
        self._run.state_at = self._checkpoint.received
