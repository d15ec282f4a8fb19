"""Requests that update many records at once, and what became of each of their records.

Which ways are open to a run's updates: what the quota leaves, and which endpoints are closed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from msgspec.structs import replace as with_values

from target_apollo.apollo import (
    MAX_BULK,
    ApolloError,
    EndpointForbidden,
    JobStarted,
    Quota,
    RequestRefused,
    access_to,
    endpoints_of,
)
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.rows import Row, UpdateMethod
from target_apollo.sync.concurrency import RequestPool
from target_apollo.sync.refusals import is_about_records, take_apart
from target_apollo.sync.update_plan import Pending, goes_in_bulk, requests_left

_NO_ROUTE = {404, 405}


class UpdateRoutes:
    """Shared by the writers of a run; used by one thread at a time.

    Attributes:
        closed: Endpoints for many records that can't be used in this run, and why.
    """

    def __init__(self, quota: Quota, share: float, logger: logging.Logger) -> None:
        self._quota = quota
        self._share = share
        self._logger = logger
        self.closed: dict[str, str] = {}

    def in_bulk(self, object_type: ObjectType, method: UpdateMethod, updates: int) -> bool:
        """Whether so many updates go a hundred a request, as far as an endpoint is open for it."""
        return goes_in_bulk(method, updates, self._left(object_type.update_endpoint))

    def is_open(self, endpoint: str) -> bool:
        """Whether no answer has yet closed an endpoint to this run."""
        return endpoint not in self.closed

    def close(self, endpoint: str, why: ApolloError, instead: str) -> None:
        """Leaves an endpoint alone for the rest of the run, and says so once.

        Args:
            instead: How its records are written from now on, for the log.
        """
        if endpoint in self.closed:
            return
        said = str(why)
        if isinstance(why, RequestRefused):
            said = f"Apollo has no {endpoint} at this address ({why.status})."
        elif isinstance(why, JobStarted):
            said = (
                f"Apollo answered {endpoint} with a background job, whose end nobody can ask for."
            )
        self.closed[endpoint] = said
        self._logger.warning("%s For the rest of the run %s.", said, instead)

    def _left(self, endpoint: str) -> int | None:
        # PUT and PATCH of one thing are counted together.
        labels = endpoints_of(access_to(endpoint).key_entry or "")
        known = [requests_left(self._quota.of(label), self._share) for label in labels]
        return min((left for left in known if left is not None), default=None)


def closes(problem: Exception) -> bool:
    """Whether an endpoint answered that it is none for this run, whatever the records.

    A 403; a 404 or 405 that names no record; a background job, which confirms nothing.
    """
    if isinstance(problem, RequestRefused):
        return problem.status in _NO_ROUTE and not is_about_records(problem)
    return isinstance(problem, (EndpointForbidden, JobStarted))


K = TypeVar("K", bound=Hashable)

#: Sends some updates in one request; returns Apollo's records that name them.
Send = Callable[[Sequence[Pending]], Sequence[Json]]


@dataclass
class Grouped:
    """What became of updates that went in requests for many.

    Attributes:
        answered: Updates with the record of the answer that names them.
        silent: Updates that the answers left out, asked twice.
        refused: Updates that were refused also when they were alone, or named by the refusal.
        shut_out: Updates whose request met an endpoint that is closed to this run.
        closed_by: How that endpoint answered.
        failure: What ends the run; the updates of its request are in no list.
    """

    answered: list[tuple[Pending, Json]] = field(default_factory=list)
    silent: list[Pending] = field(default_factory=list)
    refused: list[tuple[Pending, RequestRefused]] = field(default_factory=list)
    shut_out: list[Pending] = field(default_factory=list)
    closed_by: ApolloError | None = None
    failure: ApolloError | None = None

    def followed_by(self, again: Grouped) -> Grouped:
        """The whole, where the updates that were shut out were sent once more."""
        return Grouped(
            self.answered + again.answered,
            self.silent + again.silent,
            self.refused + again.refused,
            again.shut_out,
            again.closed_by,
            self.failure or again.failure,
        )


def send_grouped(
    object_type: ObjectType,
    parallel: RequestPool,
    requests: Sequence[tuple[Sequence[Pending], Send]],
) -> Grouped:
    """Sends requests at the same time, takes refused ones apart, asks again for what is left out.

    Sending again is safe: an update is the same twice.
    """
    results = parallel.run([partial(_send, object_type, *request) for request in requests])
    found = Grouped()
    for (members, _), result in zip(requests, results, strict=True):
        if isinstance(result, Grouped):
            found.answered += result.answered
            found.silent += result.silent
            found.refused += result.refused
        elif isinstance(result, ApolloError) and closes(result):
            found.shut_out += members
            found.closed_by = found.closed_by or result
        elif isinstance(result, ApolloError):
            found.failure = found.failure or result
        else:
            raise result
    return found


def _send(object_type: ObjectType, members: Sequence[Pending], send: Send) -> Grouped:
    by_number = {one.update.row.number: one for one in members}

    def send_rows(rows: Sequence[Row]) -> Mapping[str, Json]:
        asked = [by_number[row.number] for row in rows]
        answers = {str(answer.get("id")): answer for answer in send(asked)}
        left_out = [one for one in asked if one.update.apollo_id not in answers]
        if left_out:
            answers.update({str(answer.get("id")): answer for answer in send(left_out)})
        return answers

    # A refusal names Apollo's id, which the record itself need not carry.
    rows = [with_values(one.update.row, apollo_id=one.update.apollo_id) for one in members]
    parts = take_apart(object_type, rows, send_rows)
    found = Grouped(refused=[(by_number[row.number], refusal) for row, refusal in parts.refused])
    for answered, answers in parts.answered:
        for one in (by_number[row.number] for row in answered):
            answer = answers.get(one.update.apollo_id)
            if answer is None:
                found.silent.append(one)
            else:
                found.answered.append((one, answer))
    return found


def grouped_by(
    pending: Sequence[Pending], value: Callable[[Pending], K | None]
) -> dict[K, list[Pending]]:
    """Updates by the value that they share; those without one are left out."""
    groups: dict[K, list[Pending]] = {}
    for one in pending:
        shared = value(one)
        if shared:
            groups.setdefault(shared, []).append(one)
    return groups


def in_requests(
    groups: Mapping[K, Sequence[Pending]],
    send: Callable[[K, Sequence[Pending]], Sequence[Json]],
    size: int = MAX_BULK,
) -> list[tuple[Sequence[Pending], Send]]:
    """Groups as requests of at most `size` records."""
    return [
        (members[start : start + size], partial(send, shared))
        for shared, members in groups.items()
        for start in range(0, len(members), size)
    ]
