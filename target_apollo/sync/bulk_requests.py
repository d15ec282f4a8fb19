"""Requests that update records, many at once, and what became of each record.

`UpdateRoutes` remembers which of their endpoints a run may use, and decides by what is left of the
quota whether updates go one by one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import (
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
from target_apollo.sync.refusals import (
    RefusalSubject,
    SplitRequest,
    consequence_of,
    send_in_parts,
    subject_of,
)
from target_apollo.sync.update_plan import UpdateInProgress, goes_in_bulk, requests_left


class UpdateRoutes:
    """The endpoints that a run's updates may use. For one thread at a time.

    Attributes:
        closed: Endpoints for many records that can't be used in this run, and why.
    """

    def __init__(self, quota: Quota, share: float, logger: logging.Logger) -> None:
        self._quota = quota
        self._share = share
        self._logger = logger
        self.closed: dict[str, str] = {}

    def choose_bulk(self, object_type: ObjectType, method: UpdateMethod, updates: int) -> bool:
        """Whether so many updates go a hundred a request, as far as an endpoint is open for it."""
        return goes_in_bulk(method, updates, self._requests_left(object_type.endpoints.update))

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
        sentence = str(why)
        if isinstance(why, RequestRefused):
            sentence = f"Apollo has no {endpoint} at this address ({why.status})."
        elif isinstance(why, JobStarted):
            sentence = (
                f"Apollo answered {endpoint} with a background job, whose end nobody can ask for."
            )
        self.closed[endpoint] = sentence
        self._logger.warning("%s For the rest of the run %s.", sentence, instead)

    def _requests_left(self, endpoint: str) -> int | None:
        # PUT and PATCH of one thing are counted together.
        labels = endpoints_of(access_to(endpoint).key_entry or "")
        known = [requests_left(self._quota.of(label), self._share) for label in labels]
        return min((left for left in known if left is not None), default=None)


def closes(problem: Exception) -> bool:
    """Whether an endpoint answered that it is none for this run, whatever the records.

    A 403; a 404 or 405 that names no record; a background job, which confirms nothing.
    """
    if isinstance(problem, RequestRefused):
        return subject_of(problem) is RefusalSubject.ENDPOINT
    return isinstance(problem, (EndpointForbidden, JobStarted))


#: Sends some updates in one request; returns the records of Apollo's answer.
Send = Callable[[Sequence[UpdateInProgress]], "Sequence[Json]"]


@dataclass
class BulkResult:
    """What became of updates that were sent.

    Attributes:
        answered: Updates with the record of the answer that names them.
        unanswered: Updates that the answers left out, asked twice.
        refused: Updates that were refused also when they were alone, or named by the refusal.
        blocked: Updates whose request met an endpoint that is closed to this run.
        closed_by: How that endpoint answered.
        failure: What ends the run; the updates of its request are in no list.
    """

    answered: list[tuple[UpdateInProgress, Json]] = field(default_factory=list)
    unanswered: list[UpdateInProgress] = field(default_factory=list)
    refused: list[tuple[UpdateInProgress, RequestRefused]] = field(default_factory=list)
    blocked: list[UpdateInProgress] = field(default_factory=list)
    closed_by: ApolloError | None = None
    failure: ApolloError | None = None

    def followed_by(self, again: BulkResult) -> BulkResult:
        """The whole, where the updates that were blocked were sent once more."""
        return BulkResult(
            self.answered + again.answered,
            self.unanswered + again.unanswered,
            self.refused + again.refused,
            again.blocked,
            again.closed_by,
            self.failure or again.failure,
        )


def send_alone(pool: RequestPool, updates: Sequence[UpdateInProgress], send: Send) -> BulkResult:
    """Sends updates at the same time, each in a request of its own."""
    results = pool.run([partial(send, [update]) for update in updates])
    found = BulkResult()
    for update, result in zip(updates, results, strict=True):
        if isinstance(result, RequestRefused) and _is_about_row(result, update):
            found.refused.append((update, result))
        elif isinstance(result, ApolloError):
            found.failure = found.failure or result
        elif isinstance(result, Exception):
            raise result
        else:
            (answer,) = result
            found.answered.append((update, answer))
    return found


def _is_about_row(refusal: RequestRefused, update: UpdateInProgress) -> bool:
    return consequence_of(refusal, update.update.apollo_id).is_about_rows


def send_grouped(
    object_type: ObjectType,
    pool: RequestPool,
    requests: Sequence[Sequence[UpdateInProgress]],
    send: Send,
) -> BulkResult:
    """Sends requests at the same time, takes refused ones apart, asks again for what is left out.

    Sending again is safe: an update is the same twice.
    """
    results = pool.run([partial(_send, object_type, updates, send) for updates in requests])
    found = BulkResult()
    for updates, result in zip(requests, results, strict=True):
        if isinstance(result, BulkResult):
            found.answered += result.answered
            found.unanswered += result.unanswered
            found.refused += result.refused
        elif isinstance(result, ApolloError) and closes(result):
            found.blocked += updates
            found.closed_by = found.closed_by or result
        elif isinstance(result, ApolloError):
            found.failure = found.failure or result
        else:
            raise result
    return found


def _send(object_type: ObjectType, updates: Sequence[UpdateInProgress], send: Send) -> BulkResult:
    by_number = {update.update.row.number: update for update in updates}

    def send_rows(rows: Sequence[Row]) -> Mapping[str, Json]:
        asked = [by_number[row.number] for row in rows]
        answers = {str(answer.get("id")): answer for answer in send(asked)}
        left_out = [one for one in asked if one.update.apollo_id not in answers]
        if left_out:
            answers.update({str(answer.get("id")): answer for answer in send(left_out)})
        return answers

    # A refusal names Apollo's id, which the record itself need not carry.
    rows = [with_values(one.update.row, apollo_id=one.update.apollo_id) for one in updates]
    try:
        split = SplitRequest([(rows, send_rows(rows))])
    except RequestRefused as refusal:
        split = send_in_parts(object_type, rows, refusal, send_rows)
    found = BulkResult(refused=[(by_number[row.number], why) for row, why in split.refused])
    for answered, answers in split.answered:
        for one in (by_number[row.number] for row in answered):
            answer = answers.get(one.update.apollo_id)
            if answer is None:
                found.unanswered.append(one)
            else:
                found.answered.append((one, answer))
    return found
