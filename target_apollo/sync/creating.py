"""One bulk_create request from sending to confirmation: every row of it comes back with an answer.

Runs in the pool: it shares nothing but the API client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloClient, BulkCreated, RequestRefused
from target_apollo.model.objects import ObjectKind, ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.match import Match, Matched, match_answers, match_keys
from target_apollo.sync.plan import CreateRequest, create_item
from target_apollo.sync.refusals import take_apart


@dataclass
class Created:
    """What became of a request's rows: matched (or known to have no answer), or refused."""

    matched: list[Matched] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


def create(client: ApolloClient, target: ObjectType, request: CreateRequest) -> Created:
    """Sends a request, and parts of it again where Apollo refused it or left rows out.

    Raises:
        ApolloError: The run can't go on.
    """

    def send(rows: Sequence[Row]) -> BulkCreated:
        return _send(client, target, replace(request, rows=tuple(rows)))

    parts = take_apart(target, request.rows, send)
    created = Created(refused=parts.refused)
    silent: list[tuple[Row, ...]] = []
    for rows, answer in parts.answered:
        found = match_answers(target, rows, answer.created, answer.existing)
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
            _look_closer(client, target, m) if m.match is Match.CONFLICT else m
            for m in found
            if m.match is not Match.UNCONFIRMED or len(rows) == 1
        ]
    for rows in silent:
        # Safe to send again: run_dedupe answers with what the first request created.
        again = create(client, target, replace(request, rows=rows))
        created.matched += [with_values(m, sent_before=True) for m in again.matched]
        created.refused += again.refused
    return created


def _send(client: ApolloClient, target: ObjectType, request: CreateRequest) -> BulkCreated:
    items = [create_item(target, row) for row in request.rows]
    if target.kind is ObjectKind.CONTACTS:
        return client.create_contacts(items, owner_id=request.owner_id, whole=request.whole)
    return client.create_accounts(items, whole=request.whole)


def _look_closer(client: ApolloClient, target: ObjectType, matched: Matched) -> Matched:
    """Reads a contact that seems to be a namesake where the answer hid its other e-mails."""
    answer = matched.answer
    if answer is None or target.kind is not ObjectKind.CONTACTS or "contact_emails" in answer:
        return matched
    whole = client.contact(str(answer["id"]))
    if matched.row.match_key in match_keys(target, whole):
        return with_values(matched, match=Match.EXISTING, answer=whole)
    return matched


def why_unmatched(target: ObjectType, matched: Matched) -> Rejection:
    """Why a row is rejected that Apollo took for another record, or did not name."""
    answer_id = matched.answer.get("id") if matched.answer else None
    other = "domain" if target.match_field == "domain" else "e-mail"
    if matched.match is Match.CONFLICT:
        return Rejection(
            Reason.IDENTITY_CONFLICT,
            f"Apollo takes it for {target.singular} {answer_id}, which has the same name but "
            f"another {other}; it was left alone. Merge or rename one of them in Apollo, or write "
            "that record by its id in mode update",
            status=200,
            endpoint=target.create_endpoint,
            attempts=1,
        )
    if matched.match is Match.ALTERED:
        detail = (
            f"not confirmed by Apollo: it created {target.singular} {answer_id} without this "
            f"{other}; look at that record in Apollo"
        )
    else:
        detail = "not confirmed by Apollo: no answered record names it, also when it was sent alone"
    return Rejection(
        Reason.NOT_CONFIRMED, detail, status=200, endpoint=target.create_endpoint, attempts=2
    )
