"""When a request may go out: after a 429's wait, within the quota, and never after a stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from target_apollo.apollo.errors import QuotaExhausted, RunStopped
from target_apollo.apollo.rate_windows import Slot
from target_apollo.apollo.waits import Gates, Wait, WaitReason

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from target_apollo.apollo.counters import Counters
    from target_apollo.apollo.pacer import Pacer


@dataclass
class Course:
    """What one request has been through so far. `waited` is in seconds, for rate limits only."""

    endpoint: str
    delays: Iterator[float]
    tries: int = 0
    failures: int = 0
    waited: float = 0.0
    refreshed: bool = False
    maybe_written: bool = False


class Turns:
    """Makes requests wait for their turn. Shared by all threads of a transport.

    `max_wait_seconds` bounds all waits of one request for rate limits together. `on_wait` is told
    of each wait, by the thread that waits; threads that wait for the same moment count as one.
    """

    def __init__(
        self,
        *,
        pacer: Pacer,
        gates: Gates,
        max_wait_seconds: float,
        stop: threading.Event,
        on_wait: Callable[[Wait], None],
        counters: Counters,
    ) -> None:
        self._pacer = pacer
        self._gates = gates
        self._max_wait = max_wait_seconds
        self._stop = stop
        self._on_wait = on_wait
        self._counters = counters

    def take(self, course: Course) -> Slot:
        """Wait for the turn of a request's next try; every try passes here.

        Raises RunStopped, and QuotaExhausted before a wait that is too long.
        """
        endpoint = course.endpoint
        while True:
            self._check_stop(course)
            if seconds := self._gates.closed_for(endpoint):
                self._check_patience(course, seconds)
                told = self._gates.first_to_wait(endpoint)
                self._wait(course, WaitReason.RATE_LIMIT, seconds, told=told)
                continue
            turn = self._pacer.take(endpoint)
            if isinstance(turn, Slot):
                return turn
            if turn is not None and (seconds := turn.moment - time.monotonic()) > 0:
                self._check_patience(course, seconds)
                told = self._pacer.first_to_wait(endpoint, turn)
                self._wait(course, WaitReason.QUOTA, seconds, told=told)

    def pause(self, course: Course, seconds: float) -> None:
        """Wait before another try after a lost answer. Raises RunStopped."""
        self._wait(course, WaitReason.RETRY, seconds, told=True)

    def _check_patience(self, course: Course, seconds: float) -> None:
        if course.waited + seconds > self._max_wait:
            raise QuotaExhausted(course.endpoint, retry_at=_in(seconds))
        course.waited += seconds

    def _wait(self, course: Course, reason: WaitReason, seconds: float, *, told: bool) -> None:
        if told:
            self._on_wait(Wait(course.endpoint, reason, seconds, _in(seconds)))
        began = time.monotonic()
        self._stop.wait(seconds)
        self._counters.waited(time.monotonic() - began)
        self._check_stop(course)

    def _check_stop(self, course: Course) -> None:
        if self._stop.is_set():
            raise RunStopped(course.endpoint, maybe_written=course.maybe_written)


def _in(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)
