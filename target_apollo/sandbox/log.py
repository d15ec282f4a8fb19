"""The requests that a sandbox has seen."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from target_apollo.sandbox.faults import FaultKind


@dataclass(frozen=True)
class RequestSeen:
    """One request: ``endpoint`` is its label (``PATCH /contacts/{id}``), ``at`` is epoch seconds.

    ``status`` is 0 where a fault left the request without an answer.
    """

    method: str
    path: str
    query: str
    endpoint: str
    raw_body: bytes = field(repr=False)
    status: int
    at: float
    fault: FaultKind | None = None

    @property
    def body(self) -> Any:
        """The body decoded from JSON; text if it is none, None if it is empty."""
        if not self.raw_body:
            return None
        try:
            return msgspec.json.decode(self.raw_body)
        except msgspec.DecodeError:
            return self.raw_body.decode("utf-8", "replace")

    @property
    def api_key_in_url(self) -> bool:
        """Whether the URL carries an API key, where logs and proxies would see it."""
        return "api_key" in parse_qs(self.query, keep_blank_values=True)


class RequestLog:
    """The last requests, and counts of all of them. Safe for threads."""

    def __init__(self, keep: int) -> None:
        self._lock = threading.Lock()
        self._last: deque[RequestSeen] = deque(maxlen=keep)
        self._counts: Counter[str] = Counter()

    def add(self, seen: RequestSeen) -> None:
        """Note a request."""
        with self._lock:
            self._last.append(seen)
            self._counts[seen.endpoint] += 1

    def last(self) -> list[RequestSeen]:
        """The requests kept, oldest first."""
        with self._lock:
            return list(self._last)

    def count(self, endpoint: str) -> int:
        """How many requests an endpoint has had since the last clearing."""
        with self._lock:
            return self._counts[endpoint]

    def counts(self) -> dict[str, int]:
        """Requests per endpoint."""
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._last.clear()
            self._counts.clear()
