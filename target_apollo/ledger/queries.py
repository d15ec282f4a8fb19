"""Links by other things than the rows of a batch: by address, and of whole streams.

Also what moves and deletes many links at once, and what the mapper asks. All work in sets, within
the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timezone

from sqlalchemy import Connection, select

from target_apollo.ledger import pending_fields
from target_apollo.ledger.database import chunks
from target_apollo.ledger.found_ids import forget_companies
from target_apollo.ledger.link_status import DELETED
from target_apollo.ledger.links import Link, links_of, links_of_kind
from target_apollo.ledger.scopes import Place, Scopes, find_scope, scopes_of_rows
from target_apollo.ledger.statements import (
    ADOPT,
    DROP,
    FIND,
    FIND_BY_MATCH,
    FIND_NEXT,
    FIND_SYNCED,
    FORGET,
    FORGET_MOVES,
)
from target_apollo.ledger.tables import apollo_row_links, apollo_scopes
from target_apollo.ledger.values import (
    match_start,
    moment_of_number,
    number_of_moment,
    pack,
    unpack,
)

#: Links in memory at a time.
PAGE = 5_000


def stream_links(database: Connection, place: Place) -> Iterator[Link]:
    """Give all links of a stream of one source, page by page."""
    scope = find_scope(database, place)
    if scope is None:
        return
    last = b""
    while rows := FIND_NEXT.find(database, (scope, last, PAGE), ()):
        yield from links_of(rows, {scope: place})
        last = rows[-1][1]


def find_links_by_match(
    database: Connection, known: Scopes, place: Place, hashes: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links with a record, of any stream and source, by the hash of their address."""
    found: dict[str, list[Link]] = {}
    wanted = set(hashes)
    for some in chunks(map(match_start, wanted)):
        rows = FIND_BY_MATCH.find(database, (), some)
        for link in links_of_kind(rows, known, place) if rows else ():
            if link.match_hash in wanted:
                found.setdefault(link.match_hash or "", []).append(link)
    return found


def adopt(database: Connection, known: Scopes, place: Place, keys: Collection[str]) -> None:
    """Set the place's source in links that have none; they replace links with that source."""
    former = find_scope(database, place._replace(source=""))
    scope = known.numbers.get(place) or known.find_for_writing(place)
    if former is None or former == scope:
        return
    now = number_of_moment(datetime.now(timezone.utc))
    for some in chunks(map(pack, keys)):
        FORGET.change(database, (scope,), some)
        ADOPT.change(database, (scope, now, former), some)


def forget(database: Connection, place: Place, keys: Collection[str]) -> None:
    """Delete the links of source keys of a stream of one source."""
    scope = find_scope(database, place)
    if scope is not None:
        for some in chunks(map(pack, keys)):
            FORGET.change(database, (scope,), some)


def forget_moves(database: Connection, place: Place, apollo_ids: Collection[str]) -> None:
    """Note in links of deleted rows, of any stream, that their record is where it was before."""
    for some in chunks(map(pack, apollo_ids)):
        FORGET_MOVES.change(
            database, (pack(DELETED), place.connection, place.object, pack(DELETED)), some
        )


def find_records_of_keys(
    database: Connection,
    stream: str,
    keys: Collection[str],
    connections: Collection[str],
    source: str,
) -> dict[str, frozenset[str]]:
    """Find the Apollo ids of source keys that have a record in *all* of the connections.

    Whatever became of the last write counts, but for records that somebody deleted in Apollo.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    scopes = scopes_of_rows(database, stream, source)
    packed = list(map(pack, keys))
    for scope, place in scopes.items():
        if place.connection not in connections:
            continue
        for some in chunks(packed):
            for link in links_of(FIND.find(database, (scope,), some), scopes):
                if link.apollo_id is not None and not link.is_gone:
                    record = (place.connection, link.apollo_id)
                    found.setdefault(link.source_key, set()).add(record)
    return {
        key: frozenset(apollo_id for _, apollo_id in records)
        for key, records in found.items()
        if len({connection for connection, _ in records}) == len(connections)
    }


def find_synced_at(
    database: Connection,
    stream: str,
    keys: Collection[str],
    connections: Collection[str],
    source: str,
) -> dict[str, datetime]:
    """Find when source keys were last synced to *all* of the connections (earliest moment).

    A key whose last write is pending or failed is left out: it has to be sent again.
    """
    #: Connection -> key -> number of the earliest moment.
    synced: dict[str, dict[bytes, object]] = {}
    scopes = scopes_of_rows(database, stream, source)
    packed = list(map(pack, keys))
    for scope, place in scopes.items():
        if place.connection in connections:
            of_connection = synced.setdefault(place.connection, {})
            for some in chunks(packed):
                for key, moment in FIND_SYNCED.find(database, (scope,), some):
                    if key not in of_connection or moment < of_connection[key]:
                        of_connection[key] = moment
    if not synced or len(synced) < len(set(connections)):
        return {}
    in_all = set.intersection(*(set(found) for found in synced.values()))
    moments = {
        unpack(key): [moment_of_number(found[key]) for found in synced.values()] for key in in_all
    }
    return {key: min(filter(None, some)) for key, some in moments.items()}


def connections_of(database: Connection, stream: str, source: str) -> list[str]:
    """List the connections that a stream's links belong to."""
    links = apollo_row_links.c
    return sorted(
        {
            place.connection
            for scope, place in scopes_of_rows(database, stream, source).items()
            if database.execute(select(links.scope).where(links.scope == scope).limit(1)).first()
        }
    )


def has_links(database: Connection, stream: str, source: str | None) -> bool:
    """Say whether a stream has links, of a source or of any."""
    links, scopes = apollo_row_links.c, apollo_scopes.c
    of_stream = select(scopes.number).where(scopes.stream == stream)
    if source is not None:
        of_stream = of_stream.where(scopes.source == source)
    some = select(links.scope).where(links.scope.in_(of_stream)).limit(1)
    return database.execute(some).first() is not None


def delete_links(database: Connection, place: Place, apollo_ids: Collection[str]) -> int:
    """Delete the links of any stream to Apollo records that are gone; give their number."""
    forget_companies(database, place, apollo_ids)
    pending_fields.forget(database, place, apollo_ids)
    return sum(
        DROP.change(database, (place.connection, place.object), some)
        for some in chunks(map(pack, apollo_ids))
    )
