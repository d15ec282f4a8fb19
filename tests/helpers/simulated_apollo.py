"""Apollo's rate windows and a busy client, on a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from target_apollo.apollo.quota import Window, Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit
from target_apollo.sandbox.serving.rate_windows import (
    EndpointWindows,
    Exhausted,
    Limits,
    Schedule,
    Usage,
)

SECONDS = (10.0, 35.0, 100.0)


@dataclass(frozen=True)
class Trip:
    """The way of a request.

    Attributes:
        there: Seconds until Apollo counts it.
        back: Seconds until its answer arrives.
        lost: Whether the answer has no rate headers.
        rest: Seconds for which its worker pauses afterwards.
    """

    there: float = 0.02
    back: float = 0.02
    lost: bool = False
    rest: float = 0.0


@dataclass
class SimulatedApollo:
    """Workers that send `requests` as fast as the pacing allows, to windows with these limits."""

    limits: Limits
    workers: int
    requests: int
    trips: Sequence[Trip] = (Trip(),)
    share: float = 1.0
    used_before: int = 0  # requests of an earlier run, at time 0
    begins: float = 0.0  # time of this run's first request
    learns: bool = False  # reads the usage statistics first
    others: Sequence[float] = ()  # times at which other clients send

    now: float = 0.0
    refused: int = 0
    sent: int = 0
    counted: list[float] = field(default_factory=list)  # times of all counted requests

    def __post_init__(self) -> None:
        self._windows = EndpointWindows()
        self._schedule = Schedule(self.limits, SECONDS)
        self._pacer = EndpointPacer(SECONDS, self.share)
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._next_trip = itertools.cycle(self.trips)
        self._waiting = 0

    def run(self) -> SimulatedApollo:
        """Send all requests; returns itself with `refused` (429s) and `counted` set."""
        for moment in [*[0.0] * self.used_before, *self.others]:
            self._at(moment, self._count)
        self._at(self.begins, self._begin)
        while self._queue:
            self.now, _, what, about = heapq.heappop(self._queue)
            what(*about)
        assert self.sent == self.requests, "the workers have come to a standstill"
        return self

    def used(self, window: int) -> list[int]:
        """Number of requests in each window of a length (0 minute, 1 hour, 2 day)."""
        windows: list[tuple[float, int]] = []
        for moment in sorted(self.counted):
            if not windows or moment >= windows[-1][0] + SECONDS[window]:
                windows.append((moment, 0))
            windows[-1] = (windows[-1][0], windows[-1][1] + 1)
        return [number for _, number in windows]

    def _begin(self) -> None:
        if self.learns:
            self._pacer.learn(self._rate_headers(), self.now, self.now)
        for _ in range(self.workers):
            self._try_to_send()

    def _try_to_send(self) -> None:
        if self.sent == self.requests:
            return
        answer = self._pacer.acquire(self.now)
        if isinstance(answer, Permit):
            self.sent += 1
            trip = next(self._next_trip)
            self._at(self.now + trip.there, self._arrive, answer, trip)
        elif isinstance(answer, FullUntil):
            assert answer.moment > self.now, "the time to wait for is past"
            self._at(answer.moment, self._try_to_send)
        else:
            self._waiting += 1

    def _arrive(self, permit: Permit, trip: Trip) -> None:
        refusal = self._count()
        self.refused += refusal is not None
        self._at(self.now + trip.back, self._answer, permit, trip, self._rate_headers(), refusal)

    def _answer(
        self, permit: Permit, trip: Trip, headers: Windows, refusal: Exhausted | None
    ) -> None:
        if refusal is not None:
            self._pacer.refused(permit, self.now, headers, refusal.retry_after)
        else:
            self._pacer.answered(permit, self.now, Windows() if trip.lost else headers)
        self._at(self.now + trip.rest, self._try_to_send)
        for _ in range(self._waiting):
            self._at(self.now, self._try_to_send)
        self._waiting = 0

    def _count(self) -> Exhausted | None:
        refusal = self._windows.count(self._schedule, self.now)
        if refusal is None:
            self.counted.append(self.now)
        return refusal

    def _rate_headers(self) -> Windows:
        return Windows(*map(window_of, self._windows.usage(self._schedule, self.now)))

    def _at(self, moment: float, what: Callable[..., Any], *about: Any) -> None:
        heapq.heappush(self._queue, (moment, next(self._order), what, about))


def window_of(usage: Usage) -> Window:
    """What the headers of an answer say of a window."""
    if usage.limit is None:
        return Window()
    return Window(usage.limit, usage.used, usage.limit - usage.used)


def all_but_last(used: Iterable[int]) -> list[int]:
    """The windows that end while there are still requests to send."""
    return list(used)[:-1]
