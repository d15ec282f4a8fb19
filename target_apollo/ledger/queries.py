"""The table ``apollo_links``: look-ups and upserts in sets, within the caller's transaction.

A row a run: when it began and ended, and what it counted.

Statements for many rows, without SQLAlchemy's work for each of them.

SQLAlchemy spells the statement, once per database; rows then go to the driver as tuples. Its own
way costs several times what SQLite needs to find or write a row.

The statements for the table ``apollo_links`` that run for thousands of rows.

The table ``apollo_creations``: creates that are under way, all of a flush in one row.

A row of the warehouse that is new to the ledger gets its link when Apollo has answered. Until then
it is enough that the next run can tell what was sent: to write a link that says so, and to write
it again a moment later, would double what a new row costs the ledger.

The ledger's links in pages, each a transaction of its own: a slow loader holds none open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from importlib import import_module
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Dialect,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    tuple_,
    update,
)

from target_apollo.ledger.database import Address
from target_apollo.ledger.keys import without_addresses
from target_apollo.ledger.links import CONFIRMED, DELETED, Intent, Link, LinkOutcome, LinkStatus
from target_apollo.ledger.tables import UtcTime, apollo_creations, apollo_links, apollo_runs


@dataclass(frozen=True)
class Run:
    """A run as the ledger knows it; one that was killed has no end."""

    run_id: str
    connection: str
    """Apollo team id."""
    streams: tuple[str, ...]
    mode: str
    started_at: datetime
    """Aware, UTC."""
    finished_at: datetime | None
    counts: Mapping[str, int]
    """Outcome -> rows; empty until the run has ended."""
    exit_code: int | None
    reason: str | None
    """Why it ended, where it did not simply come to its end."""


def save_start(database: Connection, run: Run) -> None:
    """Insert a run; one that is there already gets the new streams and mode."""
    known = update(apollo_runs).where(apollo_runs.c.run_id == run.run_id)
    renewed = database.execute(known.values(streams=list(run.streams), mode=run.mode))
    if renewed.rowcount == 0:
        database.execute(
            insert(apollo_runs).values(
                run_id=run.run_id,
                connection=run.connection,
                streams=list(run.streams),
                mode=run.mode,
                started_at=run.started_at,
            )
        )


def save_end(
    database: Connection,
    run_id: str,
    counts: Mapping[str, int],
    exit_code: int,
    reason: str | None,
    finished_at: datetime,
) -> None:
    """Write a run's end into its row."""
    database.execute(
        update(apollo_runs)
        .where(apollo_runs.c.run_id == run_id)
        .values(
            counts=dict(counts),
            exit_code=exit_code,
            reason=None if reason is None else without_addresses(reason),
            finished_at=finished_at,
        )
    )


def latest(database: Connection, limit: int) -> Sequence[Run]:
    """Give the latest runs, the newest first."""
    runs = apollo_runs.c
    found = database.execute(
        select(apollo_runs).order_by(runs.started_at.desc(), runs.run_id.desc()).limit(limit)
    )
    return [
        Run(
            run_id=row.run_id,
            connection=row.connection,
            streams=tuple(row.streams),
            mode=row.mode,
            started_at=row.started_at,
            finished_at=row.finished_at,
            counts=row.counts or {},
            exit_code=row.exit_code,
            reason=row.reason,
        )
        for row in found
    ]


#: Stands in a statement, as a bare column, for a list of values.
KEYS = "KEYS"

_MOMENTS_REMEMBERED = 1000


