"""The runs that the log of requests shows. Pure.

A request does not say which run it is of. A run is what one program, by its User-Agent, sends from
one check of its key to the next: each command of the project begins with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from target_apollo.sandbox.state import RequestSeen

_BEGIN = "GET /users/api_profile"


@dataclass(frozen=True)
class Run:
    """The requests of one run, oldest first; at least one."""

    requests: Sequence[RequestSeen]

    @property
    def first(self) -> int:
        """Number of the first request, by which the page names the run."""
        return self.requests[0].number

    @property
    def last(self) -> int:
        """Number of the last request."""
        return self.requests[-1].number

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
    open_runs: dict[str, list[RequestSeen]] = {}
    done: list[list[RequestSeen]] = []
    for seen in requests:
        present = open_runs.get(seen.agent)
        # A check that failed is tried again within the run that it begins.
        if present is None or (seen.endpoint == _BEGIN != present[-1].endpoint):
            present = open_runs[seen.agent] = []
            done.append(present)
        present.append(seen)
    return sorted((Run(one) for one in done), key=lambda run: run.last, reverse=True)


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
