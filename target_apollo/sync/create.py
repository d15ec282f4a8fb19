"""Creates records: sends bulk_create requests and interprets their answers.

`create` runs in the pool: it shares nothing but the API client. `RecordCreator` sends the requests
of a batch side by side and takes their answers in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloClient, ApolloError, BulkCreated, RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.existing import MatchedRecord, RecordComparer
from target_apollo.sync.match import Match, Matched, match_answers, match_keys, updated_at
from target_apollo.sync.plan import (
    NOTHING,
    CreateRequest,
    create_item,
    create_requests,
    left_to_write,
)
from target_apollo.sync.recovery import OwnRecordCheck
from target_apollo.sync.refusals import (
    CUSTOM_FIELD_ERRORS,
    SplitRequest,
    custom_field_rejection,
    rejection,
    send_in_parts,
)
from target_apollo.sync.run import SyncRun
from target_apollo.sync.update_plan import PlannedUpdate


@dataclass
class CreateResult:
    """The rows of a request: matched to an answer (or unconfirmed), or refused."""

    matched: list[Matched] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


def create(client: ApolloClient, object_type: ObjectType, request: CreateRequest) -> CreateResult:
    """Sends a request, and parts of it again where Apollo refused it or left rows out.

    Raises:
        ApolloError: The run can't go on.
    """

    def send(rows: Sequence[Row]) -> BulkCreated:
        return _send(client, object_type, replace(request, rows=tuple(rows)))

    try:
        parts = SplitRequest([(request.rows, send(request.rows))])
    except RequestRefused as refusal:
        parts = send_in_parts(object_type, request.rows, refusal, send)
    result = CreateResult(refused=parts.refused)
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
        result.matched += [
            _look_closer(client, object_type, m) if m.match is Match.CONFLICT else m
            for m in found
            if m.match is not Match.UNCONFIRMED or len(rows) == 1
        ]
    for rows in silent:
        # Safe to send again: run_dedupe answers with what the first request created.
        again = create(client, object_type, replace(request, rows=rows))
        result.matched += [with_values(m, sent_before=True) for m in again.matched]
        result.refused += again.refused
    return _with_one_address(client, object_type, request, result)


def _with_one_address(
    client: ApolloClient, object_type: ObjectType, request: CreateRequest, result: CreateResult
) -> CreateResult:
    """Sends rows again without their additional e-mails that Apollo took for another record.

    An address that two people share as an additional one must cost neither of them.
    """
    whole = {m.row.number: m.row for m in result.matched if _may_be_another(m)}
    if not whole:
        return result
    rows = tuple(with_values(row, more_emails=()) for row in whole.values())
    again = create(client, object_type, replace(request, rows=rows))
    return CreateResult(
        matched=[m for m in result.matched if m.row.number not in whole]
        + [with_values(m, row=whole[m.row.number]) for m in again.matched],
        refused=result.refused + [(whole[row.number], refusal) for row, refusal in again.refused],
    )


def _may_be_another(matched: Matched) -> bool:
    return matched.match is Match.CONFLICT and bool(matched.row.more_emails)


def create_and_shorten(
    client: ApolloClient, object_type: ObjectType, request: CreateRequest
) -> CreateResult:
    """Does what `create` does, and keeps of a finished record only what its outcome asks for.

    The answers to all requests of a flush may wait for their turn, and each takes a multiple of its
    row in memory.
    """
    result = create(client, object_type, request)
    result.matched = [
        with_values(m, answer=_outcome_part(m.answer))
        if m.match is Match.CREATED
        and m.answer is not None
        and left_to_write(object_type, request, m.row) is NOTHING
        else m
        for m in result.matched
    ]
    return result


def _outcome_part(answer: Json) -> Json:
    """The part of a created record's answer that `RecordCreator` needs for the outcome."""
    if answer.get(CUSTOM_FIELD_ERRORS):
        return answer
    return {name: answer[name] for name in ("id", "updated_at") if name in answer}


def _send(client: ApolloClient, object_type: ObjectType, request: CreateRequest) -> BulkCreated:
    items = [create_item(object_type, row, request.own_addresses) for row in request.rows]
    return client.create(object_type.endpoints, items, owner_id=request.owner_id)


def _look_closer(client: ApolloClient, object_type: ObjectType, matched: Matched) -> Matched:
    """Reads a contact that seems to be a namesake where the answer hid its other e-mails."""
    answer, hidden = matched.answer, object_type.more_emails
    if answer is None or hidden is None or hidden in answer:
        return matched
    whole = client.read(object_type.endpoints, str(answer["id"]))
    if matched.row.match_key in match_keys(object_type, whole):
        return with_values(matched, match=Match.EXISTING, answer=whole)
    return matched