class ManyRows:
    """A statement whose parameters are tuples, in the order of ``columns``."""

    def __init__(self, columns: Sequence[str], of_dialect: Callable[[str], Any]) -> None:
        """``of_dialect`` gives the statement for ``sqlite`` or ``postgresql``."""
        self._columns = list(columns)
        self._of_dialect = of_dialect
        self._texts: dict[str, str] = {}

    def execute(self, database: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Run the statement for every row; no row is no work."""
        if rows:
            database.exec_driver_sql(self._text(database.dialect), rows)

    def find(
        self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]
    ) -> Sequence[Any]:
        """Run a query with ``values``, then ``keys`` in the place of `KEYS`, and give its rows."""
        rows: Sequence[Any] = self._with_keys(database, values, keys).cursor.fetchall()
        return rows

    def change(self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]) -> None:
        """Run a change with ``values``, then ``keys`` in the place of `KEYS`."""
        self._with_keys(database, values, keys)

    def _with_keys(self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]) -> Any:
        mark = "?" if database.dialect.name == "sqlite" else "%s"
        text = self._text(database.dialect).replace(KEYS, ", ".join([mark] * len(keys)))
        return database.exec_driver_sql(text, (*values, *keys))

    def _text(self, dialect: Dialect) -> str:
        if dialect.name not in self._texts:
            style = "qmark" if dialect.name == "sqlite" else "format"
            spelling: Any = type(dialect)
            compiled = self._of_dialect(dialect.name).compile(
                dialect=spelling(paramstyle=style), column_keys=self._columns
            )
            if list(compiled.positiontup) != self._columns:
                raise AssertionError(f"the statement takes {compiled.positiontup}")
            self._texts[dialect.name] = str(compiled)
        return self._texts[dialect.name]


@lru_cache(maxsize=8)
def moments(
    dialect: Dialect,
) -> tuple[Callable[[datetime | None], Any], Callable[[Any], datetime | None]]:
    """How a database's driver takes a moment, and how it gives one back.

    Thousands of rows have the moment of one flush or one run, so most are converted once.
    """
    column = UtcTime().dialect_impl(dialect)
    return (
        lru_cache(_MOMENTS_REMEMBERED)(column.bind_processor(dialect) or as_it_is),
        lru_cache(_MOMENTS_REMEMBERED)(column.result_processor(dialect, None) or as_it_is),
    )


def as_it_is(value: Any) -> Any:
    """For values that need no conversion."""
    return value


_links = apollo_links.c

LINK_COLUMNS = [
    apollo_links.c[name]
    for name in (
        "source_key",
        "apollo_id",
        "payload_hash",
        "status",
        "first_synced_at",
        "last_synced_at",
        "error",
        "run_id",
        "match_hash",
        "apollo_updated_at",
    )
]

FIND = ManyRows(
    ["stream", "connection", "object"],
    lambda _: select(*LINK_COLUMNS).where(
        _links.stream == bindparam("stream"),
        _links.connection == bindparam("connection"),
        _links.object == bindparam("object"),
        _links.source_key.in_([literal_column(KEYS)]),
    ),
)

FIND_BY_APOLLO_ID = ManyRows(
    ["connection", "object"],
    lambda _: (
        select(*LINK_COLUMNS)
        .where(
            _links.connection == bindparam("connection"),
            _links.object == bindparam("object"),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .order_by(_links.stream, _links.source_key)
    ),
)


# A change's parameters may not have the names of columns.
FORGET_HASHES = ManyRows(
    ["of_connection", "of_object", "of_run", "deleted"],
    lambda _: (
        update(apollo_links)
        .where(
            _links.connection == bindparam("of_connection"),
            _links.object == bindparam("of_object"),
            _links.run_id.is_distinct_from(bindparam("of_run")),
            _links.payload_hash.is_not(None),
            # A deleted row gave it nothing, and stays deleted.
            _links.payload_hash.not_like(bindparam("deleted")),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .values(payload_hash=null(), match_hash=null())
    ),
)


def _insert(dialect: str) -> Any:
    # Only the one that is used: PostgreSQL's takes long to load.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(apollo_links)


def _upsert(new: Any, **to_set: Any) -> Any:
    return new.on_conflict_do_update(index_elements=list(apollo_links.primary_key), set_=to_set)


def _intent(dialect: str) -> Any:
    new = _insert(dialect)
    to_save = new.excluded
    return _upsert(
        new,
        apollo_id=func.coalesce(to_save.apollo_id, _links.apollo_id),
        payload_hash=null(),
        status=to_save.status,
        error=null(),
        run_id=to_save.run_id,
        match_hash=to_save.match_hash,
        changed_at=to_save.changed_at,
    )


def _confirmed(dialect: str) -> Any:
    # Not as a parameter: SQLite's driver takes a microsecond over each null that it is given.
    new = _insert(dialect).values(error=null())
    to_save = new.excluded
    return _upsert(
        new,
        apollo_id=to_save.apollo_id,
        payload_hash=to_save.payload_hash,
        status=to_save.status,
        first_synced_at=func.coalesce(_links.first_synced_at, to_save.first_synced_at),
        last_synced_at=to_save.last_synced_at,
        error=null(),
        run_id=to_save.run_id,
        match_hash=to_save.match_hash,
        apollo_updated_at=to_save.apollo_updated_at,
        changed_at=to_save.changed_at,
    )


def _rejected(dialect: str) -> Any:
    # It may be in Apollo all the same: what it was sent under stays.
    new = _insert(dialect)
    to_save = new.excluded
    return _upsert(
        new,
        apollo_id=func.coalesce(to_save.apollo_id, _links.apollo_id),
        payload_hash=null(),
        status=to_save.status,
        error=to_save.error,
        run_id=to_save.run_id,
        apollo_updated_at=null(),
        changed_at=to_save.changed_at,
    )


_INTENT_COLUMNS = [
    "stream",
    "source_key",
    "connection",
    "object",
    "apollo_id",
    "status",
    "run_id",
    "match_hash",
    "changed_at",
]

INTENT = ManyRows(_INTENT_COLUMNS, _intent)

NEW_INTENT = ManyRows(_INTENT_COLUMNS, lambda dialect: _insert(dialect).on_conflict_do_nothing())

CONFIRMED_OUTCOME = ManyRows(
    [
        "stream",
        "source_key",
        "connection",
        "object",
        "apollo_id",
        "payload_hash",
        "status",
        "first_synced_at",
        "last_synced_at",
        "run_id",
        "match_hash",
        "apollo_updated_at",
        "changed_at",
    ],
    _confirmed,
)

REJECTED_OUTCOME = ManyRows(
    [
        "stream",
        "source_key",
        "connection",
        "object",
        "apollo_id",
        "status",
        "error",
        "run_id",
        "changed_at",
    ],
    _rejected,
)


_PAGE = 5_000

#: Keys per statement: SQLite before 3.32 takes 999 variables at most.
CHUNK = 500


def find_links(
    database: Connection, connection: str, object_: str, stream: str, keys: Collection[str]
) -> dict[str, Link]:
    """Find the links of a stream's source keys; keys without a link are left out."""
    place = (stream, connection, object_)
    _, read = moments(database.dialect)
    return {
        link.source_key: link
        for some in chunks(keys)
        for link in _links_of(FIND.find(database, place, some), read)
    }


def stream_links(
    database: Connection, connection: str, object_: str, stream: str
) -> Iterator[Link]:
    """Give all links of a stream in the order of their keys, some at a time."""
    links = apollo_links.c
    wanted = (
        select(*LINK_COLUMNS)
        .where(links.stream == stream, links.connection == connection, links.object == object_)
        .order_by(links.source_key)
        .limit(_PAGE)
    )
    last: str | None = None
    while True:
        page = wanted if last is None else wanted.where(links.source_key > last)
        rows = database.execute(page).all()
        yield from _links_of(rows, as_it_is)
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


def find_links_by_apollo_id(
    database: Connection, connection: str, object_: str, apollo_ids: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links to Apollo records, of any stream; several rows may be one record."""
    place = (connection, object_)
    _, read = moments(database.dialect)
    found: dict[str, list[Link]] = {}
    for some in chunks(apollo_ids):
        for link in _links_of(FIND_BY_APOLLO_ID.find(database, place, some), read):
            found.setdefault(link.apollo_id or "", []).append(link)
    return found


def find_synced_at(
    database: Connection, stream: str, keys: Collection[str], connections: Collection[str]
) -> dict[str, datetime]:
    """Find when source keys were last synced to *each* of the connections (earliest of them).

    A key whose last write is pending or failed is left out: it has to be sent again.
    """
    links = apollo_links.c
    wanted = (
        select(links.source_key, func.min(links.last_synced_at, type_=links.last_synced_at.type))
        .where(
            links.stream == stream,
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


def connections_of(database: Connection, stream: str) -> list[str]:
    """List the connections that a stream's links belong to. Reads all of the stream's links."""
    found = select(apollo_links.c.connection).where(apollo_links.c.stream == stream).distinct()
    return list(database.scalars(found))


def save_intents(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Mark links as pending; what Apollo holds is unknown from here on, so the hash goes."""
    INTENT.execute(database, _intent_rows(database, connection, object_, stream, run_id, intents))


def save_new_intents(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Add pending links for keys that have none; those that have got one since keep it."""
    rows = _intent_rows(database, connection, object_, stream, run_id, intents)
    NEW_INTENT.execute(database, rows)


def _intent_rows(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    run_id: str,
    intents: Sequence[Intent],
) -> list[tuple[Any, ...]]:
    write, _ = moments(database.dialect)
    now = write(datetime.now(timezone.utc))
    status = LinkStatus.PENDING.value
    return [
        (
            stream,
            intent.source_key,
            connection,
            object_,
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
    connection: str,
    object_: str,
    stream: str,
    run_id: str,
    outcomes: Sequence[LinkOutcome],
    synced_at: datetime,
) -> None:
    """Upsert outcomes; of several of one key the last stands.

    ``synced_at`` is for confirmed outcomes that bring no moment of their own. Other source keys
    that are linked to a record which was changed now, and that this run has not come to yet, lose
    their payload hash: the record no longer holds what they gave it.
    """
    write, _ = moments(database.dialect)
    now = write(datetime.now(timezone.utc))
    confirmed = [
        (
            stream,
            outcome.source_key,
            connection,
            object_,
            outcome.apollo_id,
            outcome.payload_hash,
            outcome.status.value,
            (moment := write(outcome.synced_at or synced_at)),
            moment,
            run_id,
            outcome.match_hash,
            outcome.apollo_updated_at,
            now,
        )
        for outcome in outcomes
        if outcome.status is not LinkStatus.ERROR
    ]
    CONFIRMED_OUTCOME.execute(database, confirmed)
    latest = {outcome.source_key: outcome for outcome in outcomes}
    rejected = [
        (
            stream,
            outcome.source_key,
            connection,
            object_,
            outcome.apollo_id,
            LinkStatus.ERROR.value,
            without_addresses(outcome.error or ""),
            run_id,
            now,
        )
        for outcome in latest.values()
        if outcome.status is LinkStatus.ERROR
    ]
    REJECTED_OUTCOME.execute(database, rejected)
    # What was created a moment ago no other row has given anything.
    updated = LinkStatus.UPDATED
    changed = [o.apollo_id for o in outcomes if o.status is updated and o.apollo_id is not None]
    for some in chunks(changed):
        FORGET_HASHES.change(database, (connection, object_, run_id, f"{DELETED}%"), some)


def delete_links(
    database: Connection, connection: str, object_: str, apollo_ids: Collection[str]
) -> int:
    """Delete the links to Apollo records that are gone, of any stream; give their number."""
    links = apollo_links.c
    gone = delete(apollo_links).where(links.connection == connection, links.object == object_)
    return sum(
        database.execute(gone.where(links.apollo_id.in_(some))).rowcount
        for some in chunks(apollo_ids)
    )


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Cut into lists of at most ``CHUNK``, so that a statement's variables stay few."""
    remaining = iter(values)
    while some := list(islice(remaining, CHUNK)):
        yield some


_STATUSES = {status.value: status for status in LinkStatus}


def _links_of(rows: Iterable[Sequence[Any]], read: Callable[[Any], datetime | None]) -> list[Link]:
    # In full: taking the rest of a row as a list costs as much as its link.
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
        ) in rows
    ]


_creations = apollo_creations.c

_PLACE = (
    _creations.connection == bindparam("connection"),
    _creations.object == bindparam("object"),
    _creations.stream == bindparam("stream"),
)
# Made once: SQLAlchemy takes longer to put a statement together than to run it.
_LATEST = select(func.max(_creations.number)).where(*_PLACE)

_NOTE = insert(apollo_creations)

_FORGET = delete(apollo_creations).where(*_PLACE)

_DECODER = msgspec.json.Decoder(list[tuple[str, str | None]])


def save(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Note creates of source keys that have no link, in one row."""
    place = {"connection": connection, "object": object_, "stream": stream}
    number = (database.scalar(_LATEST, place) or 0) + 1
    noted = {"intents": _spelled(intents), "changed_at": datetime.now(timezone.utc)}
    database.execute(_NOTE, {**place, "run_id": run_id, "number": number, **noted})


def settle(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    noted: Mapping[str, Sequence[Intent]],
    settled: Collection[str],
) -> None:
    """Forget the creates of a stream; those whose source keys are not settled become pending links.

    To be called before outcomes are written, which may follow on a pending link. ``noted`` are the
    creates by their run.
    """
    for run_id, intents in noted.items():
        left = [intent for intent in intents if intent.source_key not in settled]
        save_new_intents(database, connection, object_, stream, run_id, left)
    place = {"connection": connection, "object": object_, "stream": stream}
    database.execute(_FORGET, place)


def take_over(database: Connection, connection: str, stream: str) -> None:
    """Make pending links of what a run left behind that was killed."""
    for row in left_behind(database, connection, stream):
        noted = {row.run_id: intents_of(row)}
        settle(database, row.connection, row.object, row.stream, noted, ())


def left_behind(database: Connection, connection: str, stream: str) -> Sequence[Any]:
    """Give the rows of creates under way: each has object, run_id and, by `intents_of`, intents."""
    place = (_creations.connection == connection, _creations.stream == stream)
    return database.execute(select(apollo_creations).where(*place)).all()


def intents_of(row: Any) -> list[Intent]:
    """Give the creates that a row of the table notes."""
    return [Intent(key, None, found_under) for key, found_under in _DECODER.decode(row.intents)]


def _spelled(intents: Sequence[Intent]) -> str:
    return msgspec.json.encode([(one.source_key, one.match_hash) for one in intents]).decode()


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
