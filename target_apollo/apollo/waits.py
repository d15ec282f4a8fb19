"""Waiting: why, how long, and together.

A 429 closes the gate of its endpoint for every thread, so that parallel requests wait for the same
moment instead of each running into a 429 of its own.
"""

from __future__ import annotations

import enum
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class WaitReason(enum.Enum):
    """Why a request waits."""

    RATE_LIMIT = "rate limit"
    QUOTA = "quota used up"
    RETRY = "retry after a lost answer"


@dataclass(frozen=True)
class Wait:
    """One wait, as told to whoever logs it. `until` is an aware time (UTC)."""

    endpoint: str
    reason: WaitReason
    seconds: float
    until: datetime


class Gates:
    """One gate per endpoint, shared by all threads of a transport."""

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
        """Return True to the first caller per closing: it tells of the wait, the others wait."""
        with self._lock:
            moment = self._open_at.get(endpoint, 0.0)
            if self._announced.get(endpoint) == moment:
                return False
            self._announced[endpoint] = moment
            return True
