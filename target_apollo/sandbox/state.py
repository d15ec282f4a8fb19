"""Everything a running sandbox is, as tests and the control surface hold it.

The requests that a sandbox has seen.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from target_apollo.sandbox.faults import Fault, FaultBook, FaultKind
from target_apollo.sandbox.oauth import OAuth
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.rate_windows import EndpointWindows, Usage
from target_apollo.sandbox.store import Store


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


class Sandbox:
    """A local Apollo: its options, its store, what it has seen and which faults are ordered.

    ``url`` is set while it is served (``running_sandbox``): the base URL for a client, with
    ``/api/v1``.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.store = Store(self.options.store)
        self.oauth = OAuth(self.store)
        self.url = ""
        self.log = RequestLog(self.options.keep_requests)
        self.faults = FaultBook()
        self.chance = random.Random(self.options.seed)  # noqa: S311
        self.windows: dict[str, EndpointWindows] = {}
        self._windows_lock = threading.Lock()

    @property
    def api_key(self) -> str:
        """The first API key that it takes."""
        return next(iter(self.options.api_keys))

    @property
    def token_url(self) -> str:
        """URL of the OAuth token endpoint."""
        return f"{self.url}/oauth/token"

    @property
    def requests(self) -> list[RequestSeen]:
        """The requests seen since the last ``reset_log``, oldest first."""
        return self.log.last()

    def count(self, endpoint: str) -> int:
        """How many requests an endpoint such as ``POST /contacts/bulk_create`` has had."""
        return self.log.count(endpoint)

    def inject(self, fault: Fault) -> None:
        """Order a fault."""
        self.faults.add(fault)

    def clear_faults(self) -> None:
        """Take back every order for a fault."""
        self.faults.clear()

    def reset_log(self) -> None:
        """Forget the requests seen."""
        self.log.clear()

    def reset_quota(self) -> None:
        """Close every rate window, as if no request had been made."""
        with self._windows_lock:
            self.windows.clear()

    def set_options(self, **changes: object) -> None:
        """Change options by name while it runs; raises ValueError for a bad one."""
        self.options = self.options.replaced(changes)

    def quota(self) -> dict[str, tuple[Usage, Usage, Usage]]:
        """The rate windows of every endpoint that was called, by its entry (api/v1/…/…)."""
        schedule, now = self.options.schedule(), time.time()
        with self._windows_lock:
            return {entry: windows.usage(schedule, now) for entry, windows in self.windows.items()}

    def windows_of(self, entry: str) -> EndpointWindows:
        """The rate windows of an endpoint, opened at need."""
        with self._windows_lock:
            return self.windows.setdefault(entry, EndpointWindows())

    def close(self) -> None:
        """Close the store's file."""
        self.store.close()
