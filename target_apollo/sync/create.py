"""Creates the rows that no record is known of, as many requests at a time as may go out.

One bulk_create request from sending to confirmation: every row of it comes back with an answer.

Runs in the pool: it shares nothing but the API client.

What the answers to created rows come to: settled, to be completed, to be compared, rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloClient, ApolloError, BulkCreated, RequestRefused
from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Settling
from target_apollo.sync.concurrency import Flow, Parallel
from target_apollo.sync.existing import Comparer, Known, LatestWords
from target_apollo.sync.exit import RunError
from target_apollo.sync.limits import WriteLimits
from target_apollo.sync.match import Match, Matched, match_answers, match_keys
from target_apollo.sync.plan import (
    NOTHING,
    CreateRequest,
    create_item,
    create_requests,
    left_to_write,
)
from target_apollo.sync.recovery import OwnRecords
from target_apollo.sync.refusals import custom_field_rejection, rejection, take_apart
from target_apollo.sync.request_counter import Reckon
from target_apollo.sync.update_plan import Update


@dataclass
class Created:
    """What became of a request's rows: matched (or known to have no answer), or refused."""

    matched: list[Matched] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


def create(client: ApolloClient, object_type: ObjectType, request: CreateRequest) -> Created:
    """Sends a request, and parts of it again where Apollo refused it or left rows out.

    Raises:
        ApolloError: The run can't go on.
    """

    def send(rows: Sequence[Row]) -> BulkCreated:
        return _send(client, object_type, replace(request, rows=tuple(rows)))

    parts = take_apart(object_type, request.rows, send)
    created = Created(refused=parts.refused)
    silent: list[tuple[Row, ...]] = []
    for rows, answer in parts.answered:
        found = match_answers(object_type, rows, answer.created, answer.existing)
        # What a refused request held in front of its bad row may be written all the same.
        if answer.repeated or len(rows) < len(request.rows):
            found = [with_values(m, sent_before=True) for m in found]
        unconfirmed = tuple(m.row for m in found if m.match is Match.UNCONFIRMED)
        if len(rows) == 1:
            # Asked alone and still not named: that is the answer.
            unconfirmed = ()
        elif len(unconfirmed) == len(rows):
            # Nothing came back at all: halves, so that the question gets smaller each time.
            silent += [unconfirmed[: len(rows) // 2], unconfirmed[len(rows) // 2 :]]
        elif unconfirmed:
            silent.append(unconfirmed)
        created.matched += [
            _look_closer(client, object_type, m) if m.match is Match.CONFLICT else m
            for m in found
            if m.match is not Match.UNCONFIRMED or len(rows) == 1
        ]
    for rows in silent:
        # Safe to send again: run_dedupe answers with what the first request created.
        again = create(client, object_type, replace(request, rows=rows))
        created.matched += [with_values(m, sent_before=True) for m in again.matched]
        created.refused += again.refused
    return created


def _send(client: ApolloClient, object_type: ObjectType, request: CreateRequest) -> BulkCreated:
    items = [create_item(object_type, row) for row in request.rows]
    return client.create(object_type.endpoints, items, owner_id=request.owner_id)


def _look_closer(client: ApolloClient, object_type: ObjectType, matched: Matched) -> Matched:
    """Reads a contact that seems to be a namesake where the answer hid its other e-mails."""
    answer = matched.answer
    if answer is None or object_type.kind is not ObjectKind.CONTACTS or "contact_emails" in answer:
        return matched
    whole = client.read(object_type.endpoints, str(answer["id"]))
    if matched.row.match_key in match_keys(object_type, whole):
        return with_values(matched, match=Match.EXISTING, answer=whole)
    return matched


def why_unmatched(object_type: ObjectType, matched: Matched) -> Rejection:
    """Why a row is rejected that Apollo took for another record, or did not name."""
    answer_id = matched.answer.get("id") if matched.answer else None
    other = "domain" if object_type.match_field == "domain" else "e-mail"
    if matched.match is Match.CONFLICT:
        return Rejection(
            Reason.IDENTITY_CONFLICT,
            f"Apollo takes it for {object_type.singular} {answer_id}, which has the same name but "
            f"another {other}; it was left alone. Merge or rename one of them in Apollo, or write "
            "that record by its id in mode update",
            status=200,
            endpoint=object_type.create_endpoint,
            attempts=1,
        )
    if matched.match is Match.ALTERED:
        detail = (
            f"not confirmed by Apollo: it created {object_type.singular} {answer_id} without this "
            f"{other}; look at that record in Apollo"
        )
    else:
        detail = "not confirmed by Apollo: no answered record names it, also when it was sent alone"
    return Rejection(
        Reason.NOT_CONFIRMED, detail, status=200, endpoint=object_type.create_endpoint, attempts=2
    )


@dataclass(frozen=True)
class CreateAnswers:
    """Takes the answers to the created rows of one stream.

    Attributes:
        limits: Counts what was created.
        comparer: Says what a record needs that the row has made itself.
    """

    object_type: ObjectType
    mode: Mode
    limits: WriteLimits
    comparer: Comparer
    settling: Settling
    latest: LatestWords
    own: OwnRecords

    def take(
        self, request: CreateRequest, created: Created, updates: list[Update], known: list[Known]
    ) -> None:
        """Takes what became of a request.

        Args:
            updates: Gets what is to be written to records that their rows have made.
            known: Gets the rows that were found to have a record.
        """
        for matched in created.matched:
            self._take_answer(request, matched, updates, known)
        for row, refusal in created.refused:
            self.settling.reject(row, rejection(self.object_type, None, refusal))

    def leave_or_complete(self, matched: Matched, answer: Json, updates: list[Update]) -> None:
        """Mode insert: what exists is left alone, unless the row itself has made it."""
        row = matched.row
        if row.number in self.own.strays or self.own.was_made_by(matched, answer):
            self.latest.know(row, answer)
            self._complete(CreateRequest((row,)), row, answer, updates)
        else:
            self.settling.leave(row, Outcome.EXISTING, answer)

    def _take_answer(
        self,
        request: CreateRequest,
        matched: Matched,
        updates: list[Update],
        known: list[Known],
    ) -> None:
        row, answer = matched.row, matched.answer
        if answer is None or matched.match in (Match.CONFLICT, Match.ALTERED):
            self.settling.reject(row, why_unmatched(self.object_type, matched))
            return
        self.latest.know(row, answer)
        if matched.match is Match.CREATED:
            self._complete(request, row, answer, updates)
        elif self.mode is Mode.INSERT:
            self.leave_or_complete(matched, answer, updates)
        elif self.own.was_made_by(matched, answer):
            updates.append(self.comparer.compare_whole(Known(row, str(answer["id"]), answer)))
        else:
            known.append(Known(row, str(answer["id"]), answer))

    def _complete(
        self, request: CreateRequest, row: Row, answer: Json, updates: list[Update]
    ) -> None:
        """Adds what bulk_create did not carry of a record that it made."""
        self.limits.created += 1
        behind = left_to_write(self.object_type, request, row)
        refused = custom_field_rejection(self.object_type, answer, self.object_type.create_endpoint)
        if refused or behind is not NOTHING:
            updates.append(Update(row, str(answer["id"]), answer, behind, Outcome.CREATED, refused))
        else:
            self.settling.leave(row, Outcome.CREATED, answer)


#: Adds what existing records need to the updates; returns a failure that ends the run.
Compare = Callable[[Sequence[Known], list[Update]], "ApolloError | None"]


@dataclass(frozen=True)
class NewRows:
    """Creates rows of one stream.

    Attributes:
        reckon: Told how many requests are about to be sent.
        answers: Takes what became of each request.
    """

    client: ApolloClient
    object_type: ObjectType
    mode: Mode
    batch_size: int
    parallel: Parallel
    limits: WriteLimits
    reckon: Reckon
    answers: CreateAnswers

    def create_all(
        self, rows: Sequence[Row], updates: list[Update], compare: Compare
    ) -> Flow[ApolloError | RunError | None]:
        """Creates rows, no more than the limit allows; what then needs an update is added.

        Pauses while requests are under way.

        Args:
            compare: Asked what the records need that Apollo had already.

        Returns:
            The failure that ends the run, if there was one, after the other requests' rows have
            been taken care of.
        """
        left = list(rows)
        while left:
            try:
                allowed = self.limits.creates_allowed(len(left))
            except RunError as reached:
                return reached
            known: list[Known] = []
            failure = yield from self._create_some(left[:allowed], updates, known)
            failure = compare(known, updates) or failure
            if failure is not None:
                return failure
            # Rows that Apollo had already did not use the limit up.
            left = left[allowed:]
        return None

    def _create_some(
        self, rows: Sequence[Row], updates: list[Update], known: list[Known]
    ) -> Flow[ApolloError | None]:
        """Creates rows, and adds to `updates` and `known` as `CreateAnswers.take` does."""
        requests = create_requests(
            self.object_type, rows, self.batch_size, spare_existing=self.mode is Mode.INSERT
        )
        self.reckon({self.object_type.create_endpoint: len(requests)})
        failure: ApolloError | None = None

        def take(place: int, result: Created | Exception) -> None:
            nonlocal failure
            if isinstance(result, ApolloError):
                failure = failure or result
            elif isinstance(result, Exception):
                raise result
            else:
                self.answers.take(requests[place], result, updates, known)

        # Rows are settled while Apollo is at work on those of the next requests.
        yield from self.parallel.each(
            [partial(create, self.client, self.object_type, request) for request in requests], take
        )
        return failure
