"""Writes objects of which Apollo takes one a request and recognises none: deals, tasks.

A request that makes a record must never be sent twice, so an intent is on disk before it, and a row
whose answer was lost or whose run was killed is looked for before it is sent again. Requests go out
side by side, in portions that fit what is left of Apollo's limits: after each portion its outcomes
are on disk, and STATE passes behind them.
"""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import ClassVar, Generic, TypeVar

from msgspec.structs import replace as with_values

from target_apollo.apollo import AllRefusedAlike, ApolloError, RequestRefused
from target_apollo.ledger import DELETED
from target_apollo.model.objects.registry import Json
from target_apollo.model.outcomes import Outcome, Reason, RecordError, Rejection
from target_apollo.model.rows import Mode, OnApolloDelete, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.object_links import values_hash
from target_apollo.sync.objects.object_sync import ObjectSync
from target_apollo.sync.records.portions import fits, prefix
from target_apollo.sync.refusals import consequence_of, rejection, says_gone
from target_apollo.sync.rejects.refused_rows import NOT_SENT_AGAIN
from target_apollo.sync.team.names import Resolved

#: Most requests before Apollo has taken one, so that a fault of all rows costs no more of them.
_FIRST = 20

#: Why a row is rejected whose key is another one's as text: 17 and "17" have one mark.
SAME_KEY = Rejection(
    Reason.IDENTITY_CONFLICT, "another row of the run has the same key, spelled as text"
)


@dataclass(frozen=True)
class SingleWrite:
    """A request that writes the record of one row.

    Attributes:
        body: Its values.
        apollo_id: The record that it changes; None if it makes one.
        before: The record as Apollo last showed it; None where it is not known.
        is_completion: Whether the record was made by an earlier request for the same row, whose
            answer was lost.
    """

    row: Row
    body: Json
    apollo_id: str | None = None
    before: Json | None = None
    is_completion: bool = False


Write = TypeVar("Write", bound=SingleWrite)
Answer = TypeVar("Answer")


