"""STATE on standard output: the newest STATE whose records all have an outcome on disk.

Records are numbered in the order of their arrival. A sink that holds records tells the number of
the oldest one; a STATE may be written if it arrived before that record.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_apollo.sync.exit import RunError
from target_apollo.sync.run import SyncRun
from target_apollo.system.standard_streams import why_unwritable
from target_apollo.target.odd_lines import LongValue
from target_apollo.target.sinks import StreamSink


class Checkpoint:
    """Holds STATE back until all records before it have an outcome. Pure.

    A STATE goes one way: received -> covered (every record before it has an outcome on disk) ->
    written, or replaced by a newer one that is covered too.

    Attributes:
        waiting: What is held: the number of the record before a STATE, and its value.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, Any]] = deque()

    def hold(self, value: Any, after: int) -> None:
        """Keeps the value of a STATE message.

        An empty value has no bookmark: taps send it at their start, or at their end for want of
        one. It is left out, since Meltano would forget the bookmarks that it has.

        Args:
            after: The number of the newest record that arrived before it.
        """
        if not value:
            return
        if self.waiting and self.waiting[-1][0] == after:
            self.waiting.pop()
        self.waiting.append((after, value))

    def covered(self, oldest_pending: Iterable[int]) -> tuple[Any] | None:
        """Removes and returns the newest STATE that may be written, in a tuple, or None.

        Args:
            oldest_pending: For every sink that holds records, the number of its oldest.
        """
        limit = min(oldest_pending, default=math.inf)
        found: tuple[Any] | None = None
        while self.waiting and self.waiting[0][0] < limit:
            found = (self.waiting.popleft()[1],)
        return found


class StateWriter:
    """Writes STATE to standard output, at most once in `state_interval_seconds`.

    Args:
        sinks: All sinks, by the name of their stream; more may be added later.
        clear_line: Called before a line is printed, to remove the progress line of a terminal.
    """

    def __init__(
        self,
        run: SyncRun,
        checkpoint: Checkpoint,
        sinks: Mapping[str, StreamSink],
        clear_line: Callable[[], None],
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._sinks = sinks
        self._clear_line = clear_line
        self._written_at = 0.0

    def write_if_due(self) -> None:
        """Calls `write`, unless the last STATE is younger than the interval."""
        interval = self._run.settings.state_interval_seconds
        if time.monotonic() - self._written_at >= interval:
            self.write()

    def write(self) -> None:
        """Writes the newest STATE that may be written, if there is one.

        Raises:
            RunError: The rejected records before it can't be put on disk, or standard output
                can't be written to.
        """
        if not self._run.advances_state:
            return
        waiting = [
            self._run.pending_flush.oldest,
            *(sink.oldest_pending for sink in self._sinks.values()),
        ]
        covered = self._checkpoint.covered([number for number in waiting if number is not None])
        if covered is None:
            return
        self._run.rejects.keep()
        self._written_at = time.monotonic()
        self._clear_line()
        try:
            sys.stdout.write(_line_of(covered[0]))
            sys.stdout.flush()
        except OSError as problem:
            raise RunError(
                f"{why_unwritable(problem)} The last STATE is not passed on: the next run reads "
                "its rows again, and writes none of them twice."
            ) from None
        self._run.state_at = self._run.counts.received


def _line_of(value: Any) -> str:
    if isinstance(value, LongValue):
        return value.text + "\n"
    return serialize_json(value) + "\n"
