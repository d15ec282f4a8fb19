"""The table ``apollo_links``: look-ups and upserts in sets, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, select

from target_apollo.ledger import pending_fields
from target_apollo.ledger.companies import forget_companies
from target_apollo.ledger.database import chunks
from target_apollo.ledger.failures import UnreadableValue
from target_apollo.ledger.links import (
    DELETED,
    STATUS_NUMBERS,
    STATUSES,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
)
from target_apollo.ledger.scopes import (
    Scopes,
    find_scope,
    scopes_of_rows,
)
from target_apollo.ledger.statements import (
    ADOPT,
    CONFIRMED_IN_FULL,
    CONFIRMED_OUTCOME,
    DROP,
    FIND,
    FIND_BY_APOLLO_ID,
    FIND_BY_MATCH,
    FIND_NEXT,
    FIND_SYNCED,
    FORGET,
    FORGET_HASHES,
    FORGET_MOVES,
    FORGET_SINGLE_HASHES,
    GIVE_ADDRESS,
    INTENT,
    INTENT_IN_FULL,
    REJECTED_OUTCOME,
)
from target_apollo.ledger.tables import apollo_row_links, apollo_scopes
from target_apollo.ledger.values import (
    match_start,
    moment_of_number,
    number_of_moment,
    pack,
    packed_or_none,
    unpack,
    unpacked_run,
    without_addresses,
)

#: Links in memory at a time.
PAGE = 5_000

_DELETED = DELETED.encode()


def find_links(
    database: Connection, known: Scopes, place: Place, keys: Collection[str]
) -> dict[str, Link]:
    """Find the links of a stream's source keys; keys without a link are left out.

    A link with the place's source wins over one without a source, unless it holds nothing. Where
    the place has no source, a key gets a link with a source if only one source has that key.
    """
    scopes = known.of_stream.get(place) or known.find_of_stream(place)
    if not scopes:
        return {}
    links = [
        link
        for some in chunks(map(pack, keys))
        for scope in scopes
        for link in _links_of(FIND.find(database, (scope,), some), scopes)
    ]
    own = {link.source_key: link for link in links if link.source == place.source}
    if len(own) == len(links):
        return own
    others: dict[str, list[Link]] = {}
    for link in links:
        key = link.source_key
        is_visible = link.source != place.source and not (place.source and link.source)
        if is_visible and (key not in own or own[key].holds_nothing):
            others.setdefault(key, []).append(link)
    return own | {key: found[0] for key, found in others.items() if len(found) == 1}


def stream_links(database: Connection, place: Place) -> Iterator[Link]:
    """Give all links of a stream of one source, page by page."""
    scope = find_scope(database, place)
    if scope is None:
        return
    last = b""
    while rows := FIND_NEXT.find(database, (scope, last, PAGE), ()):
        yield from _links_of(rows, {scope: place})
        last = rows[-1][1]


def find_links_by_apollo_id(
    database: Connection, known: Scopes, place: Place, apollo_ids: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links to Apollo records, of any stream; several rows may share a record."""
    found: dict[str, list[Link]] = {}
    for some in chunks(map(pack, apollo_ids)):
        rows = FIND_BY_APOLLO_ID.find(database, (), some)
        for link in _of_kind(rows, known, place) if rows else ():
            found.setdefault(link.apollo_id or "", []).append(link)
    return found


