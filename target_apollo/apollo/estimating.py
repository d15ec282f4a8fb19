"""How long so many requests take within Apollo's rate windows. Pure.

It reckons as the pacing of `api` sends: as much as all windows of an endpoint leave, then nothing
until the fullest has surely ended. Windows open with the first request in them. A paced run can be
earlier, where an answer tells that a window is over before that is sure. What requests take to be
answered is left out: it counts only where no window is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from target_apollo.apollo import Standing

#: The windows of an endpoint, shortest first.
WINDOWS = ("minute", "hour", "day")


@dataclass(frozen=True)
class Schedule:
    """When requests to one endpoint can go out.

    Attributes:
        left: What each window leaves now, shortest first; None where Apollo told no limit.
        fits: Whether all requests fit what a window leaves.
        seconds: Until the last request can go out; infinite where a limit is 0.
        longest_wait: The longest time in which none can, in seconds.
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


def schedule(requests: int, standings: Sequence[Standing]) -> Schedule:
    """When so many requests can go out, one after another, to an endpoint with these windows."""
    left = [max(0.0, one.allowed - one.used) for one in standings]
    seconds, longest_wait = _simulate(requests, standings)
    return Schedule(
        requests=requests,
        left=tuple(None if count == float("inf") else int(count) for count in left),
        fits=tuple(requests <= count for count in left),
        seconds=seconds,
        longest_wait=longest_wait,
    )


def _simulate(requests: int, standings: Sequence[Standing]) -> tuple[float, float]:
    windows = [
        _Window(
            one.seconds,
            one.allowed,
            one.used,
            # What is used up was so in a window that is open; at the latest it opened just now.
            (one.seconds if one.ends_in is None else one.ends_in) if one.used else None,
        )
        for one in standings
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
    """What a run's requests come to.

    Attributes:
        schedules: By endpoint.
        seconds: Until all are answered; infinite where they never can be.
        stops: Whether a wait is longer than a run waits, so that it takes several.
    """

    schedules: Mapping[str, Schedule]
    seconds: float
    stops: bool


def forecast(
    requests: Mapping[str, int],
    standings: Mapping[str, Sequence[Standing]],
    *,
    max_wait_seconds: float,
    seconds_per_request: float,
    parallel_requests: int,
) -> Forecast:
    """When a run is done that sends these requests.

    Endpoints are counted apart, so that their windows pass at the same time.

    Args:
        standings: By endpoint; one that is missing takes any number of requests.
        max_wait_seconds: The longest wait of a run.
        seconds_per_request: From a request to its answer.
    """
    schedules = {
        endpoint: schedule(count, standings.get(endpoint, ()))
        for endpoint, count in requests.items()
    }
    sending = sum(requests.values()) * seconds_per_request / parallel_requests
    waiting = max((one.seconds for one in schedules.values()), default=0.0)
    return Forecast(
        schedules=schedules,
        seconds=max(sending, waiting),
        stops=any(one.longest_wait > max_wait_seconds for one in schedules.values()),
    )
