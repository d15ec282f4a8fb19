"""Everything a running sandbox is, as tests and the control surface hold it."""

from __future__ import annotations

import random
import threading
import time

from target_apollo.sandbox.faults import Fault, FaultBook
from target_apollo.sandbox.log import RequestLog, RequestSeen
from target_apollo.sandbox.oauth import OAuth
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.store import Store
from target_apollo.sandbox.windows import EndpointWindows, Usage


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
