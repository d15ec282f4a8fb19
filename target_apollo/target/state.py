"""STATE on standard output: the newest STATE whose records all have an outcome on disk.

Records are numbered in the order of their arrival. A sink that holds records tells the number of
the oldest one; a STATE may be written if it arrived before that record.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_apollo.sync.exit import RunError
from target_apollo.sync.run import SyncRun
from target_apollo.system.standard_streams import why_unwritable
from target_apollo.target.sinks import StreamSink
from target_apollo.target.stdin import LongValue


class Checkpoint:
    """Numbers records and holds STATE back until all records before it have an outcome. Pure.

    A STATE goes one way: received -> covered (every record before it has an outcome on disk) ->
    written, or replaced by a newer one that is covered too.
    """

    def __init__(self) -> None:
        self._received = 0
        self._waiting: deque[tuple[int, Any]] = deque()

    @property
    def received(self) -> int:
        """Records received so far; also the number of the newest."""
        return self._received

    def next_record(self) -> int:
        """Counts a record that has just arrived and returns its number; the first is 1."""
        self._received += 1
        return self._received

    def hold(self, value: Any) -> None:
        """Keeps the value of a STATE message that arrived after the newest record.

        An empty value has no bookmark: taps send it at their start, or at their end for want of
        one. It is left out, since Meltano would forget the bookmarks that it has.
        """
        if not value:
            return
        if self._waiting and self._waiting[-1][0] == self._received:
            self._waiting.pop()
        self._waiting.append((self._received, value))

    def covered(self, oldest_pending: Iterable[int]) -> tuple[Any] | None:
        """Removes and returns the newest STATE that may be written, in a tuple, or None.

        Args:
            oldest_pending: For every sink that holds records, the number of its oldest.
        """
        limit = min(oldest_pending, default=self._received + 1)
        found: tuple[Any] | None = None
        while self._waiting and self._waiting[0][0] < limit:
            found = (self._waiting.popleft()[1],)
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
        self._run.state_at = self._checkpoint.received


def _line_of(value: Any) -> str:
    if isinstance(value, LongValue):
        return value.text + "\n"
    return serialize_json(value) + "\n"
