"""The ledger's version: opens a ledger, creates its tables, or upgrades those of older versions.

An upgrade is one transaction: a run that is killed in the middle leaves the older ledger, and the
next run begins anew. An older release refuses what a later one has upgraded.
"""

from __future__ import annotations

import functools
import json
from importlib import import_module
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, ExecutableDDLElement

from target_apollo.ledger.database import (
    Address,
    give_back_space,
    prepare_statements,
    writing,
)
from target_apollo.ledger.database_errors import UnreadableValue, number_of
from target_apollo.ledger.errors import LedgerUnusable
from target_apollo.ledger.link_status import STATUS_NUMBERS, LinkStatus
from target_apollo.ledger.locks import Locks
from target_apollo.ledger.readable import create_view
from target_apollo.ledger.scopes import Place, scope_for_writing
from target_apollo.ledger.statements import COPIED_LINK
from target_apollo.ledger.tables import (
    CREATION_LOCK,
    VERSION,
    UtcTime,
    apollo_ledger_version,
    apollo_row_links,
    metadata,
    restrict_indexes,
)
from target_apollo.ledger.values import number_of_moment, pack, packed_or_none

#: Links in memory at a time.
_PAGE = 5_000

#: The links of ledgers before version 10. Those before version 5 lack `source`, before 6
#: `row_hash`, before 7 `single_hashes`; those of version 1 also lack `match_hash`,
#: `apollo_updated_at` and `changed_at`.
_former_links = Table(
    "apollo_links",
    MetaData(),
    Column("stream", Text, primary_key=True),
    Column("source_key", Text, primary_key=True),
    Column("connection", Text, primary_key=True),
    Column("object", Text, primary_key=True),
    Column("source", Text, primary_key=True, server_default=""),
    Column("apollo_id", Text),
    Column("payload_hash", Text),
    Column("status", Text, nullable=False),
    Column("first_synced_at", UtcTime),
    Column("last_synced_at", UtcTime),
    Column("error", Text),
    Column("run_id", Text),
    Column("match_hash", Text),
    Column("apollo_updated_at", Text),
    Column("changed_at", UtcTime),
    Column("row_hash", Text),
    Column("single_hashes", Text),
)

