"""Reads each endpoint's rate limits and their use from headers and from Apollo's statistics.

Apollo counts per team and endpoint in three fixed windows at once and tells the state of each in
the headers of every answer after authentication (`x-rate-limit-minute`, `x-minute-usage`,
`x-minute-requests-left`, likewise `hourly` and `24-hour`). An unlimited window has an empty limit.

The statistics of POST /usage_stats/api_usage_stats have keys that are JSON arrays written as text,
`["api/v1/contacts", "search"]`: controller and action, which together are an entry in an API key's
list. The numbers of one window need not add up; each is kept as Apollo tells it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from target_apollo.apollo.endpoints import endpoints_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_apollo.apollo.answers import JSON


_HEADER_NAMES = {"minute": "minute", "hour": "hourly", "day": "24-hour"}

SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}

WINDOW_SECONDS = (SECONDS["minute"], SECONDS["hour"], SECONDS["day"])


@dataclass(frozen=True)
class Window:
    """Requests allowed, made and left in one window; None where Apollo did not say."""

    limit: int | None = None
    usage: int | None = None
    left: int | None = None

    @property
    def known(self) -> bool:
        """Whether Apollo said anything about this window."""
        return any(count is not None for count in (self.limit, self.usage, self.left))

    @property
    def spent(self) -> int | None:
        """Requests made: `usage` or what `left` implies, whichever is more; None if unknown."""
        of_left = None if self.limit is None or self.left is None else self.limit - self.left
        return max((count for count in (self.usage, of_left) if count is not None), default=None)


@dataclass(frozen=True)
class Windows:
    """The three windows of one endpoint."""

    minute: Window = Window()
    hour: Window = Window()
    day: Window = Window()

    def each(self) -> tuple[Window, Window, Window]:
        """The three windows, shortest first."""
        return self.minute, self.hour, self.day

    @property
    def known(self) -> bool:
        """Whether Apollo said anything about any of the windows."""
        return self.minute.known or self.hour.known or self.day.known

    @property
    def longest_exhausted(self) -> float | None:
        """The length in seconds of the longest window with nothing left; None if none is."""
        for name in ("day", "hour", "minute"):
            window: Window = getattr(self, name)
            if window.left is not None and window.left <= 0:
                return SECONDS[name]
        return None


def read_windows(headers: Mapping[str, str]) -> Windows:
    """Read the rate headers of one answer; the names of `headers` must be case-insensitive."""
    return Windows(**{name: _read_window(headers, part) for name, part in _HEADER_NAMES.items()})


def _read_window(headers: Mapping[str, str], name: str) -> Window:
    return Window(
        limit=_count(headers.get(f"x-rate-limit-{name}")),
        usage=_count(headers.get(f"x-{name}-usage")),
        left=_count(headers.get(f"x-{name}-requests-left")),
    )


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


class Quota:
    """The windows of the latest answer, per endpoint. Thread-safe; answers come in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, Windows] = {}

    def note(self, endpoint: str, windows: Windows) -> None:
        """Remember the windows of an answer; without rate headers (401, 403) nothing changes."""
        if windows.known:
            with self._lock:
                self._seen[endpoint] = windows

    def of(self, endpoint: str) -> Windows:
        """Return the latest windows of an endpoint; all unknown before its first answer."""
        with self._lock:
            return self._seen.get(endpoint, Windows())

    def snapshot(self) -> dict[str, dict[str, dict[str, int | None]]]:
        """Return plain values: endpoint -> minute, hour, day -> limit, usage, left."""
        with self._lock:
            return {endpoint: asdict(windows) for endpoint, windows in self._seen.items()}


def read_usage(body: JSON) -> dict[str, Windows]:
    """Return the windows per endpoint label, or per "controller/action" of unused endpoints."""
    usage: dict[str, Windows] = {}
    for key, counts in body.items():
        if isinstance(counts, dict):
            entry = _entry(key)
            windows = Windows(
                minute=_window(counts.get("minute")),
                hour=_window(counts.get("hour")),
                day=_window(counts.get("day")),
            )
            usage.update(dict.fromkeys(endpoints_of(entry) or (entry,), windows))
    return usage


def _entry(key: str) -> str:
    try:
        parts = json.loads(key)
    except ValueError:
        return key
    is_pair = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
    return "/".join(parts) if is_pair else key


def _window(counts: object) -> Window:
    if not isinstance(counts, dict):
        return Window()
    limit, usage, left = (counts.get(name) for name in ("limit", "consumed", "left_over"))
    return Window(limit=_whole_number(limit), usage=_whole_number(usage), left=_whole_number(left))


def _whole_number(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    # As in the headers: a count this large is not Apollo's.
    return value if abs(value) < 10**15 else None
