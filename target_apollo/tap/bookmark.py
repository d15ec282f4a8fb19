"""The bookmark of the ledger's stream: the moment up to which all of its rows are visible.

A row has the time at which it was written, but a reader sees it only when its transaction commits.
A bookmark at the newest row would miss a row that was written before it and committed after it. So
the bookmark is the start of the oldest write that may still be open, less `CLOCKS_DIFFER_BY`. Rows
between the bookmark and the newest row are read twice, which Singer allows.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import Connection, text

from target_apollo.ledger.database import WRITES, Address

#: Rows have the times of the machines that write them. Kerberos allows clocks to differ as much.
CLOCKS_DIFFER_BY = timedelta(minutes=5)

# A transaction that has written to the table holds this lock on it until it ends. PostgreSQL may
# hide when other users' transactions began, and a replica sees no locks.
_WRITERS = text(
    """
    select clock_timestamp() as now, pg_is_in_recovery() as is_replica,
           count(*) as writers, count(began.xact_start) as known, min(began.xact_start) as oldest
    from pg_locks as held
    left join pg_stat_activity as began using (pid)
    where held.locktype = 'relation'
      and held.mode = 'RowExclusiveLock'
      and held.relation = 'apollo_row_links'::regclass
      and held.database = (select oid from pg_database where datname = current_database())
    """
)


def bookmark_before(address: Address, database: Connection) -> datetime | None:
    """The bookmark (aware) for rows that are read from now on; None where it can't be found out.

    Raises:
        LedgerError: The ledger can't be read, or a write to it does not end.
    """
    settled = settled_until(address, database)
    return None if settled is None else settled - CLOCKS_DIFFER_BY


def settled_until(address: Address, database: Connection) -> datetime | None:
    """The moment (aware, UTC) before which all writes are committed, by the database's clock.

    None where open writes can't be seen: on a replica, or without the right to see others' writes.

    Args:
        database: An open connection to the ledger, outside a transaction.

    Raises:
        LedgerError: The ledger can't be read, or a write to it does not end.
    """
    with address.errors_as_sentences("Reading"):
        if address.file is not None:
            return _without_writer(address)
        with database.begin():
            writers = database.execute(_WRITERS).one()
    if writers.is_replica or writers.known < writers.writers:
        return None
    settled: datetime = min(writers.now, writers.oldest or writers.now)
    return settled.astimezone(timezone.utc)


def _without_writer(address: Address) -> datetime:
    """The present moment, taken while this process holds SQLite's only write lock."""
    engine = address.engine()
    with engine.connect().execution_options(**{WRITES: True}) as database, database.begin():
        return datetime.now(timezone.utc)
