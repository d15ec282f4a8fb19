"""Accounts by the hash of their domain: those that were read from Apollo, and those of links.

One walk through Apollo's accounts finds those of many domains at once. The table
``apollo_companies`` keeps the accounts that it finds, and ``apollo_walks`` the page at which it
stopped, where the next run continues.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, delete, select

from target_apollo.ledger.database import chunks, insert_into
from target_apollo.ledger.database_errors import number_of, text_of
from target_apollo.ledger.scopes import Place, scopes_of_kind
from target_apollo.ledger.statements import FIND_IDS_BY_MATCH
from target_apollo.ledger.tables import apollo_companies, apollo_walks
from target_apollo.ledger.values import match_start, pack, unpack

_ACCOUNT = "account"


@dataclass(frozen=True)
class Walk:
    """How far the accounts of an Apollo team were read, the newest first, page by page.

    New accounts move the others to later pages, so a walk that continues at its page sees some
    accounts twice and misses none.

    Attributes:
        next_page: The page to read next, from 1.
        newest: Apollo's `created_at` of the newest account that this walk saw.
        reached: `newest` of the last walk that read all pages. A later walk can stop at an account
            of that age, since all older ones are known.
        changed_at: When it was saved; aware, UTC.
    """

    next_page: int
    newest: str | None = None
    reached: str | None = None
    changed_at: datetime | None = None


def find_companies(
    database: Connection, connection: str, hashes: Collection[str]
) -> dict[str, str]:
    """Find the ids of accounts that were read from Apollo; unknown hashes are left out."""
    columns = apollo_companies.c
    wanted = select(columns.match_hash, columns.apollo_id).where(columns.connection == connection)
    return {
        row[0]: text_of(row[1], "the id of an account")
        for some in chunks(hashes)
        for row in database.execute(wanted.where(columns.match_hash.in_(some)))
    }


def find_linked_accounts(
    database: Connection, connection: str, hashes: Collection[str]
) -> dict[str, str]:
    """Find the ids of accounts by the domain that a row of any stream or source has.

    Of several accounts with one domain, the one that was written last.
    """
    scopes = scopes_of_kind(database, connection, _ACCOUNT)
    asked = {pack(one): one for one in hashes}
    found = [
        (changed_at or 0, unpack(apollo_id), asked[match_hash])
        for some in chunks(map(match_start, hashes))
        for scope, match_hash, apollo_id, changed_at in FIND_IDS_BY_MATCH.find(database, (), some)
        if scope in scopes and match_hash in asked
    ]
    return {match_hash: apollo_id for _, apollo_id, match_hash in sorted(found)}


def save_companies(database: Connection, connection: str, companies: Mapping[str, str]) -> None:
    """Save the ids of accounts by the hash of their domain; a newer id replaces an older one."""
    now = datetime.now(timezone.utc)
    rows = [
        {"connection": connection, "match_hash": key, "apollo_id": apollo_id, "changed_at": now}
        for key, apollo_id in companies.items()
    ]
    if not rows:
        return
    new: Any = insert_into(apollo_companies, database.dialect.name)
    to_set = {"apollo_id": new.excluded.apollo_id, "changed_at": new.excluded.changed_at}
    key = list(apollo_companies.primary_key)
    database.execute(new.on_conflict_do_update(index_elements=key, set_=to_set), rows)


def forget_companies(database: Connection, place: Place, apollo_ids: Collection[str]) -> None:
    """Forget accounts that are gone from Apollo; for other records there is nothing to forget."""
    if place.object != _ACCOUNT:
        return
    columns = apollo_companies.c
    gone = delete(apollo_companies).where(columns.connection == place.connection)
    for some in chunks(apollo_ids):
        database.execute(gone.where(columns.apollo_id.in_(some)))


def find_walk(database: Connection, connection: str) -> Walk | None:
    """Find how far the accounts of a team were read; ``None`` where they never were."""
    columns = apollo_walks.c
    row = database.execute(select(apollo_walks).where(columns.connection == connection)).first()
    if row is None:
        return None
    next_page = number_of(row.next_page, "the next page of the accounts")
    return Walk(next_page, row.newest, row.reached, row.changed_at)


def save_walk(database: Connection, connection: str, walk: Walk) -> None:
    """Save how far the accounts of a team were read."""
    values = {
        "next_page": walk.next_page,
        "newest": walk.newest,
        "reached": walk.reached,
        "changed_at": datetime.now(timezone.utc),
    }
    new: Any = insert_into(apollo_walks, database.dialect.name).values(
        connection=connection, **values
    )
    database.execute(new.on_conflict_do_update(index_elements=["connection"], set_=values))
