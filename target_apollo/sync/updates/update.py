"""Carries out updates of existing records, in rounds in which no Apollo record occurs twice.

So the last row of a record wins. Within a round different records are updated in parallel. The
parts of one record's update are sent one after another (`update_steps`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, JobStarted, QuotaExhausted, RequestRefused
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Row, UpdateMethod
from target_apollo.sync.batch import Batch
from target_apollo.sync.creates.match import updated_at
from target_apollo.sync.exit import RunError
from target_apollo.sync.identity.dead_links import GoneRecord
from target_apollo.sync.links.not_given import seen_in
from target_apollo.sync.links.recall import RowHistory, time_of_record
from target_apollo.sync.records.plan import age
from target_apollo.sync.records.portions import fits, prefix
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.refusals import consequence_of, rejection
from target_apollo.sync.run import SyncRun
from target_apollo.sync.updates.bulk_requests import BulkResult, send_alone, send_grouped
from target_apollo.sync.updates.update_plan import (
    PlannedUpdate,
    UpdateInProgress,
    UpdateParts,
    in_bulk,
    one_request,
)
from target_apollo.sync.updates.update_steps import (
    Grouping,
    UpdateStep,
    another_shown,
    left_out,
    may_fall_back,
    planned_requests,
    shows_another,
    update_steps,
)
from target_apollo.sync.updates.waiting_fields import WaitingFields


@dataclass
class UpdateResult:
    """The results of a round of updates.

    Attributes:
        done: Updates with the record as Apollo answered it; None where nothing was sent.
        following: Updates with values that are still to be sent, which are then in the ledger.
        failure: The error that ends the run; updates that were not finished before it are in no
            list.
    """

    done: list[tuple[PlannedUpdate, Json | None]] = field(default_factory=list)
    refused: list[tuple[PlannedUpdate, RequestRefused]] = field(default_factory=list)
    rejected: list[tuple[PlannedUpdate, Rejection]] = field(default_factory=list)
    following: list[tuple[PlannedUpdate, Json]] = field(default_factory=list)
    failure: ApolloError | None = None


@dataclass(frozen=True)
class UpdateExecutor:
    """Sends updates of different Apollo records, step by step."""

    run: SyncRun
    object_type: ObjectType
    stream: str
    method: UpdateMethod

    def carry_out(self, updates: Sequence[PlannedUpdate]) -> Iterator[UpdateResult]:
        """Sends all parts of all updates, up to a failure that ends the run.

        Yields one result, or one for each portion where a rate window has too little left for all:
        then the oldest rows go first, each with all of its parts.
        """
        singles = sum(bool(update.changes.update) for update in updates)
        bulk = self.run.update_routes.choose_bulk(self.object_type, self.method, singles)
        waiting = WaitingFields(self.run, self.object_type, self.stream, self.method)
        parts_to_wait = waiting.of(updates)
        left = self._begun(updates, parts_to_wait, bulk=bulk)
        planned = planned_requests(self._steps, [one.parts for one in left])
        self.run.request_counter.plan_requests(planned)
        if not fits(planned, self.run.asked_room):
            by_age = sorted(updates, key=lambda update: age(update.row))
            left = self._begun(by_age, parts_to_wait, bulk=bulk)
        while left:
            size = prefix(left, self._fit)
            result = self._send_parts(left[:size])
            yield result
            if result.failure is not None:
                return
            # An endpoint may be closed since.
            left = self._begun([one.update for one in left[size:]], parts_to_wait, bulk=bulk)

    def fit(self, updates: Sequence[PlannedUpdate]) -> bool:
        """Whether these updates need no more requests than may be sent now, without a wait."""
        singles = sum(bool(update.changes.update) for update in updates)
        bulk = self.run.update_routes.choose_bulk(self.object_type, self.method, singles)
        planned = planned_requests(
            self._steps, [one.parts for one in self._begun(updates, {}, bulk=bulk)]
        )
        return fits(planned, self.run.asked_room)

    def _begun(
        self,
        updates: Iterable[PlannedUpdate],
        parts_to_wait: Mapping[int, UpdateParts],
        *,
        bulk: bool,
    ) -> list[UpdateInProgress]:
        """Updates with their parts.

        Args:
            parts_to_wait: Row number -> parts, where some values wait.
        """
        begun: list[UpdateInProgress] = []
        for update in updates:
            waiting = parts_to_wait.get(update.row.number)
            parts = self._parts(update, bulk=bulk) if waiting is None else self._open(waiting)
            begun.append(UpdateInProgress(update, parts))
        return begun

    def _fit(self, updates: Sequence[UpdateInProgress]) -> bool:
        planned = planned_requests(self._steps, [one.parts for one in updates])
        return fits(planned, self.run.asked_room)

    def _send_parts(self, updates: Sequence[UpdateInProgress]) -> UpdateResult:
        result = UpdateResult()
        going_on = updates
        for step in self._steps:
            due = [one for one in going_on if not one.ended_by and step.value(one.parts)]
            failure = self._take_step(step, due)
            if failure is None:
                continue
            result.failure = result.failure or failure
            if not isinstance(failure, QuotaExhausted):
                break
            # The other endpoints may have some quota left, for the records that have come past.
            going_on = [one for one in going_on if one.ended_by or not step.value(one.parts)]
        for one in updates:
            self._conclude(one, result)
        return result

    @cached_property
    def _steps(self) -> tuple[UpdateStep, ...]:
        return update_steps(self.object_type)

    def _parts(self, update: PlannedUpdate, *, bulk: bool) -> UpdateParts:
        routes = self.run.update_routes
        if bulk and routes.is_open(self.object_type.endpoints.bulk_update):
            parts = in_bulk(self.object_type, update.changes, update.answer)
        else:
            parts = one_request(update.changes)
        return self._open(parts)

    def _open(self, parts: UpdateParts) -> UpdateParts:
        """The parts without endpoints that the run can't use."""
        routes = self.run.update_routes
        for step in self._steps:
            if step.fallback is not None and not routes.is_open(step.endpoint):
                parts = step.fallback.parts(parts)
        return parts

    def _take_step(
        self, step: UpdateStep, updates: Sequence[UpdateInProgress]
    ) -> ApolloError | None:
        """Sends one part of updates; returns a failure that ends the run."""
        sent = self._send(step, updates)
        for one, answer in sent.answered:
            if shows_another(self.object_type, one, step.value(one.parts), answer):
                one.ended_by = another_shown(self.object_type, one, step.endpoint)
            else:
                step.read(self.object_type, one, answer)
        for one in sent.unanswered:
            _fall_back(step, one, left_out(step.endpoint))
        for one, refusal in sent.refused:
            if may_fall_back(step, one, refusal):
                _fall_back(step, one, refusal)
            else:
                one.ended_by = refusal
        if sent.closed_by is None:
            return sent.failure
        if step.fallback is None:
            return sent.failure or sent.closed_by
        self.run.update_routes.close(step.endpoint, sent.closed_by, step.fallback.description)
        for one in sent.blocked:
            one.parts = step.fallback.parts(one.parts)
        return sent.failure

    def _send(self, step: UpdateStep, updates: Sequence[UpdateInProgress]) -> BulkResult:
        def send(members: Sequence[UpdateInProgress]) -> Sequence[Json]:
            ids = [one.update.apollo_id for one in members]
            values = [step.value(one.parts) for one in members]
            return step.send(self.run.client, self.object_type, ids, values)

        if step.grouping is Grouping.NONE:
            return send_alone(self.run.pool, updates, send)
        result = BulkResult(blocked=list(updates))
        for size in step.sizes:
            requests = step.requests(result.blocked, size)
            result = result.followed_by(
                send_grouped(self.object_type, self.run.pool, requests, send)
            )
            if not isinstance(result.closed_by, JobStarted):
                break
        return result

    def _conclude(self, one: UpdateInProgress, result: UpdateResult) -> None:
        """Adds an update to the result, unless the run ends before all its parts were sent."""
        if isinstance(one.ended_by, RequestRefused):
            result.refused.append((one.update, one.ended_by))
        elif one.ended_by is not None:
            result.rejected.append((one.update, one.ended_by))
        elif not one.parts:
            if one.parts.later:
                result.following.append((one.update, one.parts.later))
            problem = one.problem or (self._lost(one) if one.parts.lost else None)
            if problem is not None:
                result.rejected.append((one.update, problem))
            else:
                result.done.append((one.update, one.answer))

    def _lost(self, one: UpdateInProgress) -> Rejection:
        endpoint = self.object_type.endpoints.bulk_update
        return Rejection(
            Reason.REFUSED,
            f"{self.object_type.singular} {one.update.apollo_id} was written without "
            f"{', '.join(one.parts.lost)}, which only {endpoint} takes. "
            f"{self.run.update_routes.closed.get(endpoint, '')}".rstrip(),
            endpoint=endpoint,
            attempts=1,
        )


