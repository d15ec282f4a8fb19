"""The transport of a dry run: requests that read go to Apollo, those that write are simulated."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from target_apollo.apollo import (
    Answer,
    ApolloClient,
    ApolloError,
    Quota,
    Request,
    TransportProtocol,
    Window,
    Windows,
)
from target_apollo.apollo.endpoints import READING
from target_apollo.sync.dry_run.simulated_apollo import SimulatedApollo


class DryRunLimits:
    """Apollo's rate limits, and what the dry run's requests would leave of them. Thread-safe.

    Attributes:
        quota: The limits as the answers to a run's requests would tell them.
    """

    def __init__(self, transport: TransportProtocol) -> None:
        self._client = ApolloClient(transport)
        self._lock = threading.Lock()
        self._usage: Mapping[str, Windows] | None = None
        self.quota = Quota()

    @property
    def usage(self) -> Mapping[str, Windows]:
        """Endpoint -> its rate limits and their use; empty where the key may not read them.

        Asked for once: POST /usage_stats/api_usage_stats.
        """
        with self._lock:
            if self._usage is None:
                try:
                    self._usage = self._client.usage()
                except ApolloError:
                    self._usage = {}
            return self._usage

    def spend(self, endpoint: str, requests: int) -> None:
        """Notes that a run would have sent `requests` requests to an endpoint so far."""
        windows = self.usage.get(endpoint)
        if windows is not None:
            left = [_spent(window, requests) for window in windows.each()]
            self.quota.note(endpoint, Windows(*left))


def _spent(window: Window, requests: int) -> Window:
    if window.limit is None:
        return window
    used = (window.spent or 0) + requests
    return replace(window, usage=used, left=max(0, window.limit - used))


class DryRunTransport:
    """Takes the place of `apollo.Transport` for the client. Thread-safe."""

    def __init__(
        self, transport: TransportProtocol, simulated: SimulatedApollo, limits: DryRunLimits
    ) -> None:
        self._transport = transport
        self._simulated = simulated
        self._limits = limits
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._answers = 0
        self._seconds = 0.0

    @property
    def requests(self) -> dict[str, int]:
        """Endpoint -> number of requests that a run would have sent so far."""
        with self._lock:
            return dict(self._requests)

    @property
    def mean_seconds(self) -> float:
        """Mean seconds from a request to Apollo's answer, of those that were sent; 0 if none."""
        with self._lock:
            return self._seconds / self._answers if self._answers else 0.0

    def send(self, request: Request) -> Answer:
        """Returns the simulated answer to a request that writes, Apollo's own to others.

        Raises:
            ApolloError: As `apollo.Transport.send`.
            NotImplementedError: The request writes and has no simulated answer; it was not sent.
        """
        with self._lock:
            self._requests[request.endpoint] += 1
            count = self._requests[request.endpoint]
        if request.endpoint not in READING:
            self._limits.spend(request.endpoint, count)
        body = self._simulated.answer(request)
        if body is not None:
            return Answer(200, body, attempts=1, seconds=0.0)
        if request.endpoint not in READING:
            raise NotImplementedError(f"A dry run has no answer for {request.endpoint}.")
        answer = self._transport.send(request)
        with self._lock:
            self._answers += 1
            self._seconds += answer.seconds
        return answer
