"""The ledger's links in pages, each a transaction of its own: a slow loader holds none open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from target_apollo.ledger.database import Address
from target_apollo.ledger.tables import apollo_creations, apollo_links

#: Links in memory at a time.
PAGE = 5_000

_links = apollo_links.c
_KEY = (_links.stream, _links.source_key, _links.connection, _links.object)
_COLUMNS = (
    *_KEY,
    _links.apollo_id,
    _links.status,
    _links.error,
    _links.first_synced_at,
    _links.last_synced_at,
    _links.run_id,
    _links.changed_at,
)


def read_links(address: Address, database: Connection, since: datetime | None) -> Iterator[Any]:
    """Yield the links that changed at a moment or later, as rows; without a moment, all of them.

    They come by their key, by which the table is sorted: all pages together read it once. A link
    of which nobody knows when it changed, from a ledger of the first version, counts as the oldest.

    Raises:
        LedgerError: The ledger can't be read.
    """
    wanted = select(*_COLUMNS).order_by(*_KEY).limit(PAGE)
    if since is not None:
        wanted = wanted.where(_links.changed_at >= since)
    page = wanted
    while True:
        with address.errors_as_sentences("Reading"), database.begin():
            rows: Sequence[Any] = database.execute(page).all()
        yield from rows
        if len(rows) < PAGE:
            return
        page = wanted.where(tuple_(*_KEY) > tuple(rows[-1][: len(_KEY)]))


def read_creations(address: Address, database: Connection, since: datetime | None) -> Sequence[Any]:
    """Give the rows of creates that are no links yet: under way, or left by a killed run.

    Raises:
        LedgerError: The ledger can't be read.
    """
    wanted = select(apollo_creations)
    if since is not None:
        wanted = wanted.where(apollo_creations.c.changed_at >= since)
    with address.errors_as_sentences("Reading"), database.begin():
        return database.execute(wanted).all()