def _fall_back(
    step: UpdateStep, one: UpdateInProgress, otherwise: Rejection | RequestRefused
) -> None:
    """Sends the part by PATCH or PUT instead, if these take all of it; else ends the update."""
    parts = step.fallback.parts(one.parts) if step.fallback is not None else None
    if parts is not None and (parts.owner, parts.lost) == (one.parts.owner, one.parts.lost):
        one.parts = parts
    else:
        one.ended_by = otherwise


class UpdateRounds:
    """Carries out the updates of one stream, and gives their rows an outcome."""

    def __init__(self, stream: RecordStream) -> None:
        self._run = stream.run
        self._object_type = stream.object_type
        self._stream = stream.name
        self._executor = UpdateExecutor(
            stream.run, stream.object_type, stream.name, stream.own.update_method
        )

    def finish_idle(self, batch: Batch, updates: Sequence[PlannedUpdate]) -> list[PlannedUpdate]:
        """Finishes rows whose record needs no change; returns the other updates."""
        for update in updates:
            if not update.changes:
                self._finish(batch, update, update.answer)
        return [update for update in updates if update.changes]

    def carry_out(
        self, batch: Batch, updates: Sequence[PlannedUpdate]
    ) -> tuple[list[GoneRecord], ApolloError | RunError | None]:
        """Carries out a round as far as the limit allows; created records are always completed.

        Args:
            updates: The updates of the round, of different Apollo records.

        Returns:
            Rows whose record is gone from Apollo, to be matched again; and the failure that ends
            the run, if there was one.
        """
        limits = self._run.limits
        changed = [update for update in updates if update.outcome is Outcome.UPDATED]
        completed = [update for update in updates if update.outcome is not Outcome.UPDATED]
        reached: RunError | None = None
        try:
            allowed = limits.updates_allowed(len(changed))
        except RunError as problem:
            allowed, reached = 0, problem
        if allowed < len(changed):
            changed.sort(key=lambda update: age(update.row))
        limits.updated += allowed
        gone, failure = self._send(batch, [*completed, *changed[:allowed]])
        if failure is None and reached is None and allowed < len(changed):
            try:
                limits.updates_allowed(1)
            except RunError as problem:
                reached = problem
        return gone, failure or reached

    def fit(self, updates: Sequence[PlannedUpdate]) -> bool:
        """Whether these updates need no more requests than may be sent now, without a wait."""
        return self._executor.fit(updates)

    def _send(
        self, batch: Batch, updates: Sequence[PlannedUpdate]
    ) -> tuple[list[GoneRecord], ApolloError | None]:
        self._run.sample(self._object_type, self._stream, updates)
        gone: list[GoneRecord] = []
        failure: ApolloError | None = None
        for result in self._executor.carry_out(updates):
            gone += self._take_result(batch, result)
            failure = result.failure
        pages = self._run.record_pages[self._object_type.kind]
        pages.note_written(one.apollo_id for one in updates)
        return gone, failure

    def _take_result(self, batch: Batch, result: UpdateResult) -> list[GoneRecord]:
        """Gives rows their outcome; returns those whose record is gone."""
        batch.cache.invalidate(
            {update.apollo_id for update, _ in (*result.refused, *result.rejected)}
        )
        for update, body in result.following:
            batch.leave_for_later(update.row, body)
        gone: list[GoneRecord] = []
        for update, refusal in result.refused:
            gone += self.finish_refused(batch, update.row, update.apollo_id, refusal)
        for update, reason in result.rejected:
            _reject(batch, update.row, update.apollo_id, reason)
        for update, answer in result.done:
            batch.cache.remember(update.row, answer or update.answer or {"id": update.apollo_id})
            self._finish(batch, update, answer)
        return gone

    def finish_refused(
        self, batch: Batch, row: Row, apollo_id: str, refusal: RequestRefused
    ) -> list[GoneRecord]:
        """Rejects a row after Apollo refused its record, unless the record is gone.

        Returns:
            The row if its record is gone, to be matched again.
        """
        if not consequence_of(refusal, apollo_id).record_is_gone:
            _reject(batch, row, apollo_id, rejection(self._object_type, apollo_id, refusal))
        elif row.deleted:
            batch.finish(row, Outcome.SKIPPED, apollo_id, record_is_gone=True)
        else:
            return [GoneRecord(with_values(row, apollo_id=apollo_id), refusal)]
        return []

    def reject_unread(self, batch: Batch, row: Row, apollo_id: str) -> None:
        """Rejects a row whose record can't be compared, since Apollo answered with another one."""
        _reject(batch, row, apollo_id, left_out(self._object_type.endpoints.read))

    def _finish(self, batch: Batch, update: PlannedUpdate, answer: Json | None) -> None:
        """Gives the row of an update its outcome, after all its parts were sent.

        Args:
            answer: The record in Apollo's answer; None if nothing was sent.
        """
        row, apollo_id, outcome = update.row, update.apollo_id, update.outcome
        if update.refused is not None:
            _reject(batch, row, apollo_id, update.refused)
            return
        if not update.changes and outcome is Outcome.UPDATED:
            outcome = Outcome.UNCHANGED
        if update.changes.unwritable:
            self._run.notices.unwritable(self._object_type.kind.value, update.changes.unwritable)
        when = _last_written_at(update, batch.history_of(row), answer)
        not_given = seen_in(self._object_type, row, update.not_given, answer)
        batch.finish(row, outcome, apollo_id, updated_at=when, not_given=not_given)


