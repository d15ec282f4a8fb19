"""Up to which moment nothing can turn up in the ledger any more.

A row carries the moment at which it was written, and appears when its transaction commits. A
bookmark at the newest row would lose one that was written before it and committed after. So the
bookmark is the oldest moment at which a write may still be under way, less `CLOCKS_DIFFER_BY`; rows
between it and the newest come twice, which Singer allows.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import Connection, text

from target_apollo.ledger.database import WRITES, Address

#: Moments come from the clocks of the machines that write; Kerberos allows them as much.
CLOCKS_DIFFER_BY = timedelta(minutes=5)

# A transaction that has written to the table holds this lock on it until it ends. The start of
# other users' transactions may be hidden, and a replica sees no locks.
_WRITERS = text(
    """
    select clock_timestamp() as now, pg_is_in_recovery() as is_replica,
           count(*) as writers, count(began.xact_start) as known, min(began.xact_start) as oldest
    from pg_locks as held
    left join pg_stat_activity as began using (pid)
    where held.locktype = 'relation'
      and held.mode = 'RowExclusiveLock'
      and held.relation = 'apollo_links'::regclass
      and held.database = (select oid from pg_database where datname = current_database())
    """
)


def bookmark_before(address: Address, database: Connection) -> datetime | None:
    """The bookmark for rows that are read from now on; None where it can't be told.

    Raises:
        LedgerError: The ledger can't be asked, or a write to it does not end.
    """
    settled = settled_until(address, database)
    return None if settled is None else settled - CLOCKS_DIFFER_BY


def settled_until(address: Address, database: Connection) -> datetime | None:
    """The moment (aware, UTC) of which all earlier writes, by its clock, are committed.

    Args:
        database: An open connection to the ledger, with no transaction under way.
    """
    with address.errors_as_sentences("Reading"):
        if address.file is not None:
            return _without_writer(address)
        with database.begin():
            found = database.execute(_WRITERS).one()
    if found.is_replica or found.known < found.writers:
        return None
    settled: datetime = min(found.now, found.oldest or found.now)
    return settled.astimezone(timezone.utc)


def _without_writer(address: Address) -> datetime:
    """A moment at which nobody writes: SQLite has one write lock, and it is waited for."""
    with address.engine().connect().execution_options(**{WRITES: True}) as door, door.begin():
        return datetime.now(timezone.utc)
