"""The ledger's tables and their version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
)

from target_apollo.ledger.database_errors import UnreadableValue

VERSION = 10


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

# Since version 10: a number for each place of links, which every link has in place of its texts.
apollo_scopes = Table(
    "apollo_scopes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("stream", Text, nullable=False),
    # The setting `source`; empty where it is not set, and in all links from before version 5.
    Column("source", Text, nullable=False),
    UniqueConstraint("connection", "object", "stream", "source", name="apollo_scopes_by_place"),
)

# Since version 10, in place of a table `apollo_links` of texts, which is a view now. Binary columns
# are as in `pack`, times are microseconds since 1970.
apollo_row_links = Table(
    "apollo_row_links",
    metadata,
    Column("scope", Integer, primary_key=True, autoincrement=False),
    Column("source_key", LargeBinary, primary_key=True),
    Column("apollo_id", LargeBinary),
    Column("payload_hash", LargeBinary),
    Column("status", SmallInteger, nullable=False),
    # Null also where it is `last_synced_at`, as in most links.
    Column("first_synced_at", BigInteger),
    Column("last_synced_at", BigInteger),
    Column("error", Text),
    Column("run_id", LargeBinary),
    # Hash of the e-mail or domain, Apollo's own time of the last write, and when the link itself
    # last changed; null in links of version 1.
    Column("match_hash", LargeBinary),
    Column("apollo_updated_at", LargeBinary),
    Column("changed_at", BigInteger),
    # Hash of the row's e-mail or domain where its record has another one.
    Column("row_hash", LargeBinary),
    # Digests of values that cost a request for each record.
    Column("single_hashes", Text),
    sqlite_with_rowid=False,
)

#: Whether a link has a record. Links of unanswered creates are in no index but that of changes,
#: which halves the time for writing the links of new rows.
HAS_RECORD = apollo_row_links.c.apollo_id.is_not(None)
#: The first bytes of a match hash. Few links share them, and they need a fraction of the space.
MATCH_START: ColumnElement[bytes] = literal_column("substr(match_hash, 2, 5)", LargeBinary)
_OF_RECORDS = (
    Index("apollo_row_links_by_apollo_id", apollo_row_links.c.apollo_id),
    Index("apollo_row_links_by_match", MATCH_START, _table=apollo_row_links),
)
# In the order in which the tap reads.
Index(
    "apollo_row_links_by_change",
    apollo_row_links.c.changed_at,
    apollo_row_links.c.scope,
    apollo_row_links.c.source_key,
)


def restrict_indexes(dialect: str) -> None:
    """Leave links without a record out of the indexes of records, before these are created.

    Naming a database in an index loads all that SQLAlchemy has for it, which takes 3 MB and is of
    no use where the ledger is in another one.
    """
    for index in _OF_RECORDS:
        index.dialect_kwargs[f"{dialect}_where"] = HAS_RECORD


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