def _last_written_at(update: PlannedUpdate, history: RowHistory, answer: Json | None) -> str | None:
    """Apollo's time of the last write that left the record as its row is.

    Under `newest`, a record of that time counts as changed by nobody else. So the time is not that
    of a record to which nothing was sent, or in which somebody else's values stay.
    """
    if answer is None and update.outcome is Outcome.CREATED:
        # The answer to the creation is the last that shows the record.
        answer = update.answer
    if update.changes:
        return None if update.keeps_values else updated_at(answer)
    return time_of_record(history, update.apollo_id)


def _reject(batch: Batch, row: Row, apollo_id: str, why: Rejection) -> None:
    """Rejects a row that was to be written to a record."""
    # The link keeps the record's id: without it a changed e-mail would create a second record.
    is_there = why.reason not in (Reason.GONE, Reason.DELETED)
    batch.finish(row, Outcome.REJECTED, apollo_id if is_there else None, rejection=why)


def rounds(updates: Sequence[PlannedUpdate]) -> list[list[PlannedUpdate]]:
    """Splits updates into rounds in which no Apollo record occurs twice: the last row wins."""
    found: list[list[PlannedUpdate]] = []
    next_round: dict[str, int] = defaultdict(int)
    for update in updates:
        place = next_round[update.apollo_id]
        next_round[update.apollo_id] += 1
        if place == len(found):
            found.append([])
        found[place].append(update)
    return found
