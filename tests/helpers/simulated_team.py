"""Apollo's rate windows and several processes of one team that share them, on a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from target_apollo.apollo import team_pacer
from target_apollo.apollo.quota import Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit
from target_apollo.apollo.team_pacer import Exchange, TeamPacer
from target_apollo.sandbox.serving.rate_windows import EndpointWindows, Exhausted, Limits, Schedule
from tests.helpers.simulated_apollo import Trip, window_of

SECONDS = (60.0, 240.0, 1000.0)
#: Seconds that an exchange with the store takes.
_EXCHANGE = 0.004
_AHEAD = 1_000_000.0


@dataclass
class Store:
    """What the processes share, on a clock of its own."""

    owner: str
    shared: dict[str, tuple[str, int]]
    clock: Callable[[], float]
    ended: set[str]
    away: tuple[float, float]

    def read(self, endpoint: str) -> tuple[str | None, int, float] | None:
        if self.away[0] <= self.clock() < self.away[1]:
            return None
        return (*self.shared.get(endpoint, (None, 0)), self.clock() + _AHEAD)

    def write(self, endpoint: str, text: str, revision: int) -> bool:
        if self.shared.get(endpoint, (None, 0))[1] != revision:
            return False
        self.shared[endpoint] = (text, revision + 1)
        return True

    def has_ended(self, owner: str) -> bool:
        return owner in self.ended


@dataclass
class Process:
    """One process: when it begins, how many requests it sends, and when it is killed, if it is.

    `seen` says whether the others see that it was killed; a process of another machine is not.
    """

    requests: int
    workers: int = 4
    begins: float = 0.0
    killed_at: float | None = None
    seen: bool = True
    sent: int = 0
    waiting: int = 0
    answered: int = 0
    ended_at: float = 0.0
    pacer: TeamPacer = field(init=False)


@dataclass
class SimulatedTeam:
    """Processes that send their requests as fast as the pacing allows."""

    limits: Limits
    processes: Sequence[Process]
    trips: Sequence[Trip] = (Trip(),)
    seconds: tuple[float, float, float] = SECONDS
    share: float = 1.0
    learns: bool = False  # each process reads the usage statistics first
    others: Sequence[float] = ()  # times at which other clients send
    away: tuple[float, float] = (0.0, 0.0)  # from when to when the store can't be used

    now: float = 0.0
    refused_at: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    exchanges: int = 0

    def run(self) -> SimulatedTeam:
        """Send all requests; returns itself, with `refused_at` and `counted` filled."""
        self._windows = EndpointWindows()
        self._schedule = Schedule(self.limits, self.seconds)
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._next_trip = itertools.cycle(self.trips)
        shared: dict[str, tuple[str, int]] = {}
        ended: set[str] = set()
        for number, process in enumerate(self.processes):
            store = Store(str(number), shared, lambda: self.now, ended, self.away)
            own = EndpointPacer(self.seconds, self.share)
            process.pacer = TeamPacer(own, store, "one", self.seconds, self.share)
            self._at(process.begins, self._begin, process)
            if process.killed_at is not None and process.seen:
                self._at(process.killed_at, ended.add, str(number))
        for moment in self.others:
            self._at(moment, self._count)
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=lambda _: None)
        with mock.patch.object(team_pacer, "time", clock):
            while self._queue:
                self.now, _, what, about = heapq.heappop(self._queue)
                what(*about)
        for process in self.processes:
            assert process.killed_at is not None or process.sent == process.requests
        return self

    @property
    def refused(self) -> int:
        """The number of 429s."""
        return len(self.refused_at)

    @property
    def ended_at(self) -> float:
        return max(process.ended_at for process in self.processes)

    def used(self, window: int) -> list[int]:
        """Number of requests in each window of a length (0 minute, 1 hour, 2 day)."""
        windows: list[tuple[float, int]] = []
        for moment in sorted(self.counted):
            if not windows or moment >= windows[-1][0] + self.seconds[window]:
                windows.append((moment, 0))
            windows[-1] = (windows[-1][0], windows[-1][1] + 1)
        return [number for _, number in windows]

    def _begin(self, process: Process) -> None:
        if self.learns:
            process.pacer.learn(self._rate_headers(), self.now, self.now)
        for _ in range(process.workers):
            self._try_to_send(process)

    def _lives(self, process: Process) -> bool:
        return process.killed_at is None or self.now < process.killed_at

    def _try_to_send(self, process: Process) -> None:
        if not self._lives(process) or process.sent == process.requests:
            return
        given = process.pacer.acquire(self.now)
        if isinstance(given, Permit):
            process.sent += 1
            trip = next(self._next_trip)
            self._at(self.now + trip.there, self._arrive, process, given, trip)
        elif isinstance(given, FullUntil):
            assert given.moment > self.now, "the time to wait for is past"
            self._at(given.moment, self._try_to_send, process)
        elif isinstance(given, Exchange):
            self._at(self.now + _EXCHANGE, self._exchange, process, given)
            process.waiting += 1
        else:
            self._at(self.now + 0.1, self._try_to_send, process)

    def _exchange(self, process: Process, exchange: Exchange) -> None:
        if self._lives(process):
            self.exchanges += 1
            process.pacer.exchanged(process.pacer.carry_out(exchange), self.now)
            for _ in range(process.waiting):
                self._try_to_send(process)
            process.waiting = 0
            self._leave_if_done(process)

    def _leave_if_done(self, process: Process) -> None:
        if process.answered == process.requests:
            exchange = process.pacer.to_leave(self.now)
            if exchange is not None:
                self._at(self.now + _EXCHANGE, self._exchange, process, exchange)

    def _arrive(self, process: Process, permit: Permit, trip: Trip) -> None:
        refusal = self._count()
        if refusal is not None:
            self.refused_at.append(self.now)
        told = (self._rate_headers(), refusal)
        self._at(self.now + trip.back, self._answer, process, permit, trip, *told)

    def _answer(
        self,
        process: Process,
        permit: Permit,
        trip: Trip,
        headers: Windows,
        refusal: Exhausted | None,
    ) -> None:
        if not self._lives(process):
            return
        process.ended_at = self.now
        process.answered += 1
        if refusal is not None:
            process.pacer.refused(permit, self.now, headers, refusal.retry_after)
        else:
            process.pacer.answered(permit, self.now, Windows() if trip.lost else headers)
        exchange = process.pacer.to_tell(self.now)
        if exchange is not None:
            self._at(self.now + _EXCHANGE, self._exchange, process, exchange)
        self._leave_if_done(process)
        self._at(self.now + trip.rest, self._try_to_send, process)

    def _count(self) -> Exhausted | None:
        refusal = self._windows.count(self._schedule, self.now)
        if refusal is None:
            self.counted.append(self.now)
        return refusal

    def _rate_headers(self) -> Windows:
        return Windows(*map(window_of, self._windows.usage(self._schedule, self.now)))

    def _at(self, moment: float, what: Callable[..., Any], *about: Any) -> None:
        heapq.heappush(self._queue, (moment, next(self._order), what, about))
