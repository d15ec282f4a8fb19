"""The one place where calls run at the same time, and how a flush pauses for their answers.

What threads share is the API client, which is made for it; rows and plans are frozen, and every
result is handled by the caller's thread.

Apollo, or the network to it, takes longer over a request than a run over its rows. So a flush is a
generator: it yields once its requests are out, the next records are read meanwhile, and it goes on
with the answers when it is asked to. All of it stays in one thread, in the order of the rows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from target_apollo.apollo import RunStopped

T = TypeVar("T")

#: Yields whenever it would only wait for answers, and returns its result.
Steps = Generator[None, None, T]


def run_to_end(steps: Steps[T]) -> T:
    """Runs all steps, waiting wherever they would pause, and gives their result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


#: How long requests may go on after the run was told to stop. A signal must end the process within
#: 10 seconds, and the rest is for writing outcomes and STATE down.
GRACE_SECONDS = 7.0

_LOOK_EVERY_SECONDS = 0.2


class RequestPool:
    """A bounded number of threads that send requests.

    Args:
        stop: Set when the run is to end; requests under way then get `GRACE_SECONDS`.

    Attributes:
        abandoned: Whether a request was given up; its thread keeps the interpreter from ending by
            itself.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="apollo")
        self._stop = stop
        self._deadline: float | None = None
        self.abandoned = False

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """The result of each call in the order given, or the exception that it raised."""
        with self.start(calls) as results:
            return list(results)

    def start(self, calls: Sequence[Callable[[], T]]) -> StartedCalls[T]:
        """Starts calls; their results are to be taken in a ``with`` block."""
        return StartedCalls(self, [self._pool.submit(call) for call in calls])

    def wait_for(self, futures: Collection[Future[T]]) -> None:
        """Waits until calls are over, or given up after a stop."""
        unfinished = {future for future in futures if not future.done()}
        while unfinished:
            # Once the time is up for one call it is for all.
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


class StartedCalls(Generic[T]):
    """Calls under way, over which one iterates for their results.

    Results come in the order of the calls, while later ones are still under way: a result or the
    exception that the call raised. Each comes once and is not kept, since the answers of a whole
    flush are large. When the ``with`` block ends, however it does, all calls are over or given up.
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
        # Its request is on its way and may be carried out: like a lost answer, it gives its rows
        # no outcome, and the next run finds out.
        return RunStopped("a request under way", maybe_written=True)
    problem = future.exception()
    if problem is not None and not isinstance(problem, Exception):
        raise problem
    return problem
