"""One run at a time per connection and stream; two at once would make duplicates.

The row in ``apollo_locks`` is the lock: whoever's token is in it holds it. A thread renews its
heartbeat. Another run takes the row over once its process has ended or its heartbeat is stale.

No lock belongs to a database session, since a pooler between this process and PostgreSQL may give
each transaction another session, and each session to other processes. So every write of links
checks the token in its own transaction. SQLite's transactions that write exclude each other; in
PostgreSQL the check keeps the row as it is until the transaction ends, and a takeover waits for
that. So a run that missed its heartbeats, because the machine slept, can't write beside another.

Two sources of one stream exclude each other too: both may have the same person as a new row, and
both may claim a link without a source.

Earlier releases hold an advisory lock of their PostgreSQL session instead, and renew no heartbeat.
So a lock is not taken either while somebody has that advisory lock.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from target_apollo.ledger.database import writing
from target_apollo.ledger.database_errors import moment_of, number_of
from target_apollo.ledger.errors import AnotherRunActive, LockLost
from target_apollo.ledger.processes import Process
from target_apollo.ledger.tables import apollo_locks

_log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0

#: A holder whose process can't be seen counts as ended once its heartbeat is older than this.
STALE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as its row says."""

    run_id: str
    token: str
    process: Process
    acquired_at: datetime
    heartbeat_at: datetime


class StreamLock:
    """A held lock; ``release`` it, or leave its ``with`` block."""

    def __init__(self, connection: str, stream: str, run_id: str, give_back: Callable[[], None]):
        self.connection = connection
        self.stream = stream
        self.run_id = run_id
        self._give_back = give_back

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        self._give_back()

    def __enter__(self) -> StreamLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def is_stale(holder: Holder, here: Process, now: datetime) -> bool:
    """Whether a lock row belongs to a run that has ended.

    A process that can be seen decides: if it has ended, the row is stale at once; if it runs, the
    row is not, however old its heartbeat is (the machine may have slept). The row of a process on
    another host or in another container is stale once its heartbeat is older than ``STALE_AFTER``,
    or that far in the future, which happens when a clock is set back.

    Args:
        holder: What the row says.
        here: The process that asks.
        now: By the clock that wrote the heartbeat: PostgreSQL's, or this machine's for SQLite.
    """
    if holder.process.surely_ended(here):
        return True
    if _is_seen_running(holder.process, here):
        return False
    return abs(now - holder.heartbeat_at) > STALE_AFTER


def _is_seen_running(process: Process, here: Process) -> bool:
    # Without a start time the id may belong to a later process.
    same_space = (process.host, process.space) == (here.host, here.space)
    return same_space and process.started is not None and not process.surely_ended(here)


class Locks:
    """The locks that one ledger holds, by connection and stream."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._token = uuid.uuid4().hex
        self._held: dict[tuple[str, str], StreamLock] = {}
        self._heartbeat: Heartbeat | None = None

    def held(self, connection: str, stream: str) -> StreamLock | None:
        """Give the lock of a connection and stream if this ledger holds it."""
        return self._held.get((connection, stream))

    def all_held(self) -> list[StreamLock]:
        """Give the locks that this ledger holds."""
        return list(self._held.values())

    def acquire(self, database: Connection, connection: str, stream: str, run_id: str) -> None:
        """Take a lock, inside a write transaction. Raise ``AnotherRunActive`` if it is held."""
        now = self._check_free(database, connection, stream)
        here = Process.current()
        database.execute(delete(apollo_locks).where(_row(connection, stream)))
        database.execute(
            insert(apollo_locks).values(
                connection=connection,
                stream=stream,
                run_id=run_id,
                token=self._token,
                host=here.host,
                space=here.space,
                pid=here.pid,
                pid_started=here.started,
                acquired_at=now,
                heartbeat_at=now,
            )
        )

    def check_free(self, database: Connection, connection: str | None = None) -> None:
        """Raise ``AnotherRunActive`` if a run writes to a connection, inside a transaction.

        Without a connection, if a run writes to any.
        """
        held = select(apollo_locks.c.connection, apollo_locks.c.stream)
        if connection is not None:
            held = held.where(apollo_locks.c.connection == connection)
        for of_connection, stream in database.execute(held).all():
            self._check_free(database, of_connection, stream)

    def _check_free(self, database: Connection, connection: str, stream: str) -> datetime:
        """Give the present, by the clock of the heartbeats."""
        here, now = Process.current(), datetime.now(timezone.utc)
        if self._is_postgresql:
            began = database.execute(_BEGIN_TO_LOCK, _advisory_key(connection, stream)).one()
            if not began.is_alone:
                raise _another_run(stream, _holder(database, connection, stream), now)
            now = began.now
        holder = _holder(database, connection, stream)
        if holder is not None and not is_stale(holder, here, now):
            raise _another_run(stream, holder, now)
        return now

    def hold(self, lock: StreamLock) -> None:
        """Note that a lock is held, and start its heartbeat. Call it after the row's commit."""
        self._held[lock.connection, lock.stream] = lock
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(self._engine, self._token)

    def forget(self, connection: str, stream: str) -> bool:
        """Note that a lock is no longer held; say whether it was.

        Call it outside a transaction: it may wait for the end of the heartbeat's thread, which may
        wait for that transaction.
        """
        if self._held.pop((connection, stream), None) is None:
            return False
        if not self._held and self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        return True

    def erase(self, database: Connection, connection: str, stream: str) -> None:
        """Delete the row of a lock that is no longer held, inside a write transaction."""
        database.execute(
            delete(apollo_locks).where(
                _row(connection, stream), apollo_locks.c.token == self._token
            )
        )

    def check_all_held(self, database: Connection) -> None:
        """Raise ``LockLost`` if one of the locks that this ledger took is no longer its own."""
        for connection, stream in self._held:
            self.check_held(database, connection, stream)

    def check_held(self, database: Connection, connection: str, stream: str) -> None:
        """Raise ``LockLost`` if a lock that this ledger took is no longer its own.

        Call it first in a write transaction. Does nothing if this ledger took no lock.
        """
        if (connection, stream) not in self._held:
            return
        still_held = database.execute(
            _KEEP_HELD if self._is_postgresql else _STILL_HELD,
            {"connection": connection, "stream": stream, "token": self._token},
        ).first()
        if still_held is None:
            raise LockLost(
                f"This run no longer holds the lock of the stream {stream!r} in the ledger "
                "(setting ledger_url): it was out of touch with it for too long, and another run "
                "may be writing. It stops here; run again, and what was not confirmed is read "
                "again."
            )


