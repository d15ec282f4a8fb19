"""Requests through the client's pacing into Apollo's windows, on a clock that costs no time."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from target_apollo.apollo.quota import WINDOW_SECONDS, Window, Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit
from target_apollo.sandbox.rate_windows import EndpointWindows, Exhausted, Limits, Schedule, Usage


@dataclass(frozen=True)
class Sent:
    """A request: the endpoint that counts it, and how many contacts are changed by it."""

    endpoint: str
    changed: int


@dataclass
class Course:
    """What came of the requests; moments are in seconds from the first one."""

    refused: int = 0
    changed: list[tuple[float, int]] = field(default_factory=list)

    def moment_of(self, contact: int) -> float:
        """When the contact of this number was changed, 1 being the first."""
        seen = 0
        for moment, count in self.changed:
            seen += count
            if seen >= contact:
                return moment
        raise ValueError(f"only {seen} contacts were changed")


def send_all(requests: Sequence[Sent], limits: Limits, workers: int, latency: float) -> Course:
    """Send the requests in their order, each as soon as a worker is free and its endpoint has room.

    An answer comes `latency` seconds after its request; Apollo counts the request halfway.
    """
    return _Simulation(requests, limits, latency).run(workers)


class _Simulation:
    def __init__(self, requests: Sequence[Sent], limits: Limits, latency: float) -> None:
        self._left = iter(requests)
        self._latency = latency
        self._schedule = Schedule(limits, WINDOW_SECONDS)
        self._pacers: dict[str, EndpointPacer] = defaultdict(
            lambda: EndpointPacer(WINDOW_SECONDS, 1)
        )
        self._windows: dict[str, EndpointWindows] = defaultdict(EndpointWindows)
        self._waiting: dict[str, list[Sent]] = defaultdict(list)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._course = Course()

    def run(self, workers: int) -> Course:
        for _ in range(workers):
            self._next()
        while self._queue:
            self._now, _, happens = heapq.heappop(self._queue)
            happens()
        if any(self._waiting.values()) or next(self._left, None) is not None:
            raise RuntimeError("the workers have come to a standstill")
        return self._course

    def _in(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self._now + seconds, next(self._order), happens))

    def _next(self) -> None:
        request = next(self._left, None)
        if request is not None:
            self._try(request)

    def _try(self, request: Sent) -> None:
        turn = self._pacers[request.endpoint].acquire(self._now)
        if isinstance(turn, Permit):
            permit = turn
            self._in(self._latency / 2, lambda: self._arrive(request, permit))
        elif isinstance(turn, FullUntil):
            self._in(max(0.0, turn.moment - self._now), lambda: self._try(request))
        else:
            self._waiting[request.endpoint].append(request)

    def _arrive(self, request: Sent, permit: Permit) -> None:
        windows = self._windows[request.endpoint]
        full = windows.count(self._schedule, self._now)
        said = _said(windows.usage(self._schedule, self._now))
        self._in(self._latency / 2, lambda: self._answer(request, permit, said, full))

    def _answer(self, request: Sent, permit: Permit, said: Windows, full: Exhausted | None) -> None:
        pace = self._pacers[request.endpoint]
        if full is None:
            pace.answered(permit, self._now, said)
            self._course.changed.append((self._now, request.changed))
        else:
            pace.refused(permit, self._now, said, full.retry_after)
            self._course.refused += 1
            self._try(request)
        for waiting in self._waiting.pop(request.endpoint, []):
            self._try(waiting)
        if full is None:
            self._next()


def _said(usage: Sequence[Usage]) -> Windows:
    """What the rate headers of an answer say."""
    minute, hour, day = (
        Window()
        if window.limit is None
        else Window(window.limit, window.used, window.limit - window.used)
        for window in usage
    )
    return Windows(minute, hour, day)
