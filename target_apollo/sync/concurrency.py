"""Requests in parallel, and how a batch pauses while it waits for their answers.

No other module starts threads for requests. They share the API client, which is thread-safe; rows
and plans are frozen, and the caller's thread handles every result.

A request takes longer than the work on its rows. A batch is therefore written by a generator: it
yields once its requests are sent, the caller then reads the next records, and it handles the
answers when the caller resumes it. All of this is in one thread, in the order of the rows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from target_apollo.apollo import AllRefusedAlike, RunStopped, TeamRefused

T = TypeVar("T")

#: Yields whenever it would only wait for answers, and returns its result.
Steps = Generator[None, None, T]


def run_to_end(steps: Steps[T]) -> T:
    """Runs all steps without pausing between them, and returns the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def run_to_pause(steps: Steps[T]) -> T | None:
    """Runs steps to their first pause; the result if they end before it."""
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    return None


#: Seconds that unanswered requests have after the run was told to stop. A signal must end the
#: process within 10 seconds; the remaining 3 are for writing outcomes and STATE.
GRACE_SECONDS = 7.0

_LOOK_EVERY_SECONDS = 0.2

#: Threads while Apollo answers quickly. With answers of half a second these send 8 requests a
#: second, more than any limit of a minute lets through for long; each further thread takes memory.
_FEW = 4
_SLOW_SECONDS = 0.5


class RequestPool:
    """A bounded number of threads that send requests; few of them until an answer is slow.

    Args:
        stop: Set when the run is to end; unanswered requests then get `GRACE_SECONDS`.

    Attributes:
        abandoned: Whether a request was given up. Its thread would keep the interpreter from
            exiting.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._threads = threads
        self._pool = _executor(min(threads, _FEW))
        #: Whether the pool has fewer threads than it may have.
        self._is_small = threads > _FEW
        self._stop = stop
        self._deadline: float | None = None
        #: Whether an answer was slow, so that all threads are of use.
        self._is_slow = False
        #: Calls that were started and have not ended.
        self._under_way = 0
        self._counting = threading.Lock()
        #: The answer after which no further request makes sense.
        self._refused: TeamRefused | AllRefusedAlike | None = None
        self.abandoned = False

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """The result of each call in the order given, or the exception that it raised."""
        with self.start(calls) as results:
            return list(results)

    def start(self, calls: Sequence[Callable[[], T]]) -> StartedCalls[T]:
        """Starts calls; take their results in a ``with`` block.

        After Apollo has refused the whole team, calls that were not started raise that refusal.
        """
        with self._counting:
            if self._is_small and self._is_slow and not self._under_way:
                self._pool.shutdown()
                self._pool, self._is_small = _executor(self._threads), False
            self._under_way += len(calls)
        return StartedCalls(self, [self._pool.submit(self._call, call) for call in calls])

    def _call(self, call: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            if self._refused is not None:
                raise self._refused
            return call()
        except (TeamRefused, AllRefusedAlike) as refused:
            self._refused = refused
            raise
        finally:
            with self._counting:
                self._under_way -= 1
                self._is_slow |= time.monotonic() - began >= _SLOW_SECONDS

    def wait_for(self, futures: Collection[Future[T]]) -> None:
        """Waits until all calls have ended; gives them up `GRACE_SECONDS` after a stop."""
        unfinished = {future for future in futures if not future.done()}
        while unfinished:
            # Once a call was given up, the others get no more time.
            seconds = 0 if self.abandoned else _LOOK_EVERY_SECONDS
            _, unfinished = wait(unfinished, timeout=seconds)
            if unfinished and self._time_is_up():
                self.abandoned = True
                break

    def close(self) -> None:
        """Ends the threads; calls that were not started are dropped."""
        self._pool.shutdown(wait=not self.abandoned, cancel_futures=True)

    def _time_is_up(self) -> bool:
        if not self._stop.is_set():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + GRACE_SECONDS
        return time.monotonic() >= self._deadline


def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="apollo")


class StartedCalls(Generic[T]):
    """Calls that were started; iterate over it for their results.

    Results come in the order of the calls, while later calls may still run. Each result is what the
    call returned, or the exception that it raised. It is given once and not kept, since the answers
    of a whole batch are large. After the ``with`` block all calls have ended or were given up.
    """

    def __init__(self, pool: RequestPool, futures: Iterable[Future[T]]) -> None:
        self._pool = pool
        self._futures = deque(futures)

    def __enter__(self) -> StartedCalls[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.wait_for(self._futures)

    def __iter__(self) -> Iterator[T | Exception]:
        while self._futures:
            future = self._futures.popleft()
            self._pool.wait_for([future])
            problem = _problem_of(future)
            yield future.result() if problem is None else problem


def _problem_of(future: Future[T]) -> Exception | None:
    if not future.done():
        future.cancel()
        # Apollo may still carry out the request. Its rows get no outcome, as after a lost answer,
        # and the next run finds out whether they were written.
        return RunStopped("a request under way", maybe_written=True)
    problem = future.exception()
    if problem is not None and not isinstance(problem, Exception):
        raise problem
    return problem
