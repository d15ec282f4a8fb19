"""Requests that update many records at once, and the result for each record.

`UpdateRoutes` remembers which endpoints a run can use for updates, and decides by the remaining
quota whether updates are sent in bulk or one by one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import (
    AnotherRecord,
    ApolloError,
    EndpointForbidden,
    JobStarted,
    Quota,
    RequestRefused,
    access_to,
    endpoints_of,
)
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row, UpdateMethod
from target_apollo.sync.concurrency import RequestPool
from target_apollo.sync.refusals import (
    RefusalSubject,
    SplitRequest,
    consequence_of,
    send_in_parts,
    subject_of,
)
from target_apollo.sync.updates.update_plan import UpdateInProgress, goes_in_bulk, requests_left


class UpdateRoutes:
    """The endpoints that a run can use for updates. Not thread-safe.

    Attributes:
        closed: Bulk endpoints that can't be used in this run -> the reason, a sentence.
    """

    def __init__(self, quota: Quota, share: float, logger: logging.Logger) -> None:
        self._quota = quota
        self._share = share
        self._logger = logger
        self.closed: dict[str, str] = {}

    def choose_bulk(self, object_type: ObjectType, method: UpdateMethod, updates: int) -> bool:
        """Whether this number of updates is sent in bulk, if the bulk endpoint can be used."""
        return goes_in_bulk(method, updates, self.requests_left(object_type.endpoints.update))

    def is_open(self, endpoint: str) -> bool:
        """Whether the run can still use an endpoint."""
        return endpoint not in self.closed

    def close(self, endpoint: str, why: ApolloError, instead: str) -> None:
        """Stops the use of an endpoint for the rest of the run, and logs that once.

        Args:
            instead: For the log: how its records are written from now on.
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

    def requests_left(self, endpoint: str) -> int | None:
        """Requests that an endpoint still takes this hour and this day; None where unknown."""
        # Apollo has one limit for PUT and PATCH of the same kind of record.
        labels = endpoints_of(access_to(endpoint).key_entry or "")
        known = [requests_left(self._quota.of(label), self._share) for label in labels]
        return min((left for left in known if left is not None), default=None)


def closes(problem: Exception) -> bool:
    """Whether an answer means that the run can't use the endpoint for any record.

    Such an answer is a 403, a 404 or 405 that names no record, or a background job, whose answer
    confirms no record.
    """
    if isinstance(problem, RequestRefused):
        return subject_of(problem) is RefusalSubject.ENDPOINT
    return isinstance(problem, (EndpointForbidden, JobStarted))


#: Sends some updates in one request; returns the records of Apollo's answer.
Send = Callable[[Sequence[UpdateInProgress]], "Sequence[Json]"]


@dataclass
class BulkResult:
    """The results of updates that were sent.

    Attributes:
        answered: Updates, each with its record in the answer.
        unanswered: Updates that are missing in the answers to two requests, or that were answered
            with another record.
        refused: Updates that were refused when sent alone, or that a refusal names.
        blocked: Updates that were not written, since the run can't use the endpoint.
        closed_by: The answer after which the run can't use the endpoint.
        failure: The error that ends the run; the updates of its request are in no list.
    """

    answered: list[tuple[UpdateInProgress, Json]] = field(default_factory=list)
    unanswered: list[UpdateInProgress] = field(default_factory=list)
    refused: list[tuple[UpdateInProgress, RequestRefused]] = field(default_factory=list)
    blocked: list[UpdateInProgress] = field(default_factory=list)
    closed_by: ApolloError | None = None
    failure: ApolloError | None = None

    def followed_by(self, again: BulkResult) -> BulkResult:
        """This result merged with the result of sending the blocked updates again."""
        return BulkResult(
            self.answered + again.answered,
            self.unanswered + again.unanswered,
            self.refused + again.refused,
            again.blocked,
            again.closed_by,
            self.failure or again.failure,
        )


def send_alone(pool: RequestPool, updates: Sequence[UpdateInProgress], send: Send) -> BulkResult:
    """Sends updates in parallel, one per request."""
    results = pool.run([partial(send, [update]) for update in updates])
    found = BulkResult()
    for update, result in zip(updates, results, strict=True):
        if isinstance(result, RequestRefused) and _is_about_row(result, update):
            found.refused.append((update, result))
        elif isinstance(result, AnotherRecord):
            found.unanswered.append(update)
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
    """Sends requests in parallel, splits refused ones, repeats updates that an answer leaves out.

    Repeating is safe: an update has the same effect twice.
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

    # A refusal names Apollo ids, which rows from the source may not have.
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
