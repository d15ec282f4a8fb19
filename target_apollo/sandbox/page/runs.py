"""The runs that the log of requests shows. Pure.

A request does not say which run it is of. Each command of the project begins by checking its key,
so a run is what one program, by its User-Agent, sends from such a check on. Of two runs at once
each has connections of its own; a connection that is opened meanwhile is taken for one of the run
that began last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from target_apollo.sandbox.state import RequestSeen

_BEGIN = "GET /users/api_profile"


@dataclass(frozen=True)
class Run:
    """The requests of one run, oldest first; at least one.

    Attributes:
        is_beside_another: Whether another run of the same program was under way meanwhile.
    """

    requests: Sequence[RequestSeen]
    is_beside_another: bool = False

    @property
    def first(self) -> int:
        """Number of the first request, by which the page names the run."""
        return self.requests[0].number

    @property
    def last(self) -> int:
        """Number of the last request."""
        return self.requests[-1].number

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of all its requests."""
        return frozenset(seen.number for seen in self.requests)

    @property
    def agent(self) -> str:
        """The program, by its User-Agent."""
        return self.requests[0].agent

    @property
    def seconds(self) -> float:
        """From the first request to the answer of the last."""
        last = self.requests[-1]
        return max(0.0, last.at + last.seconds - self.requests[0].at)

    @property
    def statuses(self) -> Counter[int]:
        """Status -> number of answers; 0 for a connection that was reset."""
        return Counter(seen.status for seen in self.requests)


@dataclass(frozen=True)
class EndpointUse:
    """The requests of a run to one endpoint."""

    endpoint: str
    requests: Sequence[RequestSeen]

    @property
    def records(self) -> Counter[str]:
        """Name of each array of the answers -> its records in all."""
        counts: Counter[str] = Counter()
        for seen in self.requests:
            counts.update(seen.counts)
        return counts


def runs_of(requests: Iterable[RequestSeen]) -> list[Run]:
    """The runs of a log, by their last request, the newest first."""
    reader = _LogReader()
    for seen in requests:
        reader.read(seen)
    runs = (Run(one.requests, one.is_beside_another) for one in reader.runs)
    return sorted(runs, key=lambda run: run.last, reverse=True)


class _OpenRun:
    """A run to which further requests may belong."""

    def __init__(self) -> None:
        self.requests: list[RequestSeen] = []
        self.is_beside_another = False

    def is_over_at(self, seen: RequestSeen) -> bool:
        """Whether a request begins another run."""
        last = self.requests[-1]
        if seen.endpoint != _BEGIN or last.endpoint != _BEGIN:
            return seen.endpoint == _BEGIN
        # A check that failed is tried again within the run that it begins.
        is_answered = last.status == 200 and last.fault is None
        return is_answered and last.connection != seen.connection


class _LogReader:
    """Finds out of which run each request of a log is, which it reads in order."""

    def __init__(self) -> None:
        self.runs: list[_OpenRun] = []
        self._newest: dict[str, _OpenRun] = {}
        self._by_connection: dict[tuple[str, int], _OpenRun] = {}

    def read(self, seen: RequestSeen) -> None:
        """Put a request to its run."""
        connection = (seen.agent, seen.connection)
        known, newest = self._by_connection.get(connection), self._newest.get(seen.agent)
        run = known or newest
        if run is None or run.is_over_at(seen):
            run = self._begin(seen.agent, known)
        elif run is not newest and newest is not None:
            run.is_beside_another = newest.is_beside_another = True
        run.requests.append(seen)
        self._by_connection[connection] = run

    def _begin(self, agent: str, former: _OpenRun | None) -> _OpenRun:
        """A new run; it takes over the connections of the former one of its process."""
        run = self._newest[agent] = _OpenRun()
        self.runs.append(run)
        for connection, of in self._by_connection.items():
            if of is former:
                self._by_connection[connection] = run
        return run


def run_of(requests: Iterable[RequestSeen], first: str) -> Run | None:
    """The run whose first request has this number."""
    return next((run for run in runs_of(requests) if str(run.first) == first), None)


def endpoints_of(run: Run) -> list[EndpointUse]:
    """What a run asked of each endpoint, the most used first."""
    by_endpoint: dict[str, list[RequestSeen]] = {}
    for seen in run.requests:
        by_endpoint.setdefault(seen.endpoint, []).append(seen)
    uses = [EndpointUse(endpoint, seen) for endpoint, seen in by_endpoint.items()]
    return sorted(uses, key=lambda use: (-len(use.requests), use.endpoint))