class Heartbeat:
    """The thread that renews this ledger's lock rows, on a connection of its own."""

    def __init__(self, engine: Engine, token: str) -> None:
        self._engine = engine
        self._token = token
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="ledger-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after a renewal that has begun."""
        self._stopped.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS)

    def _beat(self) -> None:
        renewal = update(apollo_locks).where(apollo_locks.c.token == self._token)
        of_database = self._engine.dialect.name == "postgresql"
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            now = func.clock_timestamp() if of_database else datetime.now(timezone.utc)
            try:
                with self._engine.connect() as database, writing(database):
                    database.execute(renewal.values(heartbeat_at=now))
            except SQLAlchemyError as error:
                # Tried again at the next beat. If the lock was lost, the next write of links fails.
                _log.warning(
                    "The lock in the ledger (setting ledger_url) could not be renewed: %s",
                    error.orig if isinstance(error, DBAPIError) else type(error).__name__,
                )


#: Until the transaction ends, nobody else takes this lock: not a run of this release, which asks
#: the same, nor one of an earlier release, which keeps the advisory lock for its whole session. The
#: schema is part of the key, since advisory locks hold for a database, which may have two ledgers.
#: A takeover waits for the open transaction of a run that was stopped, but not for good.
_BEGIN_TO_LOCK = text(
    "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema(), :key)) AS is_alone, "
    "clock_timestamp() AS now, set_config('lock_timeout', '90s', true)"
)

# Built once, since every transaction runs it.
_STILL_HELD = select(1).where(
    apollo_locks.c.connection == bindparam("connection"),
    apollo_locks.c.stream == bindparam("stream"),
    apollo_locks.c.token == bindparam("token"),
)
# Nobody deletes the row until the transaction ends, while the heartbeat can renew it. A process
# that is stopped or vanishes inside a transaction would keep it for hours: the server ends that
# session.
_KEEP_HELD = _STILL_HELD.with_only_columns(
    func.set_config("idle_in_transaction_session_timeout", "60s", True)
).with_for_update(read=True, key_share=True)


def _advisory_key(connection: str, stream: str) -> dict[str, int]:
    name = "\0".join(("target-apollo", connection, stream)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return {"key": int.from_bytes(digest, "big", signed=True)}


def _row(connection: str, stream: str) -> Any:
    return and_(apollo_locks.c.connection == connection, apollo_locks.c.stream == stream)


def _holder(database: Connection, connection: str, stream: str) -> Holder | None:
    row = database.execute(select(apollo_locks).where(_row(connection, stream))).one_or_none()
    if row is None:
        return None
    pid = number_of(row.pid, "the process of a lock")
    return Holder(
        run_id=row.run_id,
        token=row.token,
        process=Process(row.host, row.space, pid, row.pid_started),
        acquired_at=moment_of(row.acquired_at, "the time of a lock"),
        heartbeat_at=moment_of(row.heartbeat_at, "the time of a lock"),
    )


def _another_run(stream: str, holder: Holder | None, now: datetime) -> AnotherRunActive:
    who, since = "Another run", "a moment ago"
    if holder is not None:
        process = holder.process
        who = f"Run {holder.run_id} (process {process.pid} on {process.host})"
        since = holder.acquired_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return AnotherRunActive(
        f"{who} writes the stream {stream!r} to this Apollo team since {since}, by the ledger's "
        "lock (setting ledger_url). Two runs at once would make duplicates: wait until it ends, "
        "or stop it, and run again. If it was killed on another host or in another container, "
        f"its lock ends {STALE_AFTER.seconds} seconds after its last sign of life.",
        retry_at=now + STALE_AFTER,
    )
