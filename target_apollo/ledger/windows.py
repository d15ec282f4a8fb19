"""What the processes of a team tell each other of Apollo's rate windows: a text for each endpoint.

The ledger does not read the texts. A text is replaced only if nobody has replaced it since it was
read, and no transaction lasts longer than a statement: so a process that is stopped or killed in
between holds nobody up.

This is no part of what a ledger must keep. Its connection is one of its own, since threads that
send requests use it while the run's thread writes links.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import astuple
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, bindparam, func, literal_column, select, update
from sqlalchemy.exc import SQLAlchemyError

from target_apollo.ledger.database import WRITES, Address
from target_apollo.ledger.processes import Process
from target_apollo.ledger.statements import insert_into
from target_apollo.ledger.tables import apollo_windows

T = TypeVar("T")

#: How long SQLite waits here for another process's write transaction.
_BUSY_MILLISECONDS = 5000

_of_endpoint = (
    apollo_windows.c.connection == bindparam("of_connection"),
    apollo_windows.c.endpoint == bindparam("of_endpoint"),
)


class TeamWindowTexts:
    """The texts of one team. Thread-safe.

    Every method raises ``LedgerError`` when the database fails.

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
        self._find = select(apollo_windows.c.text, apollo_windows.c.revision, self._clock()).where(
            *_of_endpoint
        )
        self._replace = (
            update(apollo_windows)
            .where(*_of_endpoint, apollo_windows.c.revision == bindparam("of_revision"))
            .values(text=bindparam("new_text"), revision=bindparam("of_revision") + 1)
        )
        self._insert = insert_into(apollo_windows, engine.dialect.name).on_conflict_do_nothing()

    def read(self, endpoint: str) -> tuple[str | None, int, float]:
        """Give an endpoint's text, its revision, and the present by the clock that all share.

        That is PostgreSQL's clock, or this machine's for SQLite, in seconds since 1970. Without a
        text the revision is 0.
        """

        def find(database: Connection) -> tuple[str | None, int, float]:
            key = {"of_connection": self._connection, "of_endpoint": endpoint}
            row = database.execute(self._find, key).first()
            if row is not None:
                text, revision, now = row
                return str(text), int(revision), self._present(now)
            now = database.scalar(select(self._clock())) if self._is_postgresql else 0
            return None, 0, self._present(now)

        return self._run("Reading", find)

    def write(self, endpoint: str, text: str, revision: int) -> bool:
        """Replace the text of a revision; say whether it was still that revision's."""

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

        return self._run("Writing", replace)

    def has_ended(self, owner: str) -> bool:
        """Whether the process with this `owner` has surely ended, as seen from this machine."""
        try:
            host, space, pid, started, _ = json.loads(owner)
            return Process(host, space, int(pid), started).surely_ended(self._here)
        except (ValueError, TypeError):
            # A later release may name its processes otherwise.
            return False

    def close(self) -> None:
        """Close the connection; a later call opens another one."""
        with self._lock:
            self._disconnect()

    def _run(self, action: str, step: Callable[[Connection], T]) -> T:
        with self._lock, self._address.errors_as_sentences(action):
            try:
                return self._in_transaction(step)
            except SQLAlchemyError:
                # The connection may have been cut while it was idle.
                self._disconnect()
            try:
                return self._in_transaction(step)
            except SQLAlchemyError:
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

    def _clock(self) -> Any:
        if self._is_postgresql:
            return func.extract("epoch", func.clock_timestamp())
        return literal_column("0")

    def _present(self, now: Any) -> float:
        return float(now) if self._is_postgresql else time.time()
