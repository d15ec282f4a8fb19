"""Requests that update many records at once, and what became of each of their records."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from msgspec.structs import replace as with_values

from target_apollo.apollo import MAX_BULK, ApolloError, RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.concurrency import Parallel
from target_apollo.sync.pending_updates import Pending
from target_apollo.sync.refusals import take_apart
from target_apollo.sync.update_routes import closes

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
    target: ObjectType, parallel: Parallel, requests: Sequence[tuple[Sequence[Pending], Send]]
) -> Grouped:
    """Sends requests at the same time, takes refused ones apart, asks again for what is left out.

    Sending again is safe: an update is the same twice.
    """
    results = parallel.run([partial(_send, target, *request) for request in requests])
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


def _send(target: ObjectType, members: Sequence[Pending], send: Send) -> Grouped:
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
    parts = take_apart(target, rows, send_rows)
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