def find_links_by_match(
    database: Connection, known: Scopes, place: Place, hashes: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links with a record, of any stream and source, by the hash of their address."""
    found: dict[str, list[Link]] = {}
    wanted = set(hashes)
    for some in chunks(map(match_start, wanted)):
        rows = FIND_BY_MATCH.find(database, (), some)
        for link in _of_kind(rows, known, place) if rows else ():
            if link.match_hash in wanted:
                found.setdefault(link.match_hash or "", []).append(link)
    return found


def _of_kind(rows: Sequence[Sequence[Any]], known: Scopes, place: Place) -> list[Link]:
    """The links of rows that are of a place's team and kind, in order."""
    if not known.places.keys() >= {row[0] for row in rows}:
        # A run of another stream may have written its first links meanwhile.
        known.find_all()
    wanted = (place.connection, place.object)
    links = [
        _link_of(row, of_row)
        for row in rows
        if (of_row := known.places.get(row[0])) and of_row[:2] == wanted
    ]
    return sorted(links, key=lambda link: (link.stream, link.source_key, link.source))


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
            database, (pack(DELETED), place.connection, place.object, _DELETED), some
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
            for link in _links_of(FIND.find(database, (scope,), some), scopes):
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


def save_intents(
    database: Connection,
    known: Scopes,
    place: Place,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Mark links as pending and delete their payload hash, since Apollo's values become unknown."""
    scope = known.numbers.get(place) or known.find_for_writing(place)
    plain = [intent for intent in intents if intent.single_hashes is None]
    INTENT.execute_at_once(database, _intent_rows(scope, run_id, plain))
    if len(plain) < len(intents):
        holding = [intent for intent in intents if intent.single_hashes is not None]
        rows = _intent_rows(scope, run_id, holding)
        full = [(*row, intent.single_hashes) for row, intent in zip(rows, holding, strict=True)]
        INTENT_IN_FULL.execute_at_once(database, full)


def _intent_rows(scope: int, run_id: str, intents: Sequence[Intent]) -> list[tuple[Any, ...]]:
    now = number_of_moment(datetime.now(timezone.utc))
    run = pack(run_id)
    status = STATUS_NUMBERS[LinkStatus.PENDING]
    return [
        (
            scope,
            pack(intent.source_key),
            packed_or_none(intent.apollo_id),
            status,
            run,
            packed_or_none(intent.match_hash),
            now,
        )
        for intent in intents
    ]


def save_outcomes(
    database: Connection,
    known: Scopes,
    place: Place,
    run_id: str,
    outcomes: Sequence[LinkOutcome],
    synced_at: datetime,
) -> None:
    """Upsert outcomes; of several outcomes of one key the last one is kept.

    ``synced_at`` is for confirmed outcomes without a moment of their own. Where a record was
    updated, the links of other source keys to it that this run has not written yet lose their
    payload hash: the record no longer holds their values. If the record's e-mail or domain changed,
    their match hash changes with it.
    """
    scope = known.numbers.get(place) or known.find_for_writing(place)
    run = pack(run_id)
    now = number_of_moment(datetime.now(timezone.utc))
    # Only updated records: no other row can have written to a record that was just created.
    changed = [
        pack(o.apollo_id) for o in outcomes if o.status is LinkStatus.UPDATED and o.apollo_id
    ]
    for some in chunks(changed):
        FORGET_SINGLE_HASHES.change(database, (place.connection, place.object), some)
    written = Counter(outcome.apollo_id for outcome in outcomes)
    confirmed: list[tuple[Any, ...]] = []
    #: By source key: outcomes with values that most links lack.
    in_full: dict[str, tuple[Any, ...]] = {}
    for outcome in outcomes:
        if outcome.status is LinkStatus.ERROR:
            continue
        values = (
            scope,
            pack(outcome.source_key),
            packed_or_none(outcome.apollo_id),
            packed_or_none(outcome.payload_hash),
            STATUS_NUMBERS[outcome.status],
            number_of_moment(outcome.synced_at or synced_at) if outcome.is_synced else None,
            run,
            packed_or_none(outcome.match_hash),
            packed_or_none(outcome.apollo_updated_at),
            now,
        )
        # Of several rows with one record, each may have written over another.
        singles = outcome.single_hashes if written[outcome.apollo_id] < 2 else None
        if outcome.row_hash is not None or singles is not None:
            more = (packed_or_none(outcome.row_hash), singles)
            in_full[outcome.source_key] = (*values, *more)
            continue
        confirmed.append(values)
        if in_full:
            in_full.pop(outcome.source_key, None)
    CONFIRMED_OUTCOME.execute_at_once(database, confirmed)
    CONFIRMED_IN_FULL.execute_at_once(database, list(in_full.values()))
    gone = [o.apollo_id for o in outcomes if o.status is LinkStatus.GONE and o.apollo_id]
    if gone:
        forget_companies(database, place, gone)
        pending_fields.forget(database, place, gone)
    latest = {outcome.source_key: outcome for outcome in outcomes}
    rejected = [
        (
            scope,
            pack(outcome.source_key),
            packed_or_none(outcome.apollo_id),
            packed_or_none(outcome.payload_hash),
            STATUS_NUMBERS[LinkStatus.ERROR],
            without_addresses(outcome.error or ""),
            run,
            now,
        )
        for outcome in latest.values()
        if outcome.status is LinkStatus.ERROR
    ]
    REJECTED_OUTCOME.execute_at_once(database, rejected)
    for some in chunks(changed):
        FORGET_HASHES.change(database, (place.connection, place.object, run, _DELETED), some)
    readdressed = [
        (
            pack(outcome.match_hash),
            place.connection,
            place.object,
            packed_or_none(outcome.apollo_id),
            run,
        )
        for outcome in outcomes
        if outcome.is_readdressed and outcome.match_hash
    ]
    GIVE_ADDRESS.execute(database, readdressed)


def delete_links(database: Connection, place: Place, apollo_ids: Collection[str]) -> int:
    """Delete the links of any stream to Apollo records that are gone; give their number."""
    forget_companies(database, place, apollo_ids)
    pending_fields.forget(database, place, apollo_ids)
    return sum(
        DROP.change(database, (place.connection, place.object), some)
        for some in chunks(map(pack, apollo_ids))
    )


def _links_of(rows: Iterable[Sequence[Any]], scopes: Mapping[int, Place]) -> list[Link]:
    """The links of rows of `LINK_COLUMNS`, without those of other scopes."""
    return [_link_of(row, scopes[row[0]]) for row in rows if row[0] in scopes]


def _link_of(row: Sequence[Any], place: Place) -> Link:
    # All columns are spelled out: unpacking the rest of a row takes as long as making its link.
    (
        _,
        key,
        apollo_id,
        payload_hash,
        status,
        first,
        last,
        error,
        run_id,
        found_under,
        updated_at,
        row_hash,
        single_hashes,
    ) = row
    try:
        return Link(
            unpack(key),
            None if apollo_id is None else unpack(apollo_id),
            None if payload_hash is None else unpack(payload_hash),
            STATUSES[status],
            moment_of_number(last if first is None else first),
            moment_of_number(last),
            error,
            unpacked_run(run_id),
            None if found_under is None else unpack(found_under),
            None if updated_at is None else unpack(updated_at),
            place.stream,
            place.source,
            None if row_hash is None else unpack(row_hash),
            single_hashes,
        )
    except UnicodeDecodeError:
        raise UnreadableValue(
            f"an id or hash of a link of the stream {place.stream!r} is none"
        ) from None
