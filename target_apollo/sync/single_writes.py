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
from functools import partial

from target_apollo.apollo import AllRefusedAlike, ApolloError, RequestRefused
from target_apollo.model.objects import Json
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.exit import RunError
from target_apollo.sync.object_sync import ObjectSync
from target_apollo.sync.portions import fits, prefix
from target_apollo.sync.refusals import consequence_of

#: Requests before it is known that Apollo takes any: a fault that all rows have costs no more.
_FIRST = 20


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


class SingleWriteSync(ObjectSync):
    """Writes one stream with a request a row."""

    #: The endpoints that make and change a record.
    create_endpoint: str
    update_endpoint: str

    _took_one = False
    #: Why rows that `plan` has left out have no outcome, which ends the run after the others.
    _failure: ApolloError | RunError | None = None

    @abc.abstractmethod
    def plan(self, batch: Batch, rows: Sequence[Row]) -> list[SingleWrite]:
        """The requests for rows, in their order; rows that need none get their outcome.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """

    @abc.abstractmethod
    def send(self, write: SingleWrite) -> Json:
        """Sends a request, in a thread of the pool, and returns the record that Apollo answered.

        Raises:
            ApolloError: The record is not written, or not confirmed.
        """

    @abc.abstractmethod
    def take_answer(self, batch: Batch, write: SingleWrite, answer: Json) -> None:
        """Gives a row its outcome by the record that Apollo answered."""

    @abc.abstractmethod
    def take_refusal(
        self, batch: Batch, write: SingleWrite, refusal: RequestRefused
    ) -> SingleWrite | None:
        """Gives a refused row its outcome, or returns the request that is sent in its place."""

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

    def _portion(self, writes: Sequence[SingleWrite]) -> Sequence[SingleWrite]:
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
        first = writes[: size if self._took_one else min(size, _FIRST)]
        self.run.asked_room(self.create_endpoint)
        return first[: prefix(first, lambda some: fits(self._needed(some), self.run.room))]

    def _needed(self, writes: Sequence[SingleWrite]) -> dict[str, int]:
        creates = sum(write.apollo_id is None for write in writes)
        return {self.create_endpoint: creates, self.update_endpoint: len(writes) - creates}

    def _send(self, batch: Batch, writes: Sequence[SingleWrite]) -> Steps[list[SingleWrite]]:
        """Sends requests side by side; returns those that are sent in place of refused ones.

        If one fails for a reason that is not its row's, the answers of the others still count.
        """
        self.intend(batch, [write.row for write in writes])
        self.run.request_counter.plan_requests(self._needed(writes))
        again: list[SingleWrite] = []
        refused: list[RequestRefused] = []
        failure: ApolloError | None = None
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
                elif isinstance(result, Exception):
                    raise result
                else:
                    self._took_one = True
                    self._count(write)
                    self.take_answer(batch, write, result)
        if failure is not None:
            raise failure
        if not self._took_one and len(writes) >= _FIRST and _are_alike(refused, len(writes)):
            alike = refused[0]
            raise AllRefusedAlike(alike.endpoint, status=alike.status, words=alike.words)
        return again

    def _count(self, write: SingleWrite) -> None:
        if write.apollo_id is None:
            self.run.limits.created += 1
        else:
            self.run.limits.updated += 1


def _left(limit: int | None, used: int) -> float:
    return float("inf") if limit is None else limit - used


def _are_alike(refused: Sequence[RequestRefused], sent: int) -> bool:
    """Whether all requests were refused with the same words, which name no record."""
    words = {(one.status, one.code, one.words) for one in refused}
    return len(refused) == sent and len(words) == 1 and not any(one.named_ids for one in refused)
