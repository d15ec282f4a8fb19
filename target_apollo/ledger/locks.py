"""One run at a time per connection and stream; two at once would make duplicates.

SQLite has no locks that end with their process, so the row in ``apollo_locks`` is the lock. A
thread renews its heartbeat. Another run takes the row over once its process has ended or its
heartbeat is stale. In PostgreSQL the lock is an advisory lock of the session that writes the
ledger, and ends with that session; the row only says who holds it.

Two sources of one stream exclude each other too: both may have the same person as a new row, and
both may claim a link without a source.

With either database each write of links first checks, in its own transaction or session, that this
run still holds the lock. So a run that missed its heartbeats, because the machine slept, can't
write beside another.

A process id alone does not say whether the holder of a lock still runs: ids are used again, and two
containers may share a host name and number their processes separately. A process is therefore
identified by host name, by *space* (boot and process namespace, within which ids can be compared)
and by id with start time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from target_apollo.ledger.database import WRITES
from target_apollo.ledger.errors import AnotherRunActive, LockLost
from target_apollo.ledger.tables import apollo_locks


@dataclass(frozen=True)
class Process:
    """A process that writes to a ledger: where it runs and which one it is."""

    host: str
    #: Boot id and process namespace on Linux; ``None`` where the system has none.
    space: str | None
    pid: int
    #: Start time in clock ticks since boot, as ``/proc`` gives it; ``None`` where unknown.
    started: str | None

    @classmethod
    def current(cls) -> Process:
        """The process that runs this code."""
        pid = os.getpid()
        stat = _stat(pid)
        return cls(socket.gethostname(), _space(), pid, stat[1] if stat else None)

    def surely_ended(self, seen_from: Process) -> bool:
        """Whether ``seen_from`` can tell that this process has ended."""
        if (self.host, self.space) != (seen_from.host, seen_from.space):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        stat = _stat(self.pid)
        if stat is None:
            return False
        state, started = stat
        # Z is a zombie: it has ended, and its parent has not noticed yet.
        return state in {"Z", "X"} or (self.started is not None and started != self.started)


def _stat(pid: int) -> tuple[str, str] | None:
    """State letter and start time of a process (proc(5), fields 3 and 22); Linux only."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # Field 2, the command's name in parentheses, may itself have blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else None


def _space() -> str | None:
    """Boot id and process namespace; None where the system has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no file to resolve
    except OSError:
        return None


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
    """Whether a lock row in SQLite belongs to a run that has ended.

    A process that can be seen decides: if it has ended, the row is stale at once; if it runs, the
    row is not, however old its heartbeat is (the machine may have slept). The row of a process on
    another host or in another container is stale once its heartbeat is older than ``STALE_AFTER``,
    or that far in the future, which happens when a clock is set back.
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
        self._advisory = engine.dialect.name == "postgresql"
        self._token = uuid.uuid4().hex
        self._held: dict[tuple[str, str], StreamLock] = {}
        self._session: object = None
        self._heartbeat: Heartbeat | None = None

    def held(self, connection: str, stream: str) -> StreamLock | None:
        """Give the lock of a connection and stream if this ledger holds it."""
        return self._held.get((connection, stream))

    def all_held(self) -> list[StreamLock]:
        """Give the locks that this ledger holds."""
        return list(self._held.values())

    def acquire(self, database: Connection, connection: str, stream: str, run_id: str) -> None:
        """Take a lock, inside a write transaction. Raise ``AnotherRunActive`` if it is held."""
        here, now = Process.current(), datetime.now(timezone.utc)
        if self._advisory:
            if not database.scalar(_TRY_LOCK, _advisory_key(connection, stream)):
                raise _another_run(stream, _holder(database, connection, stream))
            self._session = _session_of(database)
        else:
            holder = _holder(database, connection, stream)
            if holder is not None and not is_stale(holder, here, now):
                raise _another_run(stream, holder)
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

    def hold(self, lock: StreamLock) -> None:
        """Note that a lock is held, and start its heartbeat. Call it after the row's commit."""
        self._held[lock.connection, lock.stream] = lock
        if not self._advisory and self._heartbeat is None:
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
        if self._advisory and self._session is _session_of(database):
            database.execute(_UNLOCK, _advisory_key(connection, stream))

    def make_sure(self, database: Connection, connection: str, stream: str) -> None:
        """Raise ``LockLost`` if a lock that this ledger took is no longer its own.

        Call it first in a write transaction. Does nothing if this ledger took no lock.
        """
        if (connection, stream) not in self._held:
            return
        if self._advisory:
            still_held = self._session is _session_of(database)
        else:
            still_held = bool(
                database.scalar(
                    _STILL_HELD,
                    {"connection": connection, "stream": stream, "token": self._token},
                )
            )
        if not still_held:
            raise LockLost(
                f"This run no longer holds the lock of the stream {stream!r} in the ledger "
                "(setting ledger_url): it was out of touch with it for too long, and another run "
                "may be writing. It stops here; run again, and what was not confirmed is read "
                "again."
            )


class Heartbeat:
    """The thread that renews this ledger's lock rows in SQLite, on a connection of its own."""

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
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            try:
                with self._engine.connect() as database:
                    database.execution_options(**{WRITES: True})
                    with database.begin():
                        database.execute(renewal.values(heartbeat_at=datetime.now(timezone.utc)))
            except SQLAlchemyError as error:
                # Tried again at the next beat. If the lock was lost, the next write of links fails.
                _log.warning(
                    "The lock in the ledger (setting ledger_url) could not be renewed: %s",
                    error.orig if isinstance(error, DBAPIError) else type(error).__name__,
                )


_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(current_schema(), :key))")

#: The schema is part of the key: advisory locks hold for a database, which may have two ledgers.
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended(current_schema(), :key))")


# Built once, since every transaction runs it.
_STILL_HELD = select(1).where(
    apollo_locks.c.connection == bindparam("connection"),
    apollo_locks.c.stream == bindparam("stream"),
    apollo_locks.c.token == bindparam("token"),
)


def _advisory_key(connection: str, stream: str) -> dict[str, int]:
    name = "\0".join(("target-apollo", connection, stream)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return {"key": int.from_bytes(digest, "big", signed=True)}


def _session_of(database: Connection) -> object:
    return database.connection.dbapi_connection


def _row(connection: str, stream: str) -> Any:
    return and_(apollo_locks.c.connection == connection, apollo_locks.c.stream == stream)


def _holder(database: Connection, connection: str, stream: str) -> Holder | None:
    row = database.execute(select(apollo_locks).where(_row(connection, stream))).one_or_none()
    if row is None:
        return None
    return Holder(
        run_id=row.run_id,
        token=row.token,
        process=Process(row.host, row.space, row.pid, row.pid_started),
        acquired_at=row.acquired_at,
        heartbeat_at=row.heartbeat_at,
    )


def _another_run(stream: str, holder: Holder | None) -> AnotherRunActive:
    who, since = "Another run", "a moment ago"
    if holder is not None:
        process = holder.process
        who = f"Run {holder.run_id} (process {process.pid} on {process.host})"
        since = holder.acquired_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return AnotherRunActive(
        f"{who} writes the stream {stream!r} to this Apollo team since {since}, by the ledger's "
        "lock (setting ledger_url). Two runs at once would make duplicates: wait until it ends, "
        "or stop it, and run again. If it was killed on another host or in another container, "
        f"its lock ends {STALE_AFTER.seconds} seconds after its last sign of life."
    )
