"""Apollo's rate windows: a minute, an hour and a day for each endpoint, which apply at once.

A window begins with the first request after the previous window ended, not with the minute or hour
of the clock, and has a fixed length. A request passes only if all three windows have room. The time
is an argument of each function, in epoch seconds.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field


class Plan(str, enum.Enum):
    """The plans whose limits Apollo publishes, and one without limits."""

    FREE = "free"
    BASIC = "basic"
    ORGANIZATION = "organization"
    UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Limits:
    """Most requests to an endpoint in each window; None is unlimited."""

    minute: int | None
    hour: int | None
    day: int | None

    def each(self) -> tuple[int | None, int | None, int | None]:
        """The three limits, shortest window first."""
        return self.minute, self.hour, self.day


PLANS = {
    Plan.FREE: Limits(50, 200, 600),
    Plan.BASIC: Limits(200, 400, 2_000),
    Plan.ORGANIZATION: Limits(200, 600, 6_000),
    Plan.UNLIMITED: Limits(None, None, None),
}

WINDOW_NAMES = ("minute", "hour", "day")


@dataclass(frozen=True)
class Schedule:
    """Limits of an endpoint and the lengths of minute, hour and day in seconds."""

    limits: Limits
    seconds: tuple[float, float, float] = (60.0, 3600.0, 86400.0)


@dataclass(frozen=True)
class Exhausted:
    """The window that refuses a request: its name, its limit, and the seconds until it ends."""

    window: str
    limit: int
    wait: float

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the window has ended, at least 1."""
        return max(1, math.ceil(self.wait))


@dataclass(frozen=True)
class Usage:
    """The state of one window; ``ends_at`` is in epoch seconds, None while it has not begun."""

    window: str
    limit: int | None
    used: int
    ends_at: float | None


@dataclass
class EndpointWindows:
    """The three windows of one endpoint: when each began, and how many requests it counted."""

    starts: list[float | None] = field(default_factory=lambda: [None, None, None])
    used: list[int] = field(default_factory=lambda: [0, 0, 0])

    def count(self, schedule: Schedule, now: float) -> Exhausted | None:
        """Count a request; if a window has no room, count nothing and return that window.

        Of several windows without room it returns the one that ends last.
        """
        self._close_ended(schedule, now)
        last: Exhausted | None = None
        for i, limit in enumerate(schedule.limits.each()):
            if limit is None or self.used[i] < limit:
                continue
            start = self.starts[i]
            # With a limit of 0, no request is ever counted and the window does not begin.
            wait = schedule.seconds[i] if start is None else start + schedule.seconds[i] - now
            if last is None or wait > last.wait:
                last = Exhausted(WINDOW_NAMES[i], limit, wait)
        if last is not None:
            return last
        for i in range(3):
            if self.starts[i] is None:
                self.starts[i] = now
            self.used[i] += 1
        return None

    def usage(self, schedule: Schedule, now: float) -> tuple[Usage, Usage, Usage]:
        """The state of the three windows at ``now``, shortest first; changes nothing."""
        minute, hour, day = (
            self._usage(i, limit, schedule.seconds[i], now)
            for i, limit in enumerate(schedule.limits.each())
        )
        return minute, hour, day

    def _usage(self, i: int, limit: int | None, length: float, now: float) -> Usage:
        start = self.starts[i]
        if start is None or now >= start + length:
            return Usage(WINDOW_NAMES[i], limit, 0, None)
        return Usage(WINDOW_NAMES[i], limit, self.used[i], start + length)

    def _close_ended(self, schedule: Schedule, now: float) -> None:
        for i in range(3):
            start = self.starts[i]
            if start is not None and now >= start + schedule.seconds[i]:
                self.starts[i] = None
                self.used[i] = 0


_HEADER_NAMES = (
    ("x-rate-limit-minute", "x-minute-usage", "x-minute-requests-left"),
    ("x-rate-limit-hourly", "x-hourly-usage", "x-hourly-requests-left"),
    ("x-rate-limit-24-hour", "x-24-hour-usage", "x-24-hour-requests-left"),
)


def headers(usage: tuple[Usage, Usage, Usage]) -> list[tuple[str, str]]:
    """The rate headers of an answer. An unlimited window has only an empty limit header."""
    lines: list[tuple[str, str]] = []
    for window, (limit, used, left) in zip(usage, _HEADER_NAMES, strict=True):
        if window.limit is None:
            lines.append((limit, ""))
            continue
        lines.append((limit, str(window.limit)))
        lines.append((used, str(min(window.used, window.limit))))
        lines.append((left, str(max(0, window.limit - window.used))))
    return lines
