"""The statements for the table ``apollo_links`` that run for thousands of rows.

SQLAlchemy spells each statement once for each database; rows then go to the driver as tuples.
SQLAlchemy's usual way, with a dictionary for each row, takes several times as long as SQLite needs
to find or write a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Table,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)

from target_apollo.ledger.tables import HAS_RECORD, MATCH_DIGITS, UtcTime, apollo_links

#: Name of a column that a statement has in place of a list of values.
KEYS = "KEYS"

#: Values per statement: SQLite before 3.32 takes 999 variables at most.
CHUNK = 500

_MOMENTS_REMEMBERED = 1000


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Cut into lists of at most ``CHUNK``, so that a statement's variables stay few."""
    remaining = iter(values)
    while some := list(islice(remaining, CHUNK)):
        yield some


class ManyRows:
    """A statement whose parameters are tuples, in the order of ``columns``."""

    def __init__(self, columns: Sequence[str], of_dialect: Callable[[str], Any]) -> None:
        """``of_dialect`` makes the statement for ``sqlite`` or ``postgresql``."""
        self._columns = list(columns)
        self._of_dialect = of_dialect
        self._texts: dict[str, str] = {}

    def execute(self, database: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Run the statement for every row; does nothing without rows."""
        if rows:
            database.exec_driver_sql(self._text(database.dialect), rows)

    def find(
        self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]
    ) -> Sequence[Any]:
        """Run a query with ``values``, and with ``keys`` in place of `KEYS`; give its rows."""
        rows: Sequence[Any] = self._with_keys(database, values, keys).cursor.fetchall()
        return rows

    def change(self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]) -> None:
        """Run a change with ``values``, and with ``keys`` in place of `KEYS`."""
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
    """Two functions: one converts a moment for a database's driver, the other converts it back.

    Both are cached, since thousands of rows have the moment of one batch or one run.
    """
    column = UtcTime().dialect_impl(dialect)
    return (
        lru_cache(_MOMENTS_REMEMBERED)(column.bind_processor(dialect) or as_it_is),
        lru_cache(_MOMENTS_REMEMBERED)(column.result_processor(dialect, None) or as_it_is),
    )


def as_it_is(value: Any) -> Any:
    """The conversion of values that need none."""
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
        "stream",
        "source",
        "row_hash",
        "single_hashes",
    )
]

#: Links of all sources; `queries.find_links` chooses those of a place.
FIND = ManyRows(
    ["connection", "object", "stream"],
    lambda _: select(*LINK_COLUMNS).where(
        _links.connection == bindparam("connection"),
        _links.object == bindparam("object"),
        _links.stream == bindparam("stream"),
        _links.source_key.in_([literal_column(KEYS)]),
    ),
)


def _find_by(column: Any, *conditions: Any) -> ManyRows:
    return ManyRows(
        ["connection", "object"],
        lambda _: (
            select(*LINK_COLUMNS)
            .where(
                _links.connection == bindparam("connection"),
                _links.object == bindparam("object"),
                column.in_([literal_column(KEYS)]),
                *conditions,
            )
            .order_by(_links.stream, _links.source_key, _links.source)
        ),
    )


FIND_BY_APOLLO_ID = _find_by(_links.apollo_id)

#: By `tables.match_digits` of their match hashes.
FIND_BY_MATCH = _find_by(MATCH_DIGITS, HAS_RECORD)


# A change's parameters may not have the names of columns.
FORGET_HASHES = ManyRows(
    ["of_connection", "of_object", "of_run", "deleted"],
    lambda _: (
        update(apollo_links)
        .where(
            _links.connection == bindparam("of_connection"),
            _links.object == bindparam("of_object"),
            _links.run_id.is_distinct_from(bindparam("of_run")),
            or_(_links.payload_hash.is_not(None), _links.single_hashes.is_not(None)),
            # A row that was deleted at its source gave the record no values, and stays deleted.
            or_(_links.payload_hash.is_(None), _links.payload_hash.not_like(bindparam("deleted"))),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .values(payload_hash=null(), single_hashes=null())
    ),
)

#: Of all links to records, before the links of the rows that were written to them are saved.
FORGET_SINGLE_HASHES = ManyRows(
    ["of_connection", "of_object"],
    lambda _: (
        update(apollo_links)
        .where(
            _links.connection == bindparam("of_connection"),
            _links.object == bindparam("of_object"),
            _links.single_hashes.is_not(None),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .values(single_hashes=null())
    ),
)

FORGET_MOVES = ManyRows(
    ["deleted_only", "of_connection", "of_object", "deleted"],
    lambda _: (
        update(apollo_links)
        .where(
            _links.connection == bindparam("of_connection"),
            _links.object == bindparam("of_object"),
            _links.payload_hash.like(bindparam("deleted")),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .values(payload_hash=bindparam("deleted_only"))
    ),
)

GIVE_ADDRESS = ManyRows(
    ["new_match_hash", "of_connection", "of_object", "of_apollo_id", "of_run"],
    lambda _: (
        update(apollo_links)
        .where(
            _links.connection == bindparam("of_connection"),
            _links.object == bindparam("of_object"),
            _links.apollo_id == bindparam("of_apollo_id"),
            _links.run_id.is_distinct_from(bindparam("of_run")),
            _links.match_hash.is_not(None),
        )
        .values(match_hash=bindparam("new_match_hash"))
    ),
)

ADOPT = ManyRows(
    ["new_source", "adopted_at", "of_connection", "of_object", "of_stream"],
    lambda _: (
        update(apollo_links)
        .where(
            _links.connection == bindparam("of_connection"),
            _links.object == bindparam("of_object"),
            _links.stream == bindparam("of_stream"),
            _links.source == literal_column("''"),
            _links.source_key.in_([literal_column(KEYS)]),
        )
        .values(source=bindparam("new_source"), changed_at=bindparam("adopted_at"))
    ),
)

FORGET = ManyRows(
    ["connection", "object", "stream", "source"],
    lambda _: delete(apollo_links).where(
        _links.connection == bindparam("connection"),
        _links.object == bindparam("object"),
        _links.stream == bindparam("stream"),
        _links.source == bindparam("source"),
        _links.source_key.in_([literal_column(KEYS)]),
    ),
)


def insert_into(table: Table, dialect: str) -> Any:
    """An INSERT that may have an ON CONFLICT, for ``sqlite`` or ``postgresql``."""
    # Only the dialect that is used: PostgreSQL's takes long to load.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def _upsert(new: Any, **to_set: Any) -> Any:
    return new.on_conflict_do_update(index_elements=list(apollo_links.primary_key), set_=to_set)


def _of_same_record(new: Any, former: Any) -> Any:
    """A link's former value, or null where the link now leads to another record."""
    coming, there = new.excluded.apollo_id, _links.apollo_id
    return case((or_(coming.is_(None), there.is_(None), coming == there), former))


def _intent(dialect: str) -> Any:
    return _intent_with(dialect, single_hashes=null())


def _intent_in_full(dialect: str) -> Any:
    return _intent_with(dialect)


def _intent_with(dialect: str, **nothing: Any) -> Any:
    new = insert_into(apollo_links, dialect).values(**nothing)
    to_save = new.excluded
    return _upsert(
        new,
        apollo_id=func.coalesce(to_save.apollo_id, _links.apollo_id),
        payload_hash=null(),
        status=to_save.status,
        error=null(),
        run_id=to_save.run_id,
        # Without a match hash the record gets another address, and may still have its former one.
        match_hash=func.coalesce(to_save.match_hash, _of_same_record(new, _links.match_hash)),
        changed_at=to_save.changed_at,
        row_hash=_of_same_record(new, _links.row_hash),
        single_hashes=to_save.single_hashes,
    )


def _confirmed(dialect: str) -> Any:
    return _confirmed_with(dialect, error=null(), row_hash=null(), single_hashes=null())


def _confirmed_in_full(dialect: str) -> Any:
    return _confirmed_with(dialect, error=null())


def _confirmed_with(dialect: str, **nothing: Any) -> Any:
    # Nulls are no parameters, since SQLite's driver needs a microsecond for each.
    new = insert_into(apollo_links, dialect).values(**nothing)
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
        row_hash=to_save.row_hash,
        single_hashes=to_save.single_hashes,
    )


