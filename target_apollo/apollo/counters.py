"""What a run's requests came to."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any


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
        """Count a try that goes out; every try counts, since Apollo counts every one too."""
        with self._lock:
            self._requests[endpoint] += 1

    def answered(self, status: int) -> None:
        """Count an answer by its status."""
        with self._lock:
            self._statuses[str(status)] += 1
            self._rate_limited += status == 429

    def retried(self) -> None:
        """Count a repetition after a lost answer."""
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
