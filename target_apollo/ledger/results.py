"""What became of each row, for the tap: links read in pages, each by an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from target_apollo.ledger.database import Address
from target_apollo.ledger.database_errors import UnreadableValue
from target_apollo.ledger.link_status import STATUSES, LinkStatus
from target_apollo.ledger.scopes import Place, all_scopes
from target_apollo.ledger.statements import CHANGED_NEXT, RESULTS_NEXT
from target_apollo.ledger.values import (
    moment_of_number,
    number_of_moment,
    unpack,
    unpacked_or_none,
    unpacked_run,
)

#: Results in memory at a time.
PAGE = 5_000


class Result(NamedTuple):
    """What became of a row, as its link has it."""

    place: Place
    source_key: str
    apollo_id: str | None
    status: LinkStatus
    error: str | None
    first_synced_at: datetime | None
    last_synced_at: datetime | None
    run_id: str | None
    changed_at: datetime | None


def read_results(
    address: Address, database: Connection, since: datetime | None
) -> Iterator[Result]:
    """Yield the results of links that changed at a moment or later, the earliest change first.

    Without a moment, yield those of all links in the order of their keys. A link without a time of
    its change, from a ledger of version 1, counts as the oldest. A link that changes meanwhile may
    come twice.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with address.errors_as_sentences("Reading"), database.begin():
        scopes = all_scopes(database)
    if since is None:
        for scope in sorted(scopes):
            yield from _of_scope(address, database, scope, scopes)
        return
    last: tuple[Any, ...] = (number_of_moment(since), 0, b"")
    while True:
        with address.errors_as_sentences("Reading"), database.begin():
            rows = CHANGED_NEXT.find(database, (*last, PAGE), ())
            if any(row[0] not in scopes for row in rows):
                scopes = all_scopes(database)
            page = _results_of(rows, scopes)
        yield from page
        if len(rows) < PAGE:
            return
        last = (rows[-1][8], rows[-1][0], rows[-1][1])


def _of_scope(
    address: Address, database: Connection, scope: int, scopes: Mapping[int, Place]
) -> Iterator[Result]:
    last = b""
    while True:
        with address.errors_as_sentences("Reading"), database.begin():
            rows = RESULTS_NEXT.find(database, (scope, last, PAGE), ())
            page = _results_of(rows, scopes)
        yield from page
        if len(rows) < PAGE:
            return
        last = rows[-1][1]


def _results_of(rows: Sequence[Any], scopes: Mapping[int, Place]) -> list[Result]:
    try:
        return [
            Result(
                scopes[scope],
                unpack(key),
                unpacked_or_none(apollo_id),
                STATUSES[status],
                error,
                moment_of_number(last if first is None else first),
                moment_of_number(last),
                unpacked_run(run_id),
                moment_of_number(changed),
            )
            for scope, key, apollo_id, status, error, first, last, run_id, changed in rows
        ]
    except (KeyError, UnicodeDecodeError):
        raise UnreadableValue("a text in it is none") from None