#: In ledgers of version 3 only: unanswered creates, all of a batch in one row. ``intents`` is a
#: JSON array of source keys, each with the hash of the e-mail or domain that was sent.
_creations = Table(
    "apollo_creations",
    MetaData(),
    Column("stream", Text, primary_key=True),
    Column("connection", Text, primary_key=True),
    Column("object", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("intents", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)


def version_of(connection: Connection) -> int | None:
    """Give the ledger's version: ``None`` without tables, 0 for tables without a version."""
    there = inspect(connection)
    if there.has_table(apollo_ledger_version.name):
        version = connection.scalar(select(apollo_ledger_version.c.version))
        return 0 if version is None else number_of(version, "its version")
    return 0 if there.has_table(_former_links.name) else None


def refuse_newer(version: int | None) -> None:
    """Raise ``LedgerUnusable`` for a ledger that a later release has upgraded."""
    if version is not None and version > VERSION:
        raise LedgerUnusable(
            f"The ledger (setting ledger_url) has version {version}, and this release of "
            f"target-apollo knows versions up to {VERSION}. Install the release that wrote it, "
            "or name another ledger; a new one costs requests, not duplicates."
        )


def connect_up_to_date(address: Address) -> tuple[Engine, Connection]:
    """Connect to a ledger for writing, and create its tables or upgrade them.

    Raises ``LedgerUnusable`` for a ledger of a newer version, and ``AnotherRunActive`` for one of
    an older version to which a run is writing.
    """
    address.make_private_file()
    engine = address.engine()
    database = engine.connect()
    try:
        with database.begin():
            prepare_statements(database)
            version = version_of(database)
        refuse_newer(version)
        if version != VERSION:
            with writing(database):
                bring_up_to_date(database)
            if version is not None:
                give_back_space(database)
    except BaseException:
        database.close()
        raise
    return engine, database


def bring_up_to_date(connection: Connection) -> None:
    """Create the tables or upgrade them, inside the caller's write transaction.

    Two processes may come here at once: in SQLite the transaction has the only write lock, in
    PostgreSQL an advisory lock makes the second wait and find the work done.

    Raises ``AnotherRunActive`` if a run of an earlier release writes to the ledger.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATION_LOCK})
    version = version_of(connection)
    refuse_newer(version)
    if version == VERSION:
        return
    if version is not None:
        _add_what_is_missing(connection)
    _create_what_is_missing(connection)
    there = inspect(connection)
    if version is not None and _former_links.name in there.get_table_names():
        # A run of an earlier release would find its table no longer.
        Locks(connection.engine).check_free(connection)
        _move_former_links(connection)
    if there.has_table(_creations.name):
        _keep_creations_as_links(connection)
    create_view(connection)
    if connection.scalar(select(apollo_ledger_version.c.version)) is None:
        connection.execute(insert(apollo_ledger_version).values(version=VERSION))
    else:
        connection.execute(update(apollo_ledger_version).values(version=VERSION))


def _create_what_is_missing(connection: Connection) -> None:
    # `MetaData.create_all` asks for each table whether it is there, a fifth of a small run's time.
    for statement in _creating(connection.dialect.name):
        connection.exec_driver_sql(statement)


@functools.cache
def _creating(dialect: str) -> tuple[str, ...]:
    """Create the tables and their indexes, as SQL for ``sqlite`` or ``postgresql``."""
    restrict_indexes(dialect)
    spoken: Dialect = import_module(f"sqlalchemy.dialects.{dialect}").dialect()
    created: list[ExecutableDDLElement] = []
    for table in metadata.sorted_tables:
        created.append(CreateTable(table, if_not_exists=True))
        # They are a set, which has another order in each process.
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        created += [CreateIndex(index, if_not_exists=True) for index in indexes]
    return tuple(str(one.compile(dialect=spoken)) for one in created)


def _move_former_links(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # A run of an earlier release may be writing.
        connection.execute(text(f"LOCK TABLE {_former_links.name} IN ACCESS EXCLUSIVE MODE"))
    _add_columns(connection, _former_links)
    columns = _former_links.c
    in_order = (
        select(_former_links)
        .order_by(
            columns.stream, columns.source_key, columns.connection, columns.object, columns.source
        )
        .execution_options(yield_per=_PAGE)
    )
    # Their entries come in no order: built at the end, they take a fraction of the time.
    for index in apollo_row_links.indexes:
        index.drop(connection)
    scopes: dict[Place, int] = {}
    with connection.execute(in_order) as found:
        for page in found.partitions():
            COPIED_LINK.execute_at_once(
                connection, [_packed(connection, scopes, row) for row in page]
            )
    _former_links.drop(connection)
    for index in apollo_row_links.indexes:
        index.create(connection)


def _packed(connection: Connection, scopes: dict[Place, int], row: Any) -> tuple[Any, ...]:
    place = Place(row.connection, row.object, row.stream, row.source or "")
    scope = scopes.get(place)
    if scope is None:
        scope = scopes[place] = scope_for_writing(connection, place)
    try:
        status = STATUS_NUMBERS[LinkStatus(row.status)]
    except ValueError:
        raise UnreadableValue("the status of a link is none that target-apollo writes") from None
    first, last, changed = row.first_synced_at, row.last_synced_at, row.changed_at
    try:
        return (
            scope,
            pack(row.source_key),
            packed_or_none(row.apollo_id),
            packed_or_none(row.payload_hash),
            status,
            None if first is None or first == last else number_of_moment(first),
            None if last is None else number_of_moment(last),
            row.error,
            packed_or_none(row.run_id),
            packed_or_none(row.match_hash),
            packed_or_none(row.apollo_updated_at),
            None if changed is None else number_of_moment(changed),
            packed_or_none(row.row_hash),
            row.single_hashes,
        )
    except (AttributeError, TypeError):
        # SQLite keeps bytes in any column.
        raise UnreadableValue("an id or hash of a link is none") from None


def _keep_creations_as_links(connection: Connection) -> None:
    """Make pending links of the creates that a killed run of version 3 left; drop their table.

    A source key that already has a link keeps it.
    """
    pending = STATUS_NUMBERS[LinkStatus.PENDING]
    for left in connection.execute(select(_creations)).all():
        place = Place(left.connection, left.object, left.stream)
        scope = scope_for_writing(connection, place)
        run_id, changed = pack(left.run_id), number_of_moment(left.changed_at)
        rows = [
            (
                scope,
                pack(key),
                *(None, None, pending, None, None, None),
                run_id,
                packed_or_none(match_hash),
                None,
                changed,
                *(None, None),
            )
            for key, match_hash in json.loads(left.intents)
        ]
        COPIED_LINK.execute_at_once(connection, rows)
    _creations.drop(connection)


def _add_what_is_missing(connection: Connection) -> None:
    """Add the columns and indexes that an older ledger's tables lack."""
    there = inspect(connection)
    for wanted in metadata.sorted_tables:
        if there.has_table(wanted.name):
            _add_columns(connection, wanted)
            for index in wanted.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))


def _add_columns(connection: Connection, wanted: Table) -> None:
    preparer = connection.dialect.identifier_preparer
    known = {found["name"] for found in inspect(connection).get_columns(wanted.name)}
    for new in wanted.columns:
        if new.name not in known:
            ddl = CreateColumn(new).compile(dialect=connection.dialect)
            connection.execute(
                text(f"ALTER TABLE {preparer.format_table(wanted)} ADD COLUMN {ddl}")
            )
