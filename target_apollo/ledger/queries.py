"""The table ``apollo_links``: look-ups and upserts in sets, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NoReturn

from sqlalchemy import (
    Connection,
    delete,
    func,
    select,
    tuple_,
)

from target_apollo.ledger import pending_fields
from target_apollo.ledger.companies import forget_companies
from target_apollo.ledger.database import Address
from target_apollo.ledger.failures import UnreadableValue
from target_apollo.ledger.keys import without_addresses
from target_apollo.ledger.links import (
    CONFIRMED,
    DELETED,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
)
from target_apollo.ledger.statements import (
    ADOPT,
    CONFIRMED_IN_FULL,
    CONFIRMED_OUTCOME,
    FIND,
    FIND_BY_APOLLO_ID,
    FIND_BY_MATCH,
    FORGET,
    FORGET_HASHES,
    FORGET_MOVES,
    FORGET_SINGLE_HASHES,
    GIVE_ADDRESS,
    INTENT,
    INTENT_IN_FULL,
    LINK_COLUMNS,
    REJECTED_OUTCOME,
    as_it_is,
    chunks,
    moments,
)
from target_apollo.ledger.tables import apollo_links, match_digits

#: Links in memory at a time.
PAGE = 5_000

_links = apollo_links.c


def find_links(database: Connection, place: Place, keys: Collection[str]) -> dict[str, Link]:
    """Find the links of a stream's source keys; keys without a link are left out.

    A link with the place's source wins over one without a source, unless it holds nothing. Where
    the place has no source, a key gets a link with a source if only one source has that key.
    """
    _, read = moments(database.dialect)
    links = [
        link
        for some in chunks(keys)
        for link in _links_of(FIND.find(database, place[:3], some), read)
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
    """Give all links of a stream of one source in the order of their keys, page by page."""
    links = apollo_links.c
    wanted = (
        select(*LINK_COLUMNS)
        .where(
            links.stream == place.stream,
            links.connection == place.connection,
            links.object == place.object,
            links.source == place.source,
        )
        .order_by(links.source_key)
        .limit(PAGE)
    )
    last: str | None = None
    while True:
        page = wanted if last is None else wanted.where(links.source_key > last)
        rows = database.execute(page).all()
        yield from _links_of(rows, as_it_is)
        if len(rows) < PAGE:
            return
        last = rows[-1][0]


def find_links_by_apollo_id(
    database: Connection, place: Place, apollo_ids: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links to Apollo records, of any stream; several rows may share a record."""
    _, read = moments(database.dialect)
    found: dict[str, list[Link]] = {}
    for some in chunks(apollo_ids):
        for link in _links_of(FIND_BY_APOLLO_ID.find(database, place[:2], some), read):
            found.setdefault(link.apollo_id or "", []).append(link)
    return found


