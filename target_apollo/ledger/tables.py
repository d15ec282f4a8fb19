"""The ledger's tables, their version, and the upgrade from older versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import import_module
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    column,
    insert,
    inspect,
    literal_column,
    select,
    table,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn, CreateIndex

from target_apollo.ledger.errors import LedgerUnusable
from target_apollo.ledger.failures import UnreadableValue, number_of

VERSION = 9


class UtcTime(TypeDecorator[datetime]):
    """A moment, aware and in UTC in Python; SQLite stores it in UTC without an offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware moment to UTC; refuse a naive one, since its zone is unknown."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes moments with a time zone only")
        utc = value.astimezone(timezone.utc)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None] | None:
        """Read as the database's own type does; raise ``UnreadableValue`` for what is no moment."""
        return _or_unreadable(super().result_processor(dialect, coltype), "a time in it")

    def process_result_value(
        self,
        value: Any,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Give an aware moment in UTC."""
        if value is None:
            return None
        moment: datetime = value
        if moment.tzinfo is None:
            return moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)


class StoredJson(TypeDecorator[Any]):
    """JSON that may be none in a file that was damaged."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Read as the database's own type does; raise ``UnreadableValue`` for what is no JSON."""
        return _or_unreadable(super().result_processor(dialect, coltype), "a list or count in it")


def _or_unreadable(read: Callable[[Any], Any] | None, what: str) -> Callable[[Any], Any]:
    def process(value: Any) -> Any:
        try:
            return value if read is None else read(value)
        except (AttributeError, TypeError, ValueError):
            raise UnreadableValue(f"{what} is none that target-apollo writes") from None

    return process


metadata = MetaData()

apollo_links = Table(
    "apollo_links",
    metadata,
    # Stream and source key come first in the primary key, so that the mapper, which knows no
    # connection, finds its rows by the same index as the sinks.
    Column("stream", Text, primary_key=True),
    Column("source_key", Text, primary_key=True),
    Column("connection", Text, primary_key=True),
    Column("object", Text, primary_key=True),
    # Since version 5: the setting `source`; empty where it is not set, and in all older links.
    Column("source", Text, primary_key=True, server_default=""),
    Column("apollo_id", Text),
    Column("payload_hash", Text),
    Column("status", Text, nullable=False),
    Column("first_synced_at", UtcTime),
    Column("last_synced_at", UtcTime),
    Column("error", Text),
    Column("run_id", Text),
    # Since version 2: hash of the e-mail or domain, Apollo's own time of the last write, and when
    # the link itself last changed.
    Column("match_hash", Text),
    Column("apollo_updated_at", Text),
    Column("changed_at", UtcTime),
    # Since version 6: hash of the row's e-mail or domain where its record has another one.
    Column("row_hash", Text),
    # Since version 7: digests of values that cost a request for each record.
    Column("single_hashes", Text),
    sqlite_with_rowid=False,
)

#: Whether a link has a record. Links of unanswered creates are in no index, which halves the time
#: for writing the links of new rows.
HAS_RECORD = apollo_links.c.apollo_id.is_not(None)
#: The first digits of a match hash after ``sha256:``. They are enough to find links, and need half
#: the space.
MATCH_DIGITS: ColumnElement[str] = literal_column("substr(match_hash, 8, 16)")
Index(
    "apollo_links_by_apollo_id",
    apollo_links.c.apollo_id,
    sqlite_where=HAS_RECORD,
    postgresql_where=HAS_RECORD,
)
Index(
    "apollo_links_by_match",
    MATCH_DIGITS,
    sqlite_where=HAS_RECORD,
    postgresql_where=HAS_RECORD,
    _table=apollo_links,
)


def match_digits(match_hash: str) -> str:
    """The value of `MATCH_DIGITS` for a match hash."""
    return match_hash[7:23]


# Since version 5: Apollo's accounts by their domain, and how far they were read to find them.
apollo_companies = Table(
    "apollo_companies",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("match_hash", Text, primary_key=True),
    Column("apollo_id", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Index("apollo_companies_by_apollo_id", "apollo_id"),
    sqlite_with_rowid=False,
)

apollo_walks = Table(
    "apollo_walks",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("next_page", Integer, nullable=False),
    Column("newest", Text),
    Column("reached", Text),
    Column("changed_at", UtcTime, nullable=False),
)

# Since version 7: which of two update endpoints a team's Apollo takes. It is made at its first use
# too, so that a ledger needs no upgrade for it.
apollo_routes = Table(
    "apollo_routes",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("object", Text, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

# Since version 9: values of records that are still to be sent, with a request for each record. The
# only table with customers' values; a row is deleted once they are sent or newer ones take their
# place.
apollo_pending_fields = Table(
    "apollo_pending_fields",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("object", Text, primary_key=True),
    Column("apollo_id", Text, primary_key=True),
    # The row that had the values last.
    Column("stream", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    # Body of the request: field -> value.
    Column("body", StoredJson, nullable=False),
    # Of these, the fields that people may change in Apollo meanwhile, by the policies.
    Column("guarded", StoredJson, nullable=False),
    # Digests of the values for the link, as in its `single_hashes`.
    Column("digests", Text),
    Column("since", UtcTime, nullable=False),
    Index("apollo_pending_fields_by_age", "connection", "since", "apollo_id"),
)

apollo_runs = Table(
    "apollo_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("streams", StoredJson, nullable=False),
    Column("mode", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("counts", StoredJson),
    Column("exit_code", Integer),
    Column("reason", Text),
    Index("apollo_runs_by_start", "started_at"),
)

apollo_locks = Table(
    "apollo_locks",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("space", Text),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Text),
    Column("acquired_at", UtcTime, nullable=False),
    Column("heartbeat_at", UtcTime, nullable=False),
)

# Since version 8: what processes tell each other of Apollo's rate windows. Nothing is lost with
# its rows.
apollo_windows = Table(
    "apollo_windows",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("text", Text, nullable=False),
)

apollo_ledger_version = Table(
    "apollo_ledger_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

#: Key of the advisory lock for changes of the tables; the same in all releases.
CREATION_LOCK = 0x61706F6C6C6F


def version_of(connection: Connection) -> int | None:
    """Give the ledger's version: ``None`` without tables, 0 for tables without a version."""
    there = inspect(connection)
    if there.has_table(apollo_ledger_version.name):
        version = connection.scalar(select(apollo_ledger_version.c.version))
        return 0 if version is None else number_of(version, "its version")
    return 0 if there.has_table(apollo_links.name) else None


def refuse_newer(version: int | None) -> None:
    """Raise ``LedgerUnusable`` for a ledger that a later release has upgraded."""
    if version is not None and version > VERSION:
        raise LedgerUnusable(
            f"The ledger (setting ledger_url) has version {version}, and this release of "
            f"target-apollo knows versions up to {VERSION}. Install the release that wrote it, "
            "or name another ledger; a new one costs requests, not duplicates."
        )


def bring_up_to_date(connection: Connection) -> None:
    """Create the tables or upgrade them, inside the caller's write transaction.

    Two processes may come here at once: in SQLite the transaction has the only write lock, in
    PostgreSQL an advisory lock makes the second wait and find the work done.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATION_LOCK})
    version = version_of(connection)
    refuse_newer(version)
    if version == VERSION:
        return
    if version is not None:
        _add_what_is_missing(connection)
        _tell_links_by_source(connection)
    metadata.create_all(connection)
    if inspect(connection).has_table(_creations.name):
        _keep_creations_as_links(connection)
    if connection.scalar(select(apollo_ledger_version.c.version)) is None:
        connection.execute(insert(apollo_ledger_version).values(version=VERSION))
    else:
        connection.execute(update(apollo_ledger_version).values(version=VERSION))


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


def _keep_creations_as_links(connection: Connection) -> None:
    """Make pending links of the creates that a killed run of version 3 left; drop their table.

    A source key that already has a link keeps it.
    """
    # Only the dialect that is used: PostgreSQL's takes long to load.
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    new_link = dialect.insert(apollo_links).on_conflict_do_nothing()
    for left in connection.execute(select(_creations)).all():
        pending = [
            {
                "stream": left.stream,
                "connection": left.connection,
                "object": left.object,
                "source_key": key,
                "status": "pending",
                "run_id": left.run_id,
                "match_hash": match_hash,
                "changed_at": left.changed_at,
            }
            for key, match_hash in json.loads(left.intents)
        ]
        if pending:
            connection.execute(new_link, pending)
    _creations.drop(connection)


def _tell_links_by_source(connection: Connection) -> None:
    """Add the source to the primary key of the links, which lacks it before version 5.

    SQLite can't change a primary key, so the links move to a new table.
    """
    there = inspect(connection)
    links = apollo_links.name
    if not there.has_table(links):
        return
    key = there.get_pk_constraint(links)
    wanted = [part.name for part in apollo_links.primary_key]
    if set(key["constrained_columns"]) == set(wanted):
        return
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.quote(key["name"] or f"{links}_pkey")
        connection.execute(text(f"ALTER TABLE {links} DROP CONSTRAINT {name}"))
        connection.execute(text(f"ALTER TABLE {links} ADD PRIMARY KEY ({', '.join(wanted)})"))
        return
    # SQLAlchemy does not find indexes of expressions, so they are named here.
    for index in apollo_links.indexes:
        connection.execute(text(f"DROP INDEX IF EXISTS {index.name}"))
    connection.execute(text(f"ALTER TABLE {links} RENAME TO {links}_before"))
    apollo_links.create(connection)
    names = [one.name for one in apollo_links.columns]
    before = table(f"{links}_before", *map(column, names))
    connection.execute(insert(apollo_links).from_select(names, select(*before.columns)))
    connection.execute(text(f"DROP TABLE {links}_before"))


def _add_what_is_missing(connection: Connection) -> None:
    """Add the columns and indexes that an older ledger's tables lack.

    Versions 1 and 2 need no other change to become version 3. Version 4 has one table less.
    """
    there = inspect(connection)
    preparer = connection.dialect.identifier_preparer
    for wanted in metadata.sorted_tables:
        if not there.has_table(wanted.name):
            continue
        known = {found["name"] for found in there.get_columns(wanted.name)}
        for new in wanted.columns:
            if new.name not in known:
                ddl = CreateColumn(new).compile(dialect=connection.dialect)
                connection.execute(
                    text(f"ALTER TABLE {preparer.format_table(wanted)} ADD COLUMN {ddl}")
                )
        for index in wanted.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
