"""The statements for the table ``apollo_row_links`` that run for thousands of rows.

SQLAlchemy spells each statement once for each database; rows then go to the driver as tuples.
SQLAlchemy's usual way, with a dictionary for each row, takes several times as long as SQLite needs
to find or write a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)

from target_apollo.ledger.links import CONFIRMED, DELETED, LinkStatus
from target_apollo.ledger.packed import STATUS_NUMBERS
from target_apollo.ledger.tables import (
    HAS_RECORD,
    MATCH_START,
    apollo_row_links,
    apollo_scopes,
)

#: Name of a column that a statement has in place of a list of values.
KEYS = "KEYS"

#: Values per statement: SQLite before 3.32 takes 999 variables at most.
CHUNK = 500

Key = TypeVar("Key", str, bytes)


def chunks(values: Iterable[Key]) -> Iterator[list[Key]]:
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

    def execute(self, database: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run the statement for every row, in their order; does nothing without rows."""
        if rows:
            database.exec_driver_sql(self._text(database.dialect), list(rows))

    def execute_at_once(self, database: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """As `execute`, for a statement of `_new_links`.

        PostgreSQL takes an array for each column, which costs a fraction of a statement a row. It
        writes no link twice in a statement, so a key that comes again goes into a later one.
        """
        if database.dialect.name == "sqlite":
            self.execute(database, rows)
            return
        text = self._text(database.dialect)
        for some in _without_repeats(rows):
            database.exec_driver_sql(text, tuple(map(array_of, zip(*some, strict=True))))

    def find(
        self, database: Connection, values: tuple[Any, ...], keys: Sequence[Key]
    ) -> Sequence[Any]:
        """Run a query with ``values``, and with ``keys`` in place of `KEYS`; give its rows."""
        rows: Sequence[Any] = self._with_keys(database, values, keys).cursor.fetchall()
        return rows

    def change(self, database: Connection, values: tuple[Any, ...], keys: Sequence[Key]) -> int:
        """Run a change with ``values``, and with ``keys`` in place of `KEYS`; count its rows."""
        changed: int = self._with_keys(database, values, keys).rowcount
        return changed

    def _with_keys(self, database: Connection, values: tuple[Any, ...], keys: Sequence[Key]) -> Any:
        text = self._text(database.dialect)
        if database.dialect.name == "sqlite":
            text = text.replace(KEYS, ", ".join("?" * len(keys)))
            return database.exec_driver_sql(text, (*values, *keys))
        # One text for any number of keys, which the server need not read anew.
        whole = text.replace(f"IN ({KEYS})", "= ANY (%s)")
        return database.exec_driver_sql(
            whole, values if whole is text else (*values, array_of(keys))
        )

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


def array_of(values: Sequence[Any]) -> str:
    """PostgreSQL's text of an array of bytes, numbers or texts, which the driver makes slowly.

    Its manual, 8.15.6: an element in quotes has a backslash before each quote and backslash.
    """
    one = next((value for value in values if value is not None), None)
    if isinstance(one, bytes):
        parts = ["NULL" if v is None else f'"\\\\x{v.hex()}"' for v in values]
    elif isinstance(one, str):
        parts = ["NULL" if v is None else f'"{v.translate(_ESCAPES)}"' for v in values]
    else:
        parts = ["NULL" if v is None else str(v) for v in values]
    return "{" + ",".join(parts) + "}"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _without_repeats(rows: Sequence[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """Rows in as many lists as a key has rows; the key is a row's first two values."""
    if len({row[:2] for row in rows}) == len(rows):
        return [list(rows)] if rows else []
    lists: list[list[tuple[Any, ...]]] = []
    seen: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        number = seen[row[:2]]
        seen[row[:2]] += 1
        if number == len(lists):
            lists.append([])
        lists[number].append(row)
    return lists


_links = apollo_row_links.c

LINK_COLUMNS = [
    apollo_row_links.c[name]
    for name in (
        "scope",
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
        "row_hash",
        "single_hashes",
    )
]

FIND = ManyRows(
    ["scope"],
    lambda _: select(*LINK_COLUMNS).where(
        _links.scope == bindparam("scope"),
        _links.source_key.in_([literal_column(KEYS)]),
    ),
)

#: The links of a scope behind a key, in the order of keys.
FIND_NEXT = ManyRows(
    ["scope", "after", "limit"],
    lambda _: (
        select(*LINK_COLUMNS)
        .where(_links.scope == bindparam("scope"), _links.source_key > bindparam("after"))
        .order_by(_links.source_key)
        .suffix_with(text("LIMIT :limit"))
    ),
)

#: Source key, and when it was last synced, of links whose last write is confirmed.
FIND_SYNCED = ManyRows(
    ["scope"],
    lambda _: select(_links.source_key, _links.last_synced_at).where(
        _links.scope == bindparam("scope"),
        _links.status.in_([literal_column(str(STATUS_NUMBERS[status])) for status in CONFIRMED]),
        _links.last_synced_at.is_not(None),
        _links.source_key.in_([literal_column(KEYS)]),
    ),
)


# Of all teams: an id or hash has few links, and the caller leaves out those of others.
FIND_BY_APOLLO_ID = ManyRows(
    [], lambda _: select(*LINK_COLUMNS).where(_links.apollo_id.in_([literal_column(KEYS)]))
)

#: By `packed.match_start` of their match hashes.
FIND_BY_MATCH = ManyRows(
    [],
    lambda _: select(*LINK_COLUMNS).where(MATCH_START.in_([literal_column(KEYS)]), HAS_RECORD),
)

#: Records that are not gone, by the same.
FIND_IDS_BY_MATCH = ManyRows(
    [],
    lambda _: select(_links.scope, _links.match_hash, _links.apollo_id, _links.changed_at).where(
        MATCH_START.in_([literal_column(KEYS)]),
        HAS_RECORD,
        _links.status != literal_column(str(STATUS_NUMBERS[LinkStatus.GONE])),
    ),
)

_RESULT_COLUMNS = [
    apollo_row_links.c[name]
    for name in (
        "scope",
        "source_key",
        "apollo_id",
        "status",
        "error",
        "first_synced_at",
        "last_synced_at",
        "run_id",
        "changed_at",
    )
]

#: Results of a scope behind a key, in the order of keys.
RESULTS_NEXT = ManyRows(
    ["scope", "after", "limit"],
    lambda _: (
        select(*_RESULT_COLUMNS)
        .where(_links.scope == bindparam("scope"), _links.source_key > bindparam("after"))
        .order_by(_links.source_key)
        .suffix_with(text("LIMIT :limit"))
    ),
)

_BY_CHANGE = (_links.changed_at, _links.scope, _links.source_key)

#: Results behind a change, the earliest change first.
CHANGED_NEXT = ManyRows(
    ["changed_at", "scope", "source_key", "limit"],
    lambda _: (
        select(*_RESULT_COLUMNS)
        .where(
            tuple_(*_BY_CHANGE)
            > tuple_(bindparam("changed_at"), bindparam("scope"), bindparam("source_key"))
        )
        .order_by(*_BY_CHANGE)
        .suffix_with(text("LIMIT :limit"))
    ),
)

_scopes = apollo_scopes.c


def _is_of_kind() -> ColumnElement[bool]:
    """Whether a link is of a team and of one kind of record.

    The 0 keeps databases from reading all links of these scopes in place of those of a few records.
    """
    of_kind = select(_scopes.number).where(
        _scopes.connection == bindparam("of_connection"), _scopes.object == bindparam("of_object")
    )
    return (_links.scope + literal_column("0")).in_(of_kind)


#: `DELETED`, at the begin of a payload hash.
_IS_DELETED = func.substr(
    _links.payload_hash, literal_column("1"), literal_column(str(len(DELETED)))
) == bindparam("deleted")


# A change's parameters may not have the names of columns.
FORGET_HASHES = ManyRows(
    ["of_connection", "of_object", "of_run", "deleted"],
    lambda _: (
        update(apollo_row_links)
        .where(
            _is_of_kind(),
            _links.run_id.is_distinct_from(bindparam("of_run")),
            or_(_links.payload_hash.is_not(None), _links.single_hashes.is_not(None)),
            # A row that was deleted at its source gave the record no values, and stays deleted.
            or_(_links.payload_hash.is_(None), not_(_IS_DELETED)),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .values(payload_hash=null(), single_hashes=null())
    ),
)

#: Of all links to records, before the links of the rows that were written to them are saved.
FORGET_SINGLE_HASHES = ManyRows(
    ["of_connection", "of_object"],
    lambda _: (
        update(apollo_row_links)
        .where(
            _is_of_kind(),
            _links.single_hashes.is_not(None),
            _links.apollo_id.in_([literal_column(KEYS)]),
        )
        .values(single_hashes=null())
    ),
)

FORGET_MOVES = ManyRows(
    ["deleted_only", "of_connection", "of_object", "deleted"],
    lambda _: (
        update(apollo_row_links)
        .where(_is_of_kind(), _IS_DELETED, _links.apollo_id.in_([literal_column(KEYS)]))
        .values(payload_hash=bindparam("deleted_only"))
    ),
)

GIVE_ADDRESS = ManyRows(
    ["new_match_hash", "of_connection", "of_object", "of_apollo_id", "of_run"],
    lambda _: (
        update(apollo_row_links)
        .where(
            _is_of_kind(),
            _links.apollo_id == bindparam("of_apollo_id"),
            _links.run_id.is_distinct_from(bindparam("of_run")),
            _links.match_hash.is_not(None),
        )
        .values(match_hash=bindparam("new_match_hash"))
    ),
)

#: Moves links from one scope to another.
ADOPT = ManyRows(
    ["new_scope", "adopted_at", "of_scope"],
    lambda _: (
        update(apollo_row_links)
        .where(
            _links.scope == bindparam("of_scope"),
            _links.source_key.in_([literal_column(KEYS)]),
        )
        .values(scope=bindparam("new_scope"), changed_at=bindparam("adopted_at"))
    ),
)

FORGET = ManyRows(
    ["of_scope"],
    lambda _: delete(apollo_row_links).where(
        _links.scope == bindparam("of_scope"),
        _links.source_key.in_([literal_column(KEYS)]),
    ),
)

#: Links to records that are gone, of all streams.
DROP = ManyRows(
    ["of_connection", "of_object"],
    lambda _: delete(apollo_row_links).where(
        _is_of_kind(), _links.apollo_id.in_([literal_column(KEYS)])
    ),
)


def insert_into(table: Table, dialect: str) -> Any:
    """An INSERT that may have an ON CONFLICT, for ``sqlite`` or ``postgresql``."""
    # Only the dialect that is used: PostgreSQL's takes long to load.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def _new_links(dialect: str, columns: Sequence[str], *nulls: str) -> Any:
    """An INSERT of links with values for these columns, and nothing in the others."""
    new = insert_into(apollo_row_links, dialect)
    if dialect == "sqlite":
        # Nulls are no parameters, since SQLite's driver needs a microsecond for each.
        return new.values({name: null() for name in nulls})
    arrays = [cast(bindparam(name), ARRAY(apollo_row_links.c[name].type)) for name in columns]
    given = func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
    return new.from_select(list(columns), select(*(given.c[name] for name in columns)))


def _upsert(new: Any, **to_set: Any) -> Any:
    return new.on_conflict_do_update(index_elements=list(apollo_row_links.primary_key), set_=to_set)


def _of_same_record(new: Any, former: Any) -> Any:
    """A link's former value, or null where the link now leads to another record."""
    coming, there = new.excluded.apollo_id, _links.apollo_id
    return case((or_(coming.is_(None), there.is_(None), coming == there), former))


_INTENT_COLUMNS = [
    "scope",
    "source_key",
    "apollo_id",
    "status",
    "run_id",
    "match_hash",
    "changed_at",
]


def _intents(columns: Sequence[str], *nulls: str) -> ManyRows:
    def of_dialect(dialect: str) -> Any:
        new = _new_links(dialect, columns, *nulls)
        to_save = new.excluded
        return _upsert(
            new,
            apollo_id=func.coalesce(to_save.apollo_id, _links.apollo_id),
            payload_hash=null(),
            status=to_save.status,
            error=null(),
            run_id=to_save.run_id,
            # Without a match hash the record gets another address, and may still have its former
            # one.
            match_hash=func.coalesce(to_save.match_hash, _of_same_record(new, _links.match_hash)),
            changed_at=to_save.changed_at,
            row_hash=_of_same_record(new, _links.row_hash),
            single_hashes=to_save.single_hashes,
        )

    return ManyRows(columns, of_dialect)


INTENT = _intents(_INTENT_COLUMNS, "single_hashes")

#: Of a row whose record holds values that need a request of their own.
INTENT_IN_FULL = _intents([*_INTENT_COLUMNS, "single_hashes"])

_CONFIRMED_COLUMNS = [
    "scope",
    "source_key",
    "apollo_id",
    "payload_hash",
    "status",
    "last_synced_at",
    "run_id",
    "match_hash",
    "apollo_updated_at",
    "changed_at",
]


def _confirmed(columns: Sequence[str], *nulls: str) -> ManyRows:
    def of_dialect(dialect: str) -> Any:
        new = _new_links(dialect, columns, *nulls)
        to_save = new.excluded
        return _upsert(
            new,
            apollo_id=to_save.apollo_id,
            payload_hash=to_save.payload_hash,
            status=to_save.status,
            # Null is the same as `last_synced_at`.
            first_synced_at=func.coalesce(_links.first_synced_at, _links.last_synced_at),
            last_synced_at=to_save.last_synced_at,
            error=null(),
            run_id=to_save.run_id,
            match_hash=to_save.match_hash,
            apollo_updated_at=to_save.apollo_updated_at,
            changed_at=to_save.changed_at,
            row_hash=to_save.row_hash,
            single_hashes=to_save.single_hashes,
        )

    return ManyRows(columns, of_dialect)


CONFIRMED_OUTCOME = _confirmed(_CONFIRMED_COLUMNS, "error", "row_hash", "single_hashes")

#: Of a row whose record has another e-mail or domain, or values that need a request of their own.
CONFIRMED_IN_FULL = _confirmed([*_CONFIRMED_COLUMNS, "row_hash", "single_hashes"], "error")

_REJECTED_COLUMNS = [
    "scope",
    "source_key",
    "apollo_id",
    "payload_hash",
    "status",
    "error",
    "run_id",
    "changed_at",
]


def _rejected(dialect: str) -> Any:
    # The match hash stays, since Apollo may have the record all the same.
    new = _new_links(dialect, _REJECTED_COLUMNS)
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


REJECTED_OUTCOME = ManyRows(_REJECTED_COLUMNS, _rejected)

_ALL_COLUMNS = [column.name for column in apollo_row_links.columns]

#: A link as it is, unless its key has one already.
COPIED_LINK = ManyRows(
    _ALL_COLUMNS,
    lambda dialect: _new_links(dialect, _ALL_COLUMNS).on_conflict_do_nothing(),
)
