"""The one place where calls run at the same time.

What threads share is the API client, which is made for it; rows and plans are frozen, and every
result is handled by the caller's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Parallel:
    """A bounded pool whose calls are all over when `run` returns."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="apollo")

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """The result of each call in the order given, or the exception that it raised."""
        futures = [self._pool.submit(call) for call in calls]
        return [future.exception() or future.result() for future in futures]  # type: ignore[misc]

    def close(self) -> None:
        """Ends the threads; calls that were not started are dropped."""
        self._pool.shutdown(cancel_futures=True)
