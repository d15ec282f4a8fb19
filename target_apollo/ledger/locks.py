"""One run at a time per connection and stream; two at once would make duplicates.

SQLite has no locks that end with their process, so the row in ``apollo_locks`` is the lock: a
thread renews its heartbeat, and a row whose process has ended, or whose heartbeat is stale, is
taken over. In PostgreSQL the lock is an advisory lock of the very session that writes the ledger,
which ends with that session; the row only says who holds it.

Two sources of one stream exclude each other too: both may bring one and the same person as new, and
links without a source go to the one or the other.

Either way each write of links first makes sure, in its own transaction or session, that the lock
is still this run's, so that a run that slept through its heartbeats can't write beside another.

A process id alone does not say whether the holder of a lock still runs: ids are used again, and two
containers may share a host name and count their processes separately. A process is therefore known
by host name, by *space* (boot and process namespace, within which ids can be compared) and by id
with start time.
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
    #: Boot id and process namespace on Linux; ``None`` where the system names none.
    space: str | None
    pid: int
    #: Start time in clock ticks since boot, as ``/proc`` gives it; ``None`` where unknown.
    started: str | None

    @classmethod
    def current(cls) -> Process:
        """Describe this very process."""
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
        # A zombie has ended and only waits for its parent to take notice.
        return state in {"Z", "X"} or (self.started is not None and started != self.started)


def _stat(pid: int) -> tuple[str, str] | None:
    """State letter and start time of a process (proc(5), fields 3 and 22); Linux only."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # Field 2, the command's name, stands in parentheses and may hold blanks and parentheses.
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

#: A holder that can't be seen counts as ended once its heartbeat is older than this.
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

    The row of a process that is seen to have ended is stale at once; that of one that is seen to
    run never is, however old its heartbeat (the machine may have slept). The row of a process that
    can't be seen, on another host or in another container, is stale once its heartbeat is older
    than ``STALE_AFTER``, or as far in the future, when a clock was set back.
    """
    if holder.process.surely_ended(here):
        return True
    if _is_seen_running(holder.process, here):
        return False
    return abs(now - holder.heartbeat_at) > STALE_AFTER


def _is_seen_running(process: Process, here: Process) -> bool:
    # Without a start time the id may long belong to another process.
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
        """Count a lock as held, once its row is committed, and renew its heartbeat."""
        self._held[lock.connection, lock.stream] = lock
        if not self._advisory and self._heartbeat is None:
            self._heartbeat = Heartbeat(self._engine, self._token)

    def forget(self, connection: str, stream: str) -> bool:
        """Count a lock as no longer held; say whether it was.

        Call it outside a transaction: the heartbeat, which stops with the last lock, may wait for
        one.
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

        To be called first in a write transaction. A ledger that took no lock passes.
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
        """End the thread; returns after a beat that is under way."""
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
                # The next beat makes up for it; whether the lock was lost meanwhile, the next
                # write of links finds out.
                _log.warning(
                    "The lock in the ledger (setting ledger_url) could not be renewed: %s",
                    error.orig if isinstance(error, DBAPIError) else type(error).__name__,
                )


_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(current_schema(), :key))")

#: Advisory locks count per database; the schema keeps two ledgers in one database apart.
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended(current_schema(), :key))")


# Asked in every transaction, and so made once.
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
