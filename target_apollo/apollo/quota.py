"""What Apollo says is left of each endpoint's rate limits.

Apollo counts per team and endpoint in three fixed windows at once and tells the state of each in
the headers of every answer after authentication (`x-rate-limit-minute`, `x-minute-usage`,
`x-minute-requests-left`, likewise `hourly` and `24-hour`). An unlimited window has an empty limit.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        """Requests made, by the worse of what usage and left say; None where that is unknown."""
        of_left = None if self.limit is None or self.left is None else self.limit - self.left
        return max((count for count in (self.usage, of_left) if count is not None), default=None)


@dataclass(frozen=True)
class Windows:
    """The three windows of one endpoint."""

    minute: Window = Window()
    hour: Window = Window()
    day: Window = Window()

    def each(self) -> tuple[Window, Window, Window]:
        """The three, shortest first."""
        return self.minute, self.hour, self.day

    @property
    def known(self) -> bool:
        """Whether Apollo said anything about any of them."""
        return self.minute.known or self.hour.known or self.day.known

    @property
    def longest_exhausted(self) -> float | None:
        """The length in seconds of the longest window with nothing left, None without one."""
        for name in ("day", "hour", "minute"):
            window: Window = getattr(self, name)
            if window.left is not None and window.left <= 0:
                return SECONDS[name]
        return None


def read_windows(headers: Mapping[str, str]) -> Windows:
    """Read the rate headers of one answer; `headers` must not care about case."""
    return Windows(**{name: _read_window(headers, said) for name, said in _HEADER_NAMES.items()})


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
    """The windows last seen per endpoint. Shared by all threads; answers may come in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, Windows] = {}

    def note(self, endpoint: str, windows: Windows) -> None:
        """Remember what an answer said; one without rate headers (401, 403) changes nothing."""
        if windows.known:
            with self._lock:
                self._seen[endpoint] = windows

    def of(self, endpoint: str) -> Windows:
        """Return what was last said about an endpoint; all unknown before its first answer."""
        with self._lock:
            return self._seen.get(endpoint, Windows())

    def snapshot(self) -> dict[str, dict[str, dict[str, int | None]]]:
        """Return plain values: endpoint -> minute, hour, day -> limit, usage, left."""
        with self._lock:
            return {endpoint: asdict(windows) for endpoint, windows in self._seen.items()}
