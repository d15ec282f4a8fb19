"""When a request may go out: after a 429's wait, within the quota, and never after a stop.

`Throttle` holds each request back until it may go out. `Pacer` keeps the rate windows of all
endpoints, `Gates` the waits that a 429 asked for, `Counters` the counts of requests and answers.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from target_apollo.apollo.endpoints import access_to
from target_apollo.apollo.errors import QuotaExhausted, RunStopped
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit, WindowState
from target_apollo.apollo.team_pacer import Exchange, TeamPacer, WindowStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_apollo.apollo.quota import Windows

# How often a thread that waits for other threads' answers checks whether the run was stopped.
_LOOK_EVERY_SECONDS = 0.1


class Pacer:
    """Gives out the permits for requests to all endpoints. Shared by the threads of a transport.

    Each permit must be returned through `answered`, `refused` or `not_sent`. `share` and
    `window_seconds` are those of `EndpointPacer`. Endpoints that Apollo counts together (PUT and
    PATCH of an account) share one `EndpointPacer`, or one `TeamPacer` after `share_windows`.
    """

    def __init__(self, share: float, window_seconds: Sequence[float]) -> None:
        self._share = share
        self._window_seconds = tuple(window_seconds)
        self._changed = threading.Condition()
        #: By endpoint label, and by what Apollo counts requests under.
        self._pacers: dict[str, EndpointPacer | TeamPacer] = {}
        self._told: dict[str, float] = {}
        self._store: WindowStore | None = None

    def share_windows(self, store: WindowStore) -> None:
        """Share the windows with the other processes that use this store; call it once."""
        with self._changed:
            self._store = store
            for name in {_counted_as(endpoint) for endpoint in self._pacers}:
                own = self._pacers[name]
                if isinstance(own, EndpointPacer):
                    self._pacers[name] = self._shared(name, own, store)
            for endpoint in self._pacers:
                self._pacers[endpoint] = self._pacers[_counted_as(endpoint)]

    def leave(self) -> None:
        """Give back what other processes could use; after that no permit is asked for."""
        with self._changed:
            pacers = set(self._pacers.values())
        for pacer in pacers:
            self._exchange(pacer, TeamPacer.to_leave)

    def acquire(self, endpoint: str) -> Permit | FullUntil | None:
        """Return a permit, or until when (`time.monotonic`) there is none.

        None: that depends on outstanding answers. The call has waited for a moment; call it again.
        """
        while True:
            with self._changed:
                pacer = self._pacer_of(endpoint)
                given = pacer.acquire(time.monotonic())
                if given is None:
                    self._changed.wait(_LOOK_EVERY_SECONDS)
            if not isinstance(given, Exchange):
                return given
            self._carry_out(pacer, given)

    def answered(self, endpoint: str, permit: Permit, counts: Windows) -> None:
        """Return the permit of a request that Apollo may have counted, with its answer's counts."""
        with self._changed:
            pacer = self._pacer_of(endpoint)
            pacer.answered(permit, time.monotonic(), counts)
            self._changed.notify_all()
        self._exchange(pacer, TeamPacer.to_tell)

    def refused(
        self, endpoint: str, permit: Permit, counts: Windows, retry_after: float | None
    ) -> None:
        """Return the permit of a request that was answered with 429."""
        with self._changed:
            pacer = self._pacer_of(endpoint)
            pacer.refused(permit, time.monotonic(), counts, retry_after)
            self._changed.notify_all()
        self._exchange(pacer, TeamPacer.to_tell)

    def not_sent(self, endpoint: str, permit: Permit) -> None:
        """Return the permit of a request that did not reach Apollo."""
        with self._changed:
            self._pacer_of(endpoint).not_sent(permit)
            self._changed.notify_all()

    def learn(self, usage: Mapping[str, Windows], asked_at: float) -> None:
        """Take over Apollo's statistics, by endpoint label, for endpoints not yet called."""
        with self._changed:
            now = time.monotonic()
            for endpoint, counts in usage.items():
                self._pacer_of(endpoint).learn(counts, asked_at, now)

    def window_states(self, endpoint: str) -> tuple[WindowState, ...]:
        """Return the states of an endpoint's windows, shortest first."""
        with self._changed:
            pacer = self._pacer_of(endpoint)
        self._exchange(pacer, TeamPacer.to_look)
        with self._changed:
            return pacer.states(time.monotonic())

    def first_to_wait(self, endpoint: str, until: FullUntil) -> bool:
        """Return True to the first caller per moment, which reports the wait; others only wait."""
        counted_as = _counted_as(endpoint)
        with self._changed:
            if self._told.get(counted_as) == until.moment:
                return False
            self._told[counted_as] = until.moment
            return True

    def _exchange(
        self,
        pacer: EndpointPacer | TeamPacer,
        wanted: Callable[[TeamPacer, float], Exchange | None],
    ) -> None:
        """Carry out the exchange with other processes that one of the pacer's methods wants."""
        if isinstance(pacer, TeamPacer):
            with self._changed:
                exchange = wanted(pacer, time.monotonic())
            if exchange is not None:
                self._carry_out(pacer, exchange)

    def _carry_out(self, pacer: EndpointPacer | TeamPacer, exchange: Exchange) -> None:
        """Do what waits for the store without holding up the threads of other endpoints."""
        if isinstance(pacer, TeamPacer):
            result = None
            try:
                result = pacer.carry_out(exchange)
            finally:
                with self._changed:
                    pacer.exchanged(result, time.monotonic())
                    self._changed.notify_all()

    def _pacer_of(self, endpoint: str) -> EndpointPacer | TeamPacer:
        pacer = self._pacers.get(endpoint)
        if pacer is None:
            counted_as = _counted_as(endpoint)
            pacer = self._pacers.get(counted_as)
            if pacer is None:
                own = EndpointPacer(self._window_seconds, self._share)
                pacer = own if self._store is None else self._shared(counted_as, own, self._store)
                self._pacers[counted_as] = pacer
            self._pacers[endpoint] = pacer
        return pacer

    def _shared(self, name: str, own: EndpointPacer, store: WindowStore) -> TeamPacer:
        return TeamPacer(own, store, name, self._window_seconds, self._share)


