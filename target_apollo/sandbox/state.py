"""A sandbox as tests and the control endpoints use it, and the log of its requests."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.serving.faults import Fault, FaultBook, FaultKind
from target_apollo.sandbox.serving.oauth import OAuth
from target_apollo.sandbox.serving.rate_windows import EndpointWindows, Usage

#: Bytes of an answer that the log keeps.
MOST_KEPT = 4096


@dataclass(frozen=True)
class RequestSeen:
    """One request of the log.

    Attributes:
        method: HTTP method.
        path: The whole path.
        query: The query string.
        endpoint: Label of the endpoint, such as ``PATCH /contacts/{id}``.
        raw_body: The body as it was sent.
        status: HTTP status of the answer; 0 if a fault reset the connection instead.
        at: When the request began, in epoch seconds.
        fault: The kind of fault that struck it.
        number: Its number among all requests; the first is 1.
        agent: The program that sent it, by its User-Agent.
        connection: Number of the connection on which it came; 0 if it is not known.
        seconds: How long the sandbox took to answer.
        answer: The beginning of the answer's body, as it was made.
        answer_bytes: Bytes of the whole body.
        counts: Name of each array of the answer -> its length.
    """

    method: str
    path: str
    query: str
    endpoint: str
    raw_body: bytes = field(repr=False)
    status: int
    at: float
    fault: FaultKind | None = None
    number: int = 0
    agent: str = ""
    connection: int = 0
    seconds: float = 0.0
    answer: bytes = field(default=b"", repr=False)
    answer_bytes: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        """The body decoded from JSON; as text if it is no JSON, None if it is empty."""
        if not self.raw_body:
            return None
        try:
            return msgspec.json.decode(self.raw_body)
        except msgspec.DecodeError:
            return self.raw_body.decode("utf-8", "replace")

    @property
    def api_key_in_url(self) -> bool:
        """Whether the URL contains an API key, which logs and proxies would record."""
        return "api_key" in parse_qs(self.query, keep_blank_values=True)


class RequestLog:
    """The newest ``keep`` requests, and counts of all. Thread-safe."""

    def __init__(self, keep: int) -> None:
        self._lock = threading.Lock()
        self._last: deque[RequestSeen] = deque(maxlen=keep)
        self._counts: Counter[str] = Counter()
        self._added = 0

    @property
    def next_number(self) -> int:
        """Number of the request that is answered at present; `clear` does not begin anew."""
        return self._added + 1

    def add(self, seen: RequestSeen) -> None:
        """Add a request."""
        with self._lock:
            self._last.append(seen)
            self._counts[seen.endpoint] += 1
            self._added += 1

    def last(self) -> list[RequestSeen]:
        """The newest requests, oldest first."""
        with self._lock:
            return list(self._last)

    def count(self, endpoint: str) -> int:
        """Number of requests to an endpoint since the last `clear`."""
        with self._lock:
            return self._counts[endpoint]

    def counts(self) -> dict[str, int]:
        """Label of each endpoint -> its number of requests."""
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        """Delete all requests and counts."""
        with self._lock:
            self._last.clear()
            self._counts.clear()


class Sandbox:
    """A local Apollo: its options, its store, its log of requests and the ordered faults.

    ``url`` is the base URL for a client, with ``/api/v1``; empty while no server serves it.
    ``deeds`` counts what people have done through the control endpoints.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.store = Store(self.options.store)
        self.oauth = OAuth(self.store)
        self.url = ""
        self.deeds = 0
        self.log = RequestLog(self.options.keep_requests)
        self.faults = FaultBook()
        self.chance = random.Random(self.options.seed)  # noqa: S311
        self.windows: dict[str, EndpointWindows] = {}
        self._windows_lock = threading.Lock()

    @property
    def api_key(self) -> str:
        """The first of its valid API keys."""
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
        """Number of requests to an endpoint such as ``POST /contacts/bulk_create``."""
        return self.log.count(endpoint)

    def inject(self, fault: Fault) -> None:
        """Order a fault."""
        self.faults.add(fault)

    def clear_faults(self) -> None:
        """Cancel all faults."""
        self.faults.clear()

    def reset_log(self) -> None:
        """Delete the log of requests and its counts."""
        self.log.clear()

    def reset_quota(self) -> None:
        """Reset all rate windows, as if no request had been made."""
        with self._windows_lock:
            self.windows.clear()

    def set_options(self, **changes: object) -> None:
        """Change options by name while the sandbox runs; raises ValueError for a bad one."""
        self.options = self.options.replaced(changes)

    def quota(self) -> dict[str, tuple[Usage, Usage, Usage]]:
        """`Endpoint.entry` -> its minute, hour and day window, for all endpoints called so far."""
        schedule, now = self.options.schedule(), time.time()
        with self._windows_lock:
            return {entry: windows.usage(schedule, now) for entry, windows in self.windows.items()}

    def windows_of(self, entry: str) -> EndpointWindows:
        """The rate windows of an endpoint, given by its entry."""
        with self._windows_lock:
            return self.windows.setdefault(entry, EndpointWindows())

    def close(self) -> None:
        """Close the store's file."""
        self.store.close()
