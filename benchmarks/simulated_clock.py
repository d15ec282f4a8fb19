"""Sends requests through the client's pacing into Apollo's rate windows, on a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from target_apollo.apollo.quota import WINDOW_SECONDS, Window, Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit
from target_apollo.sandbox.serving.rate_windows import (
    EndpointWindows,
    Exhausted,
    Limits,
    Schedule,
    Usage,
)


@dataclass(frozen=True)
class Sent:
    """A request: the endpoint that counts it, and the number of contacts that it changes."""

    endpoint: str
    changed: int


@dataclass
class Timeline:
    """The result of a simulation.

    Attributes:
        refused: Number of 429s.
        changed: ``(seconds since the first request, contacts changed)`` of each answer.
    """

    refused: int = 0
    changed: list[tuple[float, int]] = field(default_factory=list)

    def moment_of(self, contact: int) -> float:
        """Seconds until the nth contact was changed, the first being 1; raises ValueError."""
        total = 0
        for moment, count in self.changed:
            total += count
            if total >= contact:
                return moment
        raise ValueError(f"only {total} contacts were changed")


def send_all(requests: Sequence[Sent], limits: Limits, workers: int, latency: float) -> Timeline:
    """Send the requests in their order, each as soon as a worker is free and the pacing allows it.

    An answer comes `latency` seconds after its request, which Apollo counts halfway.
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
        self._timeline = Timeline()

    def run(self, workers: int) -> Timeline:
        for _ in range(workers):
            self._next()
        while self._queue:
            self._now, _, happens = heapq.heappop(self._queue)
            happens()
        if any(self._waiting.values()) or next(self._left, None) is not None:
            raise RuntimeError("all workers wait, and no event is left")
        return self._timeline

    def _in(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self._now + seconds, next(self._order), happens))

    def _next(self) -> None:
        request = next(self._left, None)
        if request is not None:
            self._try(request)

    def _try(self, request: Sent) -> None:
        answer = self._pacers[request.endpoint].acquire(self._now)
        if isinstance(answer, Permit):
            permit = answer
            self._in(self._latency / 2, lambda: self._arrive(request, permit))
        elif isinstance(answer, FullUntil):
            self._in(max(0.0, answer.moment - self._now), lambda: self._try(request))
        else:
            self._waiting[request.endpoint].append(request)

    def _arrive(self, request: Sent, permit: Permit) -> None:
        windows = self._windows[request.endpoint]
        exhausted = windows.count(self._schedule, self._now)
        headers = _rate_headers(windows.usage(self._schedule, self._now))
        self._in(self._latency / 2, lambda: self._answer(request, permit, headers, exhausted))

    def _answer(
        self, request: Sent, permit: Permit, headers: Windows, exhausted: Exhausted | None
    ) -> None:
        pacer = self._pacers[request.endpoint]
        if exhausted is None:
            pacer.answered(permit, self._now, headers)
            self._timeline.changed.append((self._now, request.changed))
        else:
            pacer.refused(permit, self._now, headers, exhausted.retry_after)
            self._timeline.refused += 1
            self._try(request)
        for waiting in self._waiting.pop(request.endpoint, []):
            self._try(waiting)
        if exhausted is None:
            self._next()


def _rate_headers(usage: Sequence[Usage]) -> Windows:
    """The windows by the rate headers of an answer."""
    minute, hour, day = (
        Window()
        if window.limit is None
        else Window(window.limit, window.used, window.limit - window.used)
        for window in usage
    )
    return Windows(minute, hour, day)