def _counted_as(endpoint: str) -> str:
    return access_to(endpoint).key_entry or endpoint


class WaitReason(enum.Enum):
    """Why a request waits."""

    RATE_LIMIT = "rate limit"
    QUOTA = "quota used up"
    RETRY = "retry after a lost answer"


@dataclass(frozen=True)
class Wait:
    """One wait of a request, for the log. `until` is an aware time (UTC)."""

    endpoint: str
    reason: WaitReason
    seconds: float
    until: datetime


class Gates:
    """One gate per endpoint, shared by all threads of a transport.

    A 429 closes the gate of its endpoint for every thread, so that parallel requests wait for the
    same moment instead of each running into a 429 of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_at: dict[str, float] = {}
        self._announced: dict[str, float] = {}

    def close(self, endpoint: str, seconds: float) -> None:
        """Keep an endpoint's gate closed for this long; never opens it earlier than it would."""
        moment = time.monotonic() + seconds
        with self._lock:
            self._open_at[endpoint] = max(moment, self._open_at.get(endpoint, 0.0))

    def closed_for(self, endpoint: str) -> float:
        """Return for how many seconds the gate stays closed; 0 when it is open."""
        with self._lock:
            return max(0.0, self._open_at.get(endpoint, 0.0) - time.monotonic())

    def first_to_wait(self, endpoint: str) -> bool:
        """Return True to the first caller per closing, which reports the wait; others only wait."""
        with self._lock:
            moment = self._open_at.get(endpoint, 0.0)
            if self._announced.get(endpoint) == moment:
                return False
            self._announced[endpoint] = moment
            return True


