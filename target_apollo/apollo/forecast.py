"""How long a number of requests takes within Apollo's rate windows. Pure.

`schedule` is about one endpoint, `forecast` about a whole run. As many requests are sent as all
windows of an endpoint allow, then none until the full window that ends last has surely ended. A run
can be faster, since an answer may show earlier that a window has ended. A schedule leaves out the
time until an answer, which matters only if no window is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_apollo.apollo.rate_windows import WindowState

#: The windows of an endpoint, shortest first.
WINDOWS = ("minute", "hour", "day")


@dataclass(frozen=True)
class Schedule:
    """When requests to one endpoint can go out.

    Attributes:
        left: What each window leaves now, shortest first; None if Apollo told no limit.
        fits: For each window, whether all requests fit into what it leaves.
        seconds: Until the last request can go out; infinite if a limit is 0.
        longest_wait: The longest time without room for a request, in seconds.
    """

    requests: int
    left: tuple[int | None, ...]
    fits: tuple[bool, ...]
    seconds: float
    longest_wait: float


@dataclass
class _Window:
    length: float
    allowed: float
    used: float
    ends_at: float | None


def schedule(requests: int, states: Sequence[WindowState]) -> Schedule:
    """When requests to one endpoint can go out, sent one after another.

    Args:
        states: The windows of the endpoint, shortest first.
    """
    left = [max(0.0, state.allowed - state.used) for state in states]
    seconds, longest_wait = _simulate(requests, states)
    return Schedule(
        requests=requests,
        left=tuple(None if count == float("inf") else int(count) for count in left),
        fits=tuple(requests <= count for count in left),
        seconds=seconds,
        longest_wait=longest_wait,
    )


def _simulate(requests: int, states: Sequence[WindowState]) -> tuple[float, float]:
    windows = [
        _Window(
            state.seconds,
            state.allowed,
            state.used,
            # Used requests mean that the window is open; it opened just now at the latest.
            (state.seconds if state.ends_in is None else state.ends_in) if state.used else None,
        )
        for state in states
    ]
    if requests and any(window.allowed < 1 for window in windows):
        return float("inf"), float("inf")
    now, longest_wait, open_requests = 0.0, 0.0, requests
    while True:
        for window in windows:
            if window.ends_at is not None and now >= window.ends_at:
                window.used, window.ends_at = 0, None
        room = min((window.allowed - window.used for window in windows), default=float("inf"))
        sent = min(open_requests, max(0, room))
        open_requests -= int(sent)
        if not open_requests:
            return now, longest_wait
        for window in windows:
            window.used += sent
            if window.ends_at is None and window.used:
                window.ends_at = now + window.length
        ends = [
            window.ends_at
            for window in windows
            if window.ends_at is not None and window.used >= window.allowed
        ]
        longest_wait = max(longest_wait, max(ends) - now)
        now = max(ends)


@dataclass(frozen=True)
class Forecast:
    """How long a run's requests take.

    Attributes:
        schedules: By endpoint.
        seconds: Until all are answered; infinite where a limit is 0.
        stops: Whether a wait is longer than a run waits, so that several runs are needed.
    """

    schedules: Mapping[str, Schedule]
    seconds: float
    stops: bool


def forecast(
    requests: Mapping[str, int],
    states: Mapping[str, Sequence[WindowState]],
    *,
    max_wait_seconds: float,
    seconds_per_request: float,
    parallel_requests: int,
) -> Forecast:
    """How long a run with these requests takes.

    Apollo counts the requests of each endpoint separately, so that waits for them overlap.

    Args:
        requests: Endpoint -> number of requests.
        states: Endpoint -> its windows; an endpoint without any has no limit.
        max_wait_seconds: The longest wait of a run.
        seconds_per_request: From a request to its answer.
    """
    schedules = {
        endpoint: schedule(count, states.get(endpoint, ())) for endpoint, count in requests.items()
    }
    sending = sum(requests.values()) * seconds_per_request / parallel_requests
    waiting = max((plan.seconds for plan in schedules.values()), default=0.0)
    return Forecast(
        schedules=schedules,
        seconds=max(sending, waiting),
        stops=any(plan.longest_wait > max_wait_seconds for plan in schedules.values()),
    )