class SingleWriteSync(ObjectSync, Generic[Write, Answer]):
    """Writes one stream with a request a row.

    `plan` has the steps that rows go through; its abstract methods are what an object does in its
    own way.
    """

    #: The endpoints that make and change a record.
    create_endpoint: str
    update_endpoint: str
    #: Why a row in mode `update` is rejected whose record is not known.
    update_needs_id: Rejection
    not_sent_again: ClassVar = NOT_SENT_AGAIN | {
        Reason.NOT_CONFIRMED.value,
        Reason.OUTCOME_UNKNOWN.value,
    }

    #: Requests that are under way together at most; None: as many as Apollo's limits let through.
    #: So many rows of a killed run are in doubt.
    most_at_once: int | None = None

    _took_one = False
    #: Refusals before Apollo took any request.
    _refused_first: Sequence[RequestRefused] = ()
    #: Why rows that `find_records` has left out have no outcome, which ends the run after the
    #: others.
    _failure: ApolloError | RunError | None = None

    @cached_property
    def found(self) -> set[str]:
        """Ids of the records that a search has found for rows."""
        return set()

    # --- plan

    def plan(self, batch: Batch, rows: Sequence[Row]) -> list[Write]:
        """The requests for rows, in their order; rows that need none get their outcome.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """
        writes: list[Write | None] = []
        left: list[Row] = []
        for row in rows:
            link = batch.history_of(row).link
            if row.deleted:
                writes.append(self.deletion(batch, row))
            elif link is None or not link.is_gone:
                left.append(row)
            elif self.run.settings.on_apollo_delete is OnApolloDelete.LEAVE:
                self.skip_gone(batch, row, link.apollo_id or "")
            else:
                left.append(with_values(row, apollo_id=None))
        left = [row for row in self.find_records(batch, left) if self._is_written(batch, row)]
        left = self.with_ids_of_names(batch, left)
        self.read_needed(left)
        writes.extend(
            self.update(batch, row) if row.apollo_id else self.creation(batch, row) for row in left
        )
        sent = [write for write in writes if write is not None]
        return sorted(sent, key=lambda write: write.row.number)

    @abc.abstractmethod
    def deletion(self, batch: Batch, row: Row) -> Write | None:
        """The request that follows from a deleted row; None if the row has got its outcome."""

    @abc.abstractmethod
    def find_records(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with the ids of their records, by the marks of those whose id is not known.

        Rows whose record can't be told get their outcome. Those for which Apollo could not be asked
        are left out, and the run ends after the others.
        """

    @abc.abstractmethod
    def may_complete(self, batch: Batch, row: Row) -> bool:
        """Whether a row in mode `insert` whose record there is may be written.

        It may if an earlier request for the row itself has made the record, and it still has to be
        completed; else the row has got its outcome.
        """

    @abc.abstractmethod
    def resolve_names(self, row: Row) -> Resolved:
        """The row with ids in place of names.

        Raises:
            RecordError: Apollo does not know a name that the row can't be written without.
            ApolloError, RunError: The run can't go on.
        """

    def read_needed(self, rows: Sequence[Row]) -> None:
        """Reads the records whose values decide what is written."""

    @abc.abstractmethod
    def update(self, batch: Batch, row: Row) -> Write | None:
        """The request that changes a row's record; None if the row has got its outcome."""

    @abc.abstractmethod
    def creation(self, batch: Batch, row: Row) -> Write | None:
        """The request that makes a row's record; None if the row has got its outcome."""

    @abc.abstractmethod
    def mark_of(self, source: str, row: Row) -> str:
        """The mark by which the record of a row is found again, under a setting `source`."""

    def marks_of(self, batch: Batch, row: Row) -> tuple[str, ...]:
        """The mark of a row, and those that it had while the setting `source` was another."""
        link = batch.history_of(row).link
        sources = dict.fromkeys((self.run.settings.source, link.source if link else "", ""))
        return tuple(self.mark_of(source, row) for source in sources)

    def latest_start(self, batch: Batch, rows: Sequence[Row]) -> datetime | None:
        """Start of the latest run that may have made the record of one of these rows."""
        # Where the start is not known, only a pass of this run will do.
        unknown = self.run.counts.started_at - timedelta(microseconds=1)
        return max((batch.history_of(row).sent_at or unknown for row in rows), default=None)

    def _is_written(self, batch: Batch, row: Row) -> bool:
        """Whether the mode allows a row to be written; if not, it has got its outcome."""
        if row.apollo_id:
            return self.mode is not Mode.INSERT or self.may_complete(batch, row)
        if self.mode is not Mode.UPDATE:
            return True
        batch.finish(row, Outcome.REJECTED, rejection=self.update_needs_id)
        return False

    def with_ids_of_names(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with ids in place of names, without those that get their outcome here."""
        left = []
        for row in rows:
            try:
                with_ids = self.resolve_names(row)
            except RecordError as problem:
                batch.finish(row, Outcome.REJECTED, row.apollo_id, rejection=problem.rejection)
                continue
            if not with_ids.waits_for or not self._waits_still(batch, row, with_ids):
                left.append(with_ids.row)
        return left

    def _waits_still(self, batch: Batch, row: Row, with_ids: Resolved) -> bool:
        """Whether a row only waits for names that Apollo still does not know; then it is finished.

        An earlier run has written the rest of it.
        """
        unresolved = self.run.counts.unresolved[self.stream]
        unresolved.update(row.names[name][0] for name in with_ids.waits_for)
        hashed = values_hash(row, self.policies, with_ids.waits_for)
        batch.wait_for(row, hashed)
        link = batch.history_of(row).link
        if link is None or not link.holds(hashed) or self.run.settings.full_resync:
            return False
        batch.finish(row, Outcome.UNCHANGED, link.apollo_id)
        return True

    def was_done(self, batch: Batch, deleted: Row) -> bool:
        """Whether an earlier run has done what follows from a deleted row; then it is finished.

        Args:
            deleted: The row with what is written for it.
        """
        mark = f"{DELETED}{values_hash(deleted)}"
        batch.wait_for(deleted, mark)
        link = batch.history_of(deleted).link
        if link is None or link.payload_hash != mark:
            return False
        batch.finish(deleted, Outcome.UNCHANGED, deleted.apollo_id)
        return True

    def finish_made(self, batch: Batch, row: Row) -> None:
        """Finishes a row whose record was made by a request without an answer."""
        self.run.limits.created += 1
        batch.finish(row, Outcome.CREATED, row.apollo_id)

    def skip_gone(self, batch: Batch, row: Row, apollo_id: str) -> None:
        """Finishes a row whose record somebody deleted in Apollo, and which is left alone."""
        self.notices.record_gone(self.object.singular)
        batch.finish(row, Outcome.SKIPPED, apollo_id, record_is_gone=True)

    # --- requests

    @abc.abstractmethod
    def send(self, write: Write) -> Answer:
        """Sends a request, in a thread of the pool, and returns what Apollo answered.

        Raises:
            ApolloError: The record is not written, or not confirmed.
        """

    @abc.abstractmethod
    def take_answer(self, batch: Batch, write: Write, answer: Answer) -> None:
        """Gives a row its outcome by the record that Apollo answered."""

    def take_refusal(self, batch: Batch, write: Write, refusal: RequestRefused) -> Write | None:
        """Gives a refused row its outcome, or returns the request that is sent in its place.

        A row whose record is gone is skipped, or its record made anew (`on_apollo_delete`).
        """
        row, apollo_id = write.row, write.apollo_id
        if apollo_id is None or not says_gone(refusal, apollo_id):
            why = rejection(self.object, apollo_id, refusal)
            batch.finish(row, Outcome.REJECTED, apollo_id, rejection=why)
            return None
        link = batch.history_of(row).link
        is_known = link is not None and link.apollo_id == apollo_id
        if not is_known and apollo_id not in self.found:
            # The row itself names the record.
            why = rejection(self.object, apollo_id, refusal)
            batch.finish(row, Outcome.REJECTED, rejection=why)
            return None
        recreates = self.run.settings.on_apollo_delete is OnApolloDelete.RECREATE
        if not recreates or row.deleted or self.mode is Mode.UPDATE:
            self.skip_gone(batch, row, apollo_id)
            return None
        if self.links is not None and link is not None:
            # Else a run that is killed now would leave the former record's id.
            self.links.forget([link.source_key])
        return self.creation(batch, with_values(row, apollo_id=None))

    def write_rows(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Sends a request for each row that needs one, a portion after another."""
        left = self.plan(batch, rows)
        self.save(batch)
        while left:
            portion = self._portion(left)
            again = yield from self._send(batch, portion)
            left = [*again, *left[len(portion) :]]
            if left:
                self.save(batch)
        if self._failure is not None:
            raise self._failure

    def _portion(self, writes: Sequence[Write]) -> Sequence[Write]:
        """The first writes, as many as may go out side by side now; at least one.

        Raises:
            RunError: The next one is beyond `max_creates` or `max_updates`.
        """
        limits = self.run.limits
        allowed = {
            True: _left(limits.max_creates, limits.created),
            False: _left(limits.max_updates, limits.updated),
        }
        if writes[0].apollo_id is None:
            limits.creates_allowed(1)
        else:
            limits.updates_allowed(1)
        counts: Counter[bool] = Counter()
        ids: set[str] = set()
        size = 0
        for write in writes:
            creates = write.apollo_id is None
            # Two rows of one record are written in turn.
            if counts[creates] >= allowed[creates] or write.apollo_id in ids:
                break
            counts[creates] += 1
            ids |= {write.apollo_id} if write.apollo_id else set()
            size += 1
        size = min(size, self.most_at_once or size)
        first = writes[: size if self._took_one else min(size, _FIRST)]
        self.run.asked_room(self.create_endpoint)
        return first[: prefix(first, lambda some: fits(self._needed(some), self.run.room))]

    def _needed(self, writes: Sequence[Write]) -> dict[str, int]:
        creates = sum(write.apollo_id is None for write in writes)
        return {self.create_endpoint: creates, self.update_endpoint: len(writes) - creates}

    def _send(self, batch: Batch, writes: Sequence[Write]) -> Steps[list[Write]]:
        """Sends requests side by side; returns those that are sent in place of refused ones.

        If one fails for a reason that is not its row's, the answers of the others still count.
        """
        self.intend(batch, [write.row for write in writes])
        self.run.request_counter.plan_requests(self._needed(writes))
        again: list[Write] = []
        refused: list[RequestRefused] = []
        failure: ApolloError | None = None
        unsent: list[Row] = []
        with self.run.pool.start([partial(self.send, write) for write in writes]) as results:
            yield
            for write, result in zip(writes, results, strict=True):
                if isinstance(result, RequestRefused) and (
                    consequence_of(result, write.apollo_id).is_about_rows
                ):
                    refused.append(result)
                    instead = self.take_refusal(batch, write, result)
                    again += [] if instead is None else [instead]
                elif isinstance(result, ApolloError):
                    failure = failure or result
                    unsent += [] if result.maybe_written else [write.row]
                elif isinstance(result, Exception):
                    raise result
                else:
                    self._took_one = True
                    self._count(write)
                    self.take_answer(batch, write, result)
        if failure is not None:
            self._withdraw(batch, unsent)
            raise failure
        self._refused_first = () if self._took_one else (*self._refused_first, *refused)
        if len(self._refused_first) >= _FIRST and _are_alike(self._refused_first):
            alike = self._refused_first[0]
            raise AllRefusedAlike(alike.endpoint, status=alike.status, words=alike.words)
        return again

    def _withdraw(self, batch: Batch, rows: Sequence[Row]) -> None:
        """Takes back the intents of rows for which nothing reached Apollo."""
        if self.links is not None:
            self.links.withdraw([batch.history_of(row) for row in rows])

    def _count(self, write: Write) -> None:
        if write.apollo_id is None:
            self.run.limits.created += 1
        else:
            self.run.limits.updated += 1


def _left(limit: int | None, used: int) -> float:
    return float("inf") if limit is None else limit - used


def _are_alike(refused: Sequence[RequestRefused]) -> bool:
    """Whether requests were refused with the same words, which name no record."""
    words = {(one.status, one.code, one.words) for one in refused}
    return len(words) == 1 and not any(one.named_ids for one in refused)