def find_links_by_match(
    database: Connection, place: Place, hashes: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links with a record, of any stream and source, by the hash of their address."""
    _, read = moments(database.dialect)
    found: dict[str, list[Link]] = {}
    wanted = set(hashes)
    for some in chunks(map(match_digits, wanted)):
        for link in _links_of(FIND_BY_MATCH.find(database, place[:2], some), read):
            if link.match_hash in wanted:
                found.setdefault(link.match_hash or "", []).append(link)
    return found


def adopt(database: Connection, place: Place, keys: Collection[str]) -> None:
    """Set the place's source in links that have none; they replace links with that source."""
    write, _ = moments(database.dialect)
    now = write(datetime.now(timezone.utc))
    for some in chunks(keys):
        FORGET.change(database, place, some)
        ADOPT.change(database, (place.source, now, *place[:3]), some)


def forget(database: Connection, place: Place, keys: Collection[str]) -> None:
    """Delete the links of source keys of a stream of one source."""
    for some in chunks(keys):
        FORGET.change(database, place, some)


def forget_moves(database: Connection, place: Place, apollo_ids: Collection[str]) -> None:
    """Note in links of deleted rows, of any stream, that their record is where it was before."""
    for some in chunks(apollo_ids):
        FORGET_MOVES.change(
            database, (DELETED, place.connection, place.object, f"{DELETED}%"), some
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
    links = apollo_links.c
    wanted = select(links.source_key, links.connection, links.apollo_id).where(
        links.stream == stream,
        links.source == source,
        links.connection.in_(sorted(connections)),
        links.status != LinkStatus.GONE.value,
        links.apollo_id.is_not(None),
    )
    found: dict[str, set[tuple[str, str]]] = {}
    for some in chunks(keys):
        for key, *record in database.execute(wanted.where(links.source_key.in_(some))):
            found.setdefault(key, set()).add((record[0], record[1]))
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
    links = apollo_links.c
    wanted = (
        select(links.source_key, func.min(links.last_synced_at, type_=links.last_synced_at.type))
        .where(
            links.stream == stream,
            links.source == source,
            links.connection.in_(sorted(connections)),
            links.status.in_([status.value for status in CONFIRMED]),
            links.last_synced_at.is_not(None),
        )
        .group_by(links.source_key)
        .having(func.count(links.connection.distinct()) == len(connections))
    )
    return {
        row[0]: row[1]
        for some in chunks(keys)
        for row in database.execute(wanted.where(links.source_key.in_(some)))
    }


def connections_of(database: Connection, stream: str, source: str) -> list[str]:
    """List the connections that a stream's links belong to. Reads all of the stream's links."""
    links = apollo_links.c
    found = (
        select(links.connection).where(links.stream == stream, links.source == source).distinct()
    )
    return list(database.scalars(found))


def has_links(database: Connection, stream: str, source: str | None) -> bool:
    """Say whether a stream has links, of a source or of any."""
    links = apollo_links.c
    some = select(links.source_key).where(links.stream == stream).limit(1)
    if source is not None:
        some = some.where(links.source == source)
    return database.execute(some).first() is not None


def save_intents(
    database: Connection,
    place: Place,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Mark links as pending and delete their payload hash, since Apollo's values become unknown."""
    plain = [intent for intent in intents if intent.single_hashes is None]
    INTENT.execute(database, _intent_rows(database, place, run_id, plain))
    if len(plain) < len(intents):
        holding = [intent for intent in intents if intent.single_hashes is not None]
        rows = _intent_rows(database, place, run_id, holding)
        full = [(*row, intent.single_hashes) for row, intent in zip(rows, holding, strict=True)]
        INTENT_IN_FULL.execute(database, full)


def _intent_rows(
    database: Connection,
    place: Place,
    run_id: str,
    intents: Sequence[Intent],
) -> list[tuple[Any, ...]]:
    write, _ = moments(database.dialect)
    now = write(datetime.now(timezone.utc))
    status = LinkStatus.PENDING.value
    return [
        (
            place.stream,
            intent.source_key,
            place.connection,
            place.object,
            place.source,
            intent.apollo_id,
            status,
            run_id,
            intent.match_hash,
            now,
        )
        for intent in intents
    ]


def save_outcomes(
    database: Connection,
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
    write, _ = moments(database.dialect)
    now = write(datetime.now(timezone.utc))
    # Only updated records: no other row can have written to a record that was just created.
    changed = [o.apollo_id for o in outcomes if o.status is LinkStatus.UPDATED and o.apollo_id]
    for some in chunks(changed):
        FORGET_SINGLE_HASHES.change(database, (place.connection, place.object), some)
    written = Counter(outcome.apollo_id for outcome in outcomes)
    confirmed: list[tuple[Any, ...]] = []
    #: By source key: outcomes with values that most links lack.
    in_full: dict[str, tuple[Any, ...]] = {}
    for outcome in outcomes:
        if outcome.status is LinkStatus.ERROR:
            continue
        moment = write(outcome.synced_at or synced_at)
        values = (
            place.stream,
            outcome.source_key,
            place.connection,
            place.object,
            place.source,
            outcome.apollo_id,
            outcome.payload_hash,
            outcome.status.value,
            moment,
            moment,
            run_id,
            outcome.match_hash,
            outcome.apollo_updated_at,
            now,
        )
        # Of several rows with one record, each may have written over another.
        singles = outcome.single_hashes if written[outcome.apollo_id] < 2 else None
        if outcome.row_hash is not None or singles is not None:
            more = (outcome.row_hash, singles)
            in_full[outcome.source_key] = (*values, *more)
            continue
        confirmed.append(values)
        if in_full:
            in_full.pop(outcome.source_key, None)
    CONFIRMED_OUTCOME.execute(database, confirmed)
    CONFIRMED_IN_FULL.execute(database, list(in_full.values()))
    gone = [o.apollo_id for o in outcomes if o.status is LinkStatus.GONE and o.apollo_id]
    if gone:
        forget_companies(database, place, gone)
        pending_fields.forget(database, place, gone)
    latest = {outcome.source_key: outcome for outcome in outcomes}
    rejected = [
        (
            place.stream,
            outcome.source_key,
            place.connection,
            place.object,
            place.source,
            outcome.apollo_id,
            outcome.payload_hash,
            LinkStatus.ERROR.value,
            without_addresses(outcome.error or ""),
            run_id,
            now,
        )
        for outcome in latest.values()
        if outcome.status is LinkStatus.ERROR
    ]
    REJECTED_OUTCOME.execute(database, rejected)
    for some in chunks(changed):
        FORGET_HASHES.change(
            database, (place.connection, place.object, run_id, f"{DELETED}%"), some
        )
    readdressed = [
        (outcome.match_hash, place.connection, place.object, outcome.apollo_id, run_id)
        for outcome in outcomes
        if outcome.is_readdressed and outcome.match_hash
    ]
    GIVE_ADDRESS.execute(database, readdressed)


def delete_links(database: Connection, place: Place, apollo_ids: Collection[str]) -> int:
    """Delete the links of any stream to Apollo records that are gone; give their number."""
    links = apollo_links.c
    gone = delete(apollo_links).where(
        links.connection == place.connection, links.object == place.object
    )
    forget_companies(database, place, apollo_ids)
    pending_fields.forget(database, place, apollo_ids)
    return sum(
        database.execute(gone.where(links.apollo_id.in_(some))).rowcount
        for some in chunks(apollo_ids)
    )


class _Statuses(dict[str, LinkStatus]):
    def __missing__(self, status: object) -> LinkStatus:
        raise UnreadableValue("the status of a link is none that target-apollo writes")


_STATUSES = _Statuses({status.value: status for status in LinkStatus})


def _links_of(rows: Iterable[Sequence[Any]], read: Callable[[Any], datetime | None]) -> list[Link]:
    # All columns are spelled out: unpacking the rest of a row takes as long as making its link.
    return [
        Link(
            key,
            apollo_id,
            payload_hash,
            _STATUSES[status],
            read(first),
            read(last),
            error,
            run_id,
            found_under,
            updated_at,
            stream,
            source,
            row_hash,
            single_hashes,
        )
        for (
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
            stream,
            source,
            row_hash,
            single_hashes,
        ) in rows
        # SQLite keeps bytes in any column.
        if not (
            key.__class__ is bytes
            or apollo_id.__class__ is bytes
            or payload_hash.__class__ is bytes
            or found_under.__class__ is bytes
            or source.__class__ is bytes
        )
        or _refuse(stream, key, "id or hash")
    ]


def _refuse(stream: object, key: object, what: str) -> NoReturn:
    raise UnreadableValue(f"the {what} of row {key!r} of the stream {stream!r} is none")


_KEY = (_links.stream, _links.source_key, _links.connection, _links.object, _links.source)

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

    They are in the order of the key, so that all pages together read the table once. A link without
    a time of its change, from a ledger of version 1, counts as the oldest.

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
            if any(bytes in map(type, row) for row in rows):
                raise UnreadableValue("a text in it is none")
        yield from rows
        if len(rows) < PAGE:
            return
        page = wanted.where(tuple_(*_KEY) > tuple(rows[-1][: len(_KEY)]))
