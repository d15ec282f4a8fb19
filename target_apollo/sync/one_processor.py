"""Keeps threads that run one at a time on one processor, near to what they share.

The interpreter lets one thread of a process run at a time. Where the kernel spreads them over
processors, the memory that they share moves from cache to cache at every turn, which costs more
than the second processor brings (`benchmarks/README.md`).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

#: How long threads stay where they were gathered. Then the kernel may move the one that gathers
#: them to a processor with less to do, and the others follow.
_STAY_SECONDS = 1.0
#: Place of the processor among what the kernel says of a thread after its name (proc(5)).
_PROCESSOR = 36


class OneProcessor:
    """Gathers threads on the processor of the thread that calls `gather`.

    Does nothing where the system can't keep threads on a processor, or has one only.
    """

    def __init__(self) -> None:
        self._others: list[int] = []
        #: The processors that the gathering thread may use; empty while the threads are let go.
        self._allowed: set[int] = set()
        self._gathered_at = 0.0

    def join(self) -> None:
        """Counts the calling thread among those that are gathered."""
        self._others.append(threading.get_native_id())

    def gather(self) -> None:
        """Keeps all threads where the calling one is; those that it starts later stay there too."""
        if self._allowed:
            return
        # Whatever goes wrong here, the run only takes longer.
        with suppress(OSError, ValueError, IndexError):
            allowed = _allowed_processors()
            if len(allowed) > 1:
                here = {_this_processor()}
                # Before any thread is kept, so that all that are kept are let go.
                self._allowed, self._gathered_at = allowed, time.monotonic()
                for thread in (0, *self._others):
                    _keep_on(thread, here)

    def let_go(self, *, now: bool = False) -> None:
        """Lets the calling thread use all processors again, unless it was gathered just before.

        Args:
            now: However short the time was.
        """
        if self._allowed and (now or time.monotonic() - self._gathered_at > _STAY_SECONDS):
            with suppress(OSError):
                _keep_on(0, self._allowed)
            self._allowed = set()


def _allowed_processors() -> set[int]:
    # An interpreter without its lock has threads that run at the same time.
    takes_turns: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.platform == "linux" and takes_turns:
        return os.sched_getaffinity(0)
    return set()


def _keep_on(thread: int, processors: set[int]) -> None:
    if sys.platform == "linux":
        os.sched_setaffinity(thread, processors)


def _this_processor() -> int:
    said = Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace")
    return int(said.rpartition(")")[2].split()[_PROCESSOR])
