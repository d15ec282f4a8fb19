"""The statements for the table ``apollo_row_links`` that run for thousands of rows: a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
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

from target_apollo.ledger.database import KEYS, ManyRows, insert_into
from target_apollo.ledger.link_status import CONFIRMED, DELETED, STATUS_NUMBERS, LinkStatus
from target_apollo.ledger.tables import (
    HAS_RECORD,
    MATCH_START,
    apollo_row_links,
    apollo_scopes,
)

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

#: By `values.match_start` of their match hashes.
FIND_BY_MATCH = ManyRows(
    [],
    lambda _: select(*LINK_COLUMNS).where(MATCH_START.in_([literal_column(KEYS)]), HAS_RECORD),
)

#: The same, without records that are gone.
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
