"""What the processes of a team tell each other of Apollo's rate windows: a text for each endpoint.

The ledger does not read the texts. A text is replaced only if nobody has replaced it since it was
read, and no transaction lasts longer than a statement: so a process that is stopped or killed in
between holds nobody up.

This is no part of what a ledger must keep: a run goes on without it. Its connection is one of its
own, since threads that send requests use it while the run's thread writes links.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import astuple
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, bindparam, func, literal_column, select, update
from sqlalchemy.exc import SQLAlchemyError

from target_apollo.ledger.database import WRITES, Address, insert_into
from target_apollo.ledger.database_errors import UnreadableValue
from target_apollo.ledger.errors import LedgerError
from target_apollo.ledger.processes import Process
from target_apollo.ledger.tables import apollo_windows

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Seconds after a failure in which the database is left alone: it may have kept a thread for long.
_LEFT_ALONE_SECONDS = 30.0
#: How long SQLite waits here for another process's write transaction.
_BUSY_MILLISECONDS = 5000

_of_endpoint = (
    apollo_windows.c.connection == bindparam("of_connection"),
    apollo_windows.c.endpoint == bindparam("of_endpoint"),
)


class SharedWindows:
    """The texts of one team. Thread-safe.

    Where the database fails, a method says that it could do nothing, and the log says why, once.

    Attributes:
        owner: A name for this object that no other process has; `has_ended` reads it.
    """

    def __init__(self, address: Address, engine: Engine, connection: str) -> None:
        self._address = address
        self._engine = engine
        self._connection = connection
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._here = Process.current()
        self.owner = json.dumps([*astuple(self._here), uuid.uuid4().hex])
        self._lock = threading.Lock()
        self._database: Connection | None = None
        self._was_said = False
        self._left_alone_until = 0.0
        clock = (
            func.extract("epoch", func.clock_timestamp())
            if self._is_postgresql
            else literal_column("NULL")
        )
        self._look_at_clock = select(clock)
        self._find = select(apollo_windows.c.text, apollo_windows.c.revision, clock).where(
            *_of_endpoint
        )
        self._replace = (
            update(apollo_windows)
            .where(*_of_endpoint, apollo_windows.c.revision == bindparam("of_revision"))
            .values(text=bindparam("new_text"), revision=bindparam("of_revision") + 1)
        )
        # Without the option SQLAlchemy gives no count of inserted rows.
        self._insert = (
            insert_into(apollo_windows, engine.dialect.name)
            .on_conflict_do_nothing()
            .execution_options(preserve_rowcount=True)
        )

    def read(self, endpoint: str) -> tuple[str | None, int, float] | None:
        """Give an endpoint's text, its revision, and the present by the clock that all share.

        That is PostgreSQL's clock, or this machine's for SQLite, in seconds since 1970. Without a
        text the revision is 0. None: the database can't be used.
        """

        def find(database: Connection) -> tuple[str | None, int, float]:
            key = {"of_connection": self._connection, "of_endpoint": endpoint}
            row = database.execute(self._find, key).first()
            text, revision, now = row or (None, 0, database.scalar(self._look_at_clock))
            if not isinstance(revision, int):
                raise UnreadableValue("a revision is none that target-apollo writes")
            return text, revision, time.time() if now is None else float(now)

        return self._run("Reading", find)

    def write(self, endpoint: str, text: str, revision: int) -> bool:
        """Replace the text of a revision; say whether that was done, and still its revision."""

        def replace(database: Connection) -> bool:
            if revision:
                values = {
                    "of_connection": self._connection,
                    "of_endpoint": endpoint,
                    "of_revision": revision,
                    "new_text": text,
                }
                return database.execute(self._replace, values).rowcount == 1
            new = {"connection": self._connection, "endpoint": endpoint, "revision": 1}
            return database.execute(self._insert, {**new, "text": text}).rowcount == 1

        return self._run("Writing", replace) or False

    def has_ended(self, owner: str) -> bool:
        """Whether the process with this `owner` has surely ended, as seen from this machine."""
        try:
            host, space, pid, started, _ = json.loads(owner)
            return Process(host, space, int(pid), started).surely_ended(self._here)
        except (OverflowError, TypeError, ValueError):
            # A later release may name its processes otherwise.
            return False

    def close(self) -> None:
        """Close the connection; a later call opens another one."""
        with self._lock:
            self._disconnect()

    def _run(self, action: str, step: Callable[[Connection], T]) -> T | None:
        with self._lock:
            if time.monotonic() < self._left_alone_until:
                return None
            try:
                with self._address.errors_as_sentences(action):
                    return self._carry_out(step)
            except LedgerError as problem:
                self._left_alone_until = time.monotonic() + _LEFT_ALONE_SECONDS
                if not self._was_said:
                    self._was_said = True
                    _log.warning(
                        "This run paces its requests without a look at other runs of this team, "
                        "which may cost 429s while they run: %s",
                        problem,
                    )
                return None

    def _carry_out(self, step: Callable[[Connection], T]) -> T:
        was_idle = self._database is not None
        try:
            return self._in_transaction(step)
        except BaseException as error:
            self._disconnect()
            # A connection that was idle may have been cut meanwhile.
            if not (was_idle and isinstance(error, SQLAlchemyError)):
                raise
        try:
            return self._in_transaction(step)
        except BaseException:
            self._disconnect()
            raise

    def _in_transaction(self, step: Callable[[Connection], T]) -> T:
        if self._database is None:
            self._database = self._connect()
        with self._database.begin():
            return step(self._database)

    def _connect(self) -> Connection:
        if self._is_postgresql:
            return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        database = self._engine.connect()
        driver: Any = database.connection.dbapi_connection
        driver.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        # What a power cut loses here costs nothing, so no commit waits for the disk.
        driver.execute("PRAGMA synchronous = NORMAL")
        return database.execution_options(**{WRITES: False})

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            try:
                database.close()
            except SQLAlchemyError:
                database.invalidate()