def _rejected(dialect: str) -> Any:
    # The match hash stays, since Apollo may have the record all the same.
    new = insert_into(apollo_links, dialect)
    to_save = new.excluded
    return _upsert(
        new,
        apollo_id=func.coalesce(to_save.apollo_id, _links.apollo_id),
        payload_hash=to_save.payload_hash,
        status=to_save.status,
        error=to_save.error,
        run_id=to_save.run_id,
        match_hash=_of_same_record(new, _links.match_hash),
        apollo_updated_at=null(),
        changed_at=to_save.changed_at,
        row_hash=_of_same_record(new, _links.row_hash),
        single_hashes=_of_same_record(new, _links.single_hashes),
    )


_INTENT_COLUMNS = [
    "stream",
    "source_key",
    "connection",
    "object",
    "source",
    "apollo_id",
    "status",
    "run_id",
    "match_hash",
    "changed_at",
]

INTENT = ManyRows(_INTENT_COLUMNS, _intent)

#: Of a row whose record holds values that need a request of their own.
INTENT_IN_FULL = ManyRows([*_INTENT_COLUMNS, "single_hashes"], _intent_in_full)

_CONFIRMED_COLUMNS = [
    "stream",
    "source_key",
    "connection",
    "object",
    "source",
    "apollo_id",
    "payload_hash",
    "status",
    "first_synced_at",
    "last_synced_at",
    "run_id",
    "match_hash",
    "apollo_updated_at",
    "changed_at",
]

CONFIRMED_OUTCOME = ManyRows(_CONFIRMED_COLUMNS, _confirmed)

#: Of a row whose record has another e-mail or domain, or values that need a request of their own.
CONFIRMED_IN_FULL = ManyRows([*_CONFIRMED_COLUMNS, "row_hash", "single_hashes"], _confirmed_in_full)

REJECTED_OUTCOME = ManyRows(
    [
        "stream",
        "source_key",
        "connection",
        "object",
        "source",
        "apollo_id",
        "payload_hash",
        "status",
        "error",
        "run_id",
        "changed_at",
    ],
    _rejected,
)
