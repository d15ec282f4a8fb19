"""The one place where calls run at the same time.

What threads share is the API client, which is made for it; rows and plans are frozen, and every
result is handled by the caller's thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from target_apollo.apollo import RunStopped
from target_apollo.sync.one_processor import OneProcessor
from target_apollo.sync.under_way import Flow, finish

T = TypeVar("T")

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