def why_unmatched(object_type: ObjectType, matched: Matched) -> Rejection:
    """Why a row is rejected that Apollo took for another record, or did not name."""
    answer_id = matched.answer.get("id") if matched.answer else None
    other = "domain" if object_type.is_matched_by_domain else "e-mail"
    if matched.match is Match.CONFLICT:
        return Rejection(
            Reason.IDENTITY_CONFLICT,
            f"Apollo takes it for {object_type.singular} {answer_id}, which has the same name but "
            f"another {other}; it was left alone. Merge or rename one of them in Apollo, or write "
            "that record by its id in mode update",
            status=200,
            endpoint=object_type.endpoints.create,
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
        Reason.NOT_CONFIRMED, detail, status=200, endpoint=object_type.endpoints.create, attempts=2
    )


@dataclass
class FollowUp:
    """What is left to do about rows after their requests.

    Attributes:
        updates: What is to be written to records that their rows have made.
        existing: Rows that were found to have a record.
        failure: What ends the run; the rows of its request have no outcome.
    """

    updates: list[PlannedUpdate] = field(default_factory=list)
    existing: list[MatchedRecord] = field(default_factory=list)
    failure: ApolloError | None = None


@dataclass(frozen=True)
class RecordCreator:
    """Creates the records of one stream."""

    run: SyncRun
    object_type: ObjectType
    mode: Mode
    comparer: RecordComparer
    own_records: OwnRecordCheck

    def create(self, batch: Batch, rows: Sequence[Row]) -> Steps[FollowUp]:
        """Sends rows to be created; those that need nothing more get their outcome.

        Pauses while requests are under way. After a failure the other requests' rows have been
        taken care of.
        """
        requests = create_requests(
            self.object_type,
            rows,
            self.run.settings.batch_size,
            spare_existing=self.mode is Mode.INSERT,
        )
        self.run.request_counter.plan_requests({self.object_type.endpoints.create: len(requests)})
        client, follow_up = self.run.client, FollowUp()
        send = create if batch.cache.has_later_rows else create_and_shorten
        sends = [partial(send, client, self.object_type, request) for request in requests]
        with self.run.pool.start(sends) as results:
            if requests:
                yield
            # Rows get their outcome while Apollo is at work on those of the next requests.
            for request, result in zip(requests, results, strict=True):
                if isinstance(result, ApolloError):
                    follow_up.failure = follow_up.failure or result
                elif isinstance(result, Exception):
                    raise result
                else:
                    self._take_result(batch, request, result, follow_up)
        return follow_up

    def _take_result(
        self, batch: Batch, request: CreateRequest, result: CreateResult, follow_up: FollowUp
    ) -> None:
        for matched in result.matched:
            row, answer = matched.row, matched.answer
            if answer is None or matched.match in (Match.CONFLICT, Match.ALTERED):
                why = why_unmatched(self.object_type, matched)
                batch.finish(row, Outcome.REJECTED, rejection=why)
                continue
            if matched.match is Match.CREATED:
                follow_up.updates += self._complete(batch, request, row, answer)
                continue
            batch.cache.remember(row, answer)
            if self.mode is Mode.INSERT:
                follow_up.updates += self.leave_or_complete(batch, matched, answer)
            else:
                record = MatchedRecord(row, str(answer["id"]), answer)
                if self._is_own(batch, matched, answer):
                    follow_up.updates.append(self.comparer.compare_whole(record))
                else:
                    follow_up.existing.append(record)
        for row, refusal in result.refused:
            why = rejection(self.object_type, None, refusal)
            batch.finish(row, Outcome.REJECTED, rejection=why)

    def leave_or_complete(
        self, batch: Batch, matched: Matched, answer: Json
    ) -> list[PlannedUpdate]:
        """Mode insert: what exists is left alone, unless the row itself has made it."""
        row = matched.row
        if row.number in batch.recovered or self._is_own(batch, matched, answer):
            batch.cache.remember(row, answer)
            return self._complete(batch, CreateRequest((row,)), row, answer)
        batch.finish(row, Outcome.EXISTING, str(answer["id"]), updated_at=updated_at(answer))
        return []

    def _is_own(self, batch: Batch, matched: Matched, answer: Json) -> bool:
        history = batch.history_of(matched.row)
        return self.own_records.made(answer, history, sent_before=matched.sent_before)

    def _complete(
        self, batch: Batch, request: CreateRequest, row: Row, answer: Json
    ) -> list[PlannedUpdate]:
        """Plans the update for what bulk_create does not take; finishes the row if it took all."""
        self.run.limits.created += 1
        behind = left_to_write(self.object_type, request, row)
        refused = None
        if answer.get(CUSTOM_FIELD_ERRORS):
            endpoint = self.object_type.endpoints.create
            refused = custom_field_rejection(self.object_type, answer, endpoint)
        apollo_id = str(answer["id"])
        if refused or behind is not NOTHING:
            batch.cache.remember(row, answer)
            return [PlannedUpdate(row, apollo_id, answer, behind, Outcome.CREATED, refused)]
        if batch.cache.has_later_rows:
            batch.cache.remember(row, answer)
        elif self.object_type.is_named_by_others:
            batch.cache.remember_id(row, apollo_id)
        batch.finish(row, Outcome.CREATED, apollo_id, updated_at=updated_at(answer))
        return []
