"""The one place where calls run at the same time.

What threads share is the API client, which is made for it; rows and plans are frozen, and every
result is handled by the caller's thread.

Work that pauses while its requests are under way, so that the next records are read meanwhile.

Apollo, or the network to it, takes longer over a request than a run over its rows. So a flush is a
generator: it yields once its requests are out, and goes on with their answers when it is asked to.
All of it stays in one thread, and nothing is taken in hand out of order.

Keeps threads that run one at a time on one processor, near to what they share.

The interpreter lets one thread of a process run at a time. Where the kernel spreads them over
processors, the memory that they share moves from cache to cache at every turn, which costs more
than the second processor brings (`benchmarks/README.md`).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from target_apollo.apollo import RunStopped

T = TypeVar("T")

#: Yields whenever it would only wait for answers.
Flow = Generator[None, None, T]


def finish(flow: Flow[T]) -> T:
    """Goes through with a flow, waiting wherever it would pause, and gives its result."""
    while True:
        try:
            next(flow)
        except StopIteration as end:
            result: T = end.value
            return result


class UnderWay:
    """The flush of a run whose requests are under way; there is one at most.

    Two at a time could create one and the same record twice.

    Attributes:
        oldest: Number of its first record, which STATE may not pass; None without a flush. It
            stays when the flush fails, since not all of its records have an outcome then.
    """

    def __init__(self) -> None:
        self._flow: Flow[None] | None = None
        self._owner: object = None
        self.oldest: int | None = None

    def begin(self, owner: object, oldest: int | None, flow: Flow[None]) -> None:
        """Starts a flush; returns when its first requests are out, or all of it is done.

        Args:
            owner: Whose flush it is.
            oldest: Number of its first record.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        self.finish()
        self.oldest = oldest
        try:
            next(flow)
        except StopIteration:
            self.oldest = None
        else:
            self._flow, self._owner = flow, owner

    def is_of(self, owner: object) -> bool:
        """Whether no flush is under way but one of this owner."""
        return self._flow is None or self._owner is owner

    def finish(self) -> None:
        """Goes through with the flush that is under way, if there is one.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        if self._flow is not None:
            flow, self._flow = self._flow, None
            finish(flow)
            self.oldest = None


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


#: How long calls under way may go on after the run was told to stop. A signal must end the process
#: within 10 seconds, and the rest is for writing outcomes and STATE down.
GRACE_SECONDS = 7.0

_LOOK_EVERY_SECONDS = 0.2


class Parallel:
    """A bounded pool whose calls are over, or given up after a stop, when `run` or `each` ends.

    Args:
        stop: Set when the run is to end; calls under way then get `GRACE_SECONDS`.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._processor = OneProcessor()
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="apollo", initializer=self._processor.join
        )
        self._stop = stop
        self._deadline: float | None = None
        #: Whether a call was given up; its thread keeps the interpreter from ending by itself.
        self.abandoned = False

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """The result of each call in the order given, or the exception that it raised."""
        results: list[T | Exception] = []
        finish(self.each(calls, lambda _, result: results.append(result)))
        return results

    def each(
        self, calls: Sequence[Callable[[], T]], take: Callable[[int, T | Exception], None]
    ) -> Flow[None]:
        """Hands results over in the order of the calls, while later ones are still under way.

        Yields when all calls are on their way, before it waits for the first.

        Args:
            take: Gets the place of a call and its result, or the exception that it raised. If this
                raises, the other calls are still waited for, and their results are lost.
        """
        self._processor.gather()
        futures = [self._pool.submit(call) for call in calls]
        try:
            if futures:
                yield
            for place, future in enumerate(futures):
                self._wait_for([future])
                problem = _problem_of(future)
                take(place, future.result() if problem is None else problem)
        finally:
            self._wait_for(futures)
            self._processor.let_go()

    def _wait_for(self, futures: Sequence[Future[T]]) -> None:
        """Waits until calls are over, or given up."""
        open_futures = {future for future in futures if not future.done()}
        while open_futures:
            # Once the time is up for one call it is for all.
            seconds = 0 if self.abandoned else _LOOK_EVERY_SECONDS
            _, open_futures = wait(open_futures, timeout=seconds)
            if open_futures and self._time_is_up():
                self.abandoned = True
                break

    def close(self) -> None:
        """Ends the threads; calls that were not started are dropped."""
        self._processor.let_go(now=True)
        self._pool.shutdown(wait=not self.abandoned, cancel_futures=True)

    def _time_is_up(self) -> bool:
        if not self._stop.is_set():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + GRACE_SECONDS
        return time.monotonic() >= self._deadline


def _problem_of(future: Future[T]) -> Exception | None:
    if not future.done():
        future.cancel()
        # Its request is on its way and may be carried out: like a lost answer, it is neither
        # settled nor acknowledged, and the next run finds out.
        return RunStopped("a request under way", maybe_written=True)
    problem = future.exception()
    if problem is not None and not isinstance(problem, Exception):
        raise problem
    return problem
