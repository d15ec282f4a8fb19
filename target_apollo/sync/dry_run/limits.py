"""Apollo's rate limits as they stood when a rehearsal began to write."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from target_apollo.apollo import ApolloClient, ApolloError, Quota, Sends, Window, Windows


class RehearsedLimits:
    """What Apollo's statistics say, and what is left after the rehearsed requests. Thread-safe.

    Attributes:
        quota: As a run would have learned it from the answers to its requests.
    """

    def __init__(self, transport: Sends) -> None:
        self._client = ApolloClient(transport)
        self._lock = threading.Lock()
        self._said: Mapping[str, Windows] | None = None
        self.quota = Quota()

    @property
    def said(self) -> Mapping[str, Windows]:
        """By endpoint, what was left; empty where the key may not ask.

        POST /usage_stats/api_usage_stats, once.
        """
        with self._lock:
            if self._said is None:
                try:
                    self._said = self._client.usage()
                except ApolloError:
                    self._said = {}
            return self._said

    def spend(self, endpoint: str, requests: int) -> None:
        """Takes in that so many requests to an endpoint would have been sent by now."""
        windows = self.said.get(endpoint)
        if windows is not None:
            self.quota.note(endpoint, Windows(*[_spent(one, requests) for one in windows.each()]))


def _spent(window: Window, requests: int) -> Window:
    if window.limit is None:
        return window
    used = (window.spent or 0) + requests
    return replace(window, usage=used, left=max(0, window.limit - used))