class Counters:
    """Counts of one transport, kept by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._retries = 0
        self._rate_limited = 0
        self._waited = 0.0

    def sent(self, endpoint: str) -> None:
        """Count a try that goes out; Apollo counts every try, too."""
        with self._lock:
            self._requests[endpoint] += 1

    def answered(self, status: int) -> None:
        """Count an answer by its status."""
        with self._lock:
            self._statuses[str(status)] += 1
            self._rate_limited += status == 429

    def retried(self) -> None:
        """Count a retry after a lost answer."""
        with self._lock:
            self._retries += 1

    def waited(self, seconds: float) -> None:
        """Add seconds that one thread spent waiting."""
        with self._lock:
            self._waited += seconds

    def snapshot(self) -> dict[str, Any]:
        """Return plain values for the run's summary.

        `requests`: endpoint -> tries sent; `statuses`: status -> answers; `retries` and
        `rate_limited` (429s): counts; `seconds_waited`: summed over threads.
        """
        with self._lock:
            return {
                "requests": dict(self._requests),
                "statuses": dict(self._statuses),
                "retries": self._retries,
                "rate_limited": self._rate_limited,
                "seconds_waited": round(self._waited, 3),
            }


@dataclass
class Attempt:
    """The history of one request over all its tries.

    `delays` yields the seconds before each retry; `waited` is in seconds, for rate limits only.
    """

    endpoint: str
    delays: Iterator[float]
    tries: int = 0
    failures: int = 0
    waited: float = 0.0
    refreshed: bool = False
    maybe_written: bool = False


class Throttle:
    """Makes requests wait until they may go out. Shared by all threads of a transport.

    `max_wait_seconds` bounds the sum of one request's waits for rate limits. `on_wait` is called
    with each wait, by the thread that waits; threads that wait for the same moment call it once.
    """

    def __init__(
        self,
        *,
        pacer: Pacer,
        gates: Gates,
        max_wait_seconds: float,
        stop: threading.Event,
        on_wait: Callable[[Wait], None] | None,
        counters: Counters,
    ) -> None:
        self._pacer = pacer
        self._gates = gates
        self._max_wait = max_wait_seconds
        self._stop = stop
        self._on_wait = on_wait
        self._counters = counters

    def acquire(self, attempt: Attempt) -> Permit:
        """Wait until a request's next try may go out; call it before every try.

        Raises RunStopped, and QuotaExhausted before a wait that is too long.
        """
        endpoint = attempt.endpoint
        while True:
            self._check_stop(attempt)
            if seconds := self._gates.closed_for(endpoint):
                self._check_patience(attempt, seconds)
                reports = self._gates.first_to_wait(endpoint)
                self._wait(attempt, WaitReason.RATE_LIMIT, seconds, reports=reports)
                continue
            permit = self._pacer.acquire(endpoint)
            if isinstance(permit, Permit):
                return permit
            if permit is not None and (seconds := permit.moment - time.monotonic()) > 0:
                self._check_patience(attempt, seconds)
                reports = self._pacer.first_to_wait(endpoint, permit)
                self._wait(attempt, WaitReason.QUOTA, seconds, reports=reports)

    def pause(self, attempt: Attempt, seconds: float) -> None:
        """Wait before another try after a lost answer. Raises RunStopped."""
        self._wait(attempt, WaitReason.RETRY, seconds, reports=True)

    def _check_patience(self, attempt: Attempt, seconds: float) -> None:
        if attempt.waited + seconds > self._max_wait:
            raise QuotaExhausted(attempt.endpoint, retry_at=_in(seconds))
        attempt.waited += seconds

    def _wait(self, attempt: Attempt, reason: WaitReason, seconds: float, *, reports: bool) -> None:
        if reports and self._on_wait is not None:
            self._on_wait(Wait(attempt.endpoint, reason, seconds, _in(seconds)))
        began = time.monotonic()
        self._stop.wait(seconds)
        self._counters.waited(time.monotonic() - began)
        self._check_stop(attempt)

    def _check_stop(self, attempt: Attempt) -> None:
        if self._stop.is_set():
            raise RunStopped(attempt.endpoint, maybe_written=attempt.maybe_written)


def _in(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)
