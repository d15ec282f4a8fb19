"""Apollo's windows and a busy client on a simulated clock: a year of waiting in a moment."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from target_apollo.apollo.quota import Window, Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit
from target_apollo.sandbox.rate_windows import EndpointWindows, Exhausted, Limits, Schedule, Usage

SECONDS = (10.0, 35.0, 100.0)


@dataclass(frozen=True)
class Trip:
    """How a request fares: seconds to Apollo and back, whether its answer is lost, and the seconds
    that its worker rests afterwards."""

    there: float = 0.02
    back: float = 0.02
    lost: bool = False
    rest: float = 0.0


@dataclass
class SimulatedApollo:
    """Workers that send `requests` as fast as their pace allows, to windows with these limits."""

    limits: Limits
    workers: int
    requests: int
    trips: Sequence[Trip] = (Trip(),)
    share: float = 1.0
    used_before: int = 0  # requests of an earlier run, at the moment 0
    begins: float = 0.0  # the moment of this run's first request
    learns: bool = False  # asks for the statistics first
    others: Sequence[float] = ()  # moments at which somebody else sends

    now: float = 0.0
    refused: int = 0
    sent: int = 0
    counted: list[float] = field(default_factory=list)  # moments, own requests and others'

    def __post_init__(self) -> None:
        self._windows = EndpointWindows()
        self._schedule = Schedule(self.limits, SECONDS)
        self._pace = EndpointPacer(SECONDS, self.share)
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._next_trip = itertools.cycle(self.trips)
        self._listening = 0

    def run(self) -> SimulatedApollo:
        """Send everything; return itself with `refused` (429s) and `counted` filled in."""
        for moment in [*[0.0] * self.used_before, *self.others]:
            self._at(moment, self._count)
        self._at(self.begins, self._begin)
        while self._queue:
            self.now, _, what, about = heapq.heappop(self._queue)
            what(*about)
        assert self.sent == self.requests, "the workers have come to a standstill"
        return self

    def used(self, window: int) -> list[int]:
        """Requests in each window of this length (0 minute, 1 hour, 2 day) that was opened."""
        found: list[tuple[float, int]] = []
        for moment in sorted(self.counted):
            if not found or moment >= found[-1][0] + SECONDS[window]:
                found.append((moment, 0))
            found[-1] = (found[-1][0], found[-1][1] + 1)
        return [number for _, number in found]

    def _begin(self) -> None:
        if self.learns:
            self._pace.learn(self._says(), self.now, self.now)
        for _ in range(self.workers):
            self._look()

    def _look(self) -> None:
        if self.sent == self.requests:
            return
        turn = self._pace.acquire(self.now)
        if isinstance(turn, Permit):
            self.sent += 1
            trip = next(self._next_trip)
            self._at(self.now + trip.there, self._arrive, turn, trip)
        elif isinstance(turn, FullUntil):
            assert turn.moment > self.now, "a wait that is none"
            self._at(turn.moment, self._look)
        else:
            self._listening += 1

    def _arrive(self, permit: Permit, trip: Trip) -> None:
        refusal = self._count()
        self.refused += refusal is not None
        self._at(self.now + trip.back, self._answer, permit, trip, self._says(), refusal)

    def _answer(self, permit: Permit, trip: Trip, said: Windows, refusal: Exhausted | None) -> None:
        if refusal is not None:
            self._pace.refused(permit, self.now, said, refusal.retry_after)
        else:
            self._pace.answered(permit, self.now, Windows() if trip.lost else said)
        self._at(self.now + trip.rest, self._look)
        for _ in range(self._listening):
            self._at(self.now, self._look)
        self._listening = 0

    def _count(self) -> Exhausted | None:
        refusal = self._windows.count(self._schedule, self.now)
        if refusal is None:
            self.counted.append(self.now)
        return refusal

    def _says(self) -> Windows:
        return Windows(*map(_window, self._windows.usage(self._schedule, self.now)))

    def _at(self, moment: float, what: Callable[..., Any], *about: Any) -> None:
        heapq.heappush(self._queue, (moment, next(self._order), what, about))


def _window(usage: Usage) -> Window:
    if usage.limit is None:
        return Window()
    return Window(usage.limit, usage.used, usage.limit - usage.used)


def all_but_last(used: Iterable[int]) -> list[int]:
    """Windows in which there was work to the end."""
    return list(used)[:-1]
