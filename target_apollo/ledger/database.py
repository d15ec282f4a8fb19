"""From the setting ``ledger_url`` to an engine and its statements: drivers, file modes, errors.

SQLAlchemy spells a statement for thousands of rows (`ManyRows`) once for each database; rows then
go to the driver as tuples. SQLAlchemy's usual way, with a dictionary for each row, takes several
times as long as SQLite needs to find or write a row.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Dialect, Engine, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from target_apollo.ledger.database_errors import UnreadableValue, cure_of, reason_of
from target_apollo.ledger.errors import LedgerError, LedgerUnusable
from target_apollo.system.files import private_descriptor
from target_apollo.system.installation import how_to_install

#: Execution option of a connection: its next transaction takes SQLite's write lock at its start.
#: A transaction that reads first and writes later fails instead of waiting for the lock.
WRITES = "ledger_writes"

#: How long SQLite waits for another process's write transaction, which takes milliseconds.
BUSY_SECONDS = 30.0

#: A statement that runs this often is prepared, where statements are; psycopg's own default.
_PREPARED_AFTER = 5


@dataclass(frozen=True)
class Address:
    """Where the ledger is: a SQLite file, or a PostgreSQL database."""

    url: URL
    #: Absolute path of the SQLite file; ``None`` for PostgreSQL.
    file: Path | None

    @classmethod
    def of(cls, ledger_url: str) -> Address:
        """Read the setting; raise ``LedgerUnusable`` for a URL that can't be a ledger's.

        ``postgres://`` and ``postgresql://`` mean the driver psycopg 3.
        """
        try:
            url = make_url(ledger_url)
        except (ArgumentError, ValueError):
            # The text of the setting may hold a password that was not percent-encoded.
            raise LedgerUnusable(
                "The setting ledger_url is no database URL. Write it as "
                "sqlite:///path/ledger.db or postgresql://user:password@host/database, with "
                "special characters of the password percent-encoded."
            ) from None
        if url.drivername in {"sqlite", "sqlite+pysqlite"}:
            return cls(url, _sqlite_file(url))
        if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
            if url.host and "@" in url.host:
                raise LedgerUnusable(
                    "The password in the setting ledger_url holds an @ that is not "
                    "percent-encoded: write it as %40."
                )
            return cls(url.set(drivername="postgresql+psycopg"), None)
        raise LedgerUnusable(
            f"The setting ledger_url names {url.drivername!r}; a ledger is kept in SQLite "
            "(sqlite:///path/ledger.db) or PostgreSQL (postgresql://user:password@host/database)."
        )

    def __str__(self) -> str:
        """Name the file or database, without user, password or options."""
        if self.file is not None:
            return f"file {self.file}"
        return f"PostgreSQL database {self.url.database!r} on {self.url.host or 'the local socket'}"

    def without_secrets(self, message: str) -> str:
        """Remove the URL's passwords from a driver's message."""
        secrets = [self.url.password]
        for name in ("password", "sslpassword"):
            given = self.url.query.get(name, ())
            secrets += [given] if isinstance(given, str) else list(given)
        for secret in filter(None, secrets):
            message = message.replace(str(secret), "***")
        return message

    @contextmanager
    def errors_as_sentences(self, action: str) -> Iterator[None]:
        """Turn a database's errors into a ``LedgerError`` that starts with ``action``.

        It is a ``LedgerUnusable`` where trying again does not help.
        """
        try:
            yield
        except _errors() as error:
            cure = cure_of(error)
            kind = LedgerUnusable if cure.takes_a_person else LedgerError
            raise kind(
                f"{action} the ledger in {self} (setting ledger_url) failed: "
                f"{self.without_secrets(reason_of(error))}. {cure.advice}"
            ) from None

    def exists(self) -> bool:
        """Say whether the SQLite file is there; a PostgreSQL database always counts as there."""
        return self.file is None or (self.file.is_file() and self.file.stat().st_size > 0)

    def engine(self, *, read_only: bool = False) -> Engine:
        """Make an engine that opens a connection per checkout and keeps no pool."""
        if self.file is not None:
            return _sqlite_engine(self.file, read_only=read_only)
        return _postgresql_engine(self.url, read_only=read_only)

    def make_private_file(self) -> None:
        """Create the SQLite file with mode 0600 and missing folders with 0700.

        Folders that are already there keep their mode: they may be the user's own.
        """
        if self.file is None:
            return
        # SQLite gives the -wal and -shm files beside it the same mode.
        os.close(private_descriptor(self.file, os.O_RDWR | os.O_CREAT))


def _errors() -> tuple[type[Exception], ...]:
    """What a database and its files can cause; rows may be fetched past SQLAlchemy."""
    psycopg: Any = sys.modules.get("psycopg")
    drivers = (sqlite3.Error,) if psycopg is None else (sqlite3.Error, psycopg.Error)
    return (SQLAlchemyError, OSError, UnicodeError, UnreadableValue, *drivers)


@contextmanager
def writing(database: Connection) -> Iterator[Connection]:
    """A transaction that writes; it is on disk when the block ends."""
    database.execution_options(**{WRITES: True})
    try:
        with database.begin():
            yield database
    finally:
        database.execution_options(**{WRITES: False})


def prepare_statements(database: Connection) -> None:
    """Let the driver prepare statements, inside a transaction, if no pooler changes the session.

    Prepared, the statements for new links take a quarter of the time. A pooler gives its clients
    numbers of its own in place of the server's process ids.
    """
    if database.dialect.name == "postgresql":
        driver: Any = database.connection.dbapi_connection
        if driver.info.backend_pid == database.scalar(text("SELECT pg_backend_pid()")):
            driver.prepare_threshold = _PREPARED_AFTER


def give_back_space(database: Connection) -> None:
    """Shrink a SQLite file after an upgrade, outside a transaction, unless another process reads.

    Later rows fill the unused parts of a file that could not be shrunk.
    """
    if database.dialect.name == "sqlite":
        driver: Any = database.connection.dbapi_connection
        with suppress(sqlite3.Error):
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sqlite_file(url: URL) -> Path:
    name = url.database
    if not name or name == ":memory:":
        raise LedgerUnusable(
            "The setting ledger_url names a SQLite database in memory, which forgets every link "
            "at the end of the run: name a file, or give an empty string to run without a ledger."
        )
    if name.startswith("file:") or url.query:
        raise LedgerUnusable(
            "The setting ledger_url has options in its SQLite URL; the ledger sets its own. "
            "Write sqlite:///path/ledger.db alone."
        )
    return Path(name).absolute()


def _sqlite_engine(file: Path, *, read_only: bool) -> Engine:
    # rw, not rwc: `make_private_file` has created the file, with its mode.
    name = f"file:{quote(str(file))}?mode={'ro' if read_only else 'rw'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            name,
            uri=True,
            timeout=BUSY_SECONDS,
            # `begin`, below, starts the transactions: the driver would start those that write too
            # late.
            isolation_level=None,
            check_same_thread=False,
        )
        if not read_only:
            _use_write_ahead_log(connection)
            # A commit is on disk when it returns, also after a power cut.
            connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine(
        "sqlite+pysqlite://", creator=connect, poolclass=NullPool, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, so that the mapper can read while the target writes.

    The file keeps this setting. When two processes switch at once, SQLite fails at once instead of
    waiting as long as its busy timeout, hence the loop.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while not _is_switched(connection, last_try=time.monotonic() > deadline):
        time.sleep(0.02)


def _is_switched(connection: sqlite3.Connection, *, last_try: bool) -> bool:
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if last_try or "locked" not in str(error):
            raise
        return False
    return True


def _postgresql_engine(url: URL, *, read_only: bool) -> Engine:
    # Keepalives, since firewalls cut connections that are idle during a wait for quota; libpq's
    # default is 2 hours. A setting in the URL takes precedence.
    probes = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    arguments = {name: value for name, value in probes.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            connect_args={"connect_timeout": 30, **arguments}
            if "connect_timeout" not in url.query
            else arguments,
            poolclass=NullPool,
            hide_parameters=True,
        )
    except ModuleNotFoundError:
        raise LedgerUnusable(
            "The setting ledger_url names PostgreSQL, whose driver is not installed: "
            f"{how_to_install('postgres')}."
        ) from None

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # A pooler may give each transaction another session, and this session to others: nothing
        # may be left in it. So each transaction says that it only reads, and statements are
        # prepared only where `prepare_statements` finds the session to be the connection's own.
        connection.prepare_threshold = None
        connection.read_only = read_only or None

    return engine


# --- statements for thousands of rows

#: Name of a column that a statement has in place of a list of values.
KEYS = "KEYS"

#: Values per statement: SQLite before 3.32 takes 999 variables at most.
CHUNK = 500

Key = TypeVar("Key", str, bytes)


def chunks(values: Iterable[Key]) -> Iterator[list[Key]]:
    """Cut into lists of at most ``CHUNK``, so that a statement's variables stay few."""
    remaining = iter(values)
    while some := list(islice(remaining, CHUNK)):
        yield some


class ManyRows:
    """A statement whose parameters are tuples, in the order of ``columns``."""

    def __init__(self, columns: Sequence[str], of_dialect: Callable[[str], Any]) -> None:
        """``of_dialect`` makes the statement for ``sqlite`` or ``postgresql``."""
        self._columns = list(columns)
        self._of_dialect = of_dialect
        self._texts: dict[str, str] = {}

    def execute(self, database: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run the statement for every row, in their order; does nothing without rows."""
        if rows:
            database.exec_driver_sql(self._text(database.dialect), list(rows))

    def execute_at_once(self, database: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """As `execute`, for a statement that inserts links.

        PostgreSQL takes an array for each column, which costs a fraction of a statement a row. It
        writes no link twice in a statement, so a key that comes again goes into a later one.
        """
        if database.dialect.name == "sqlite":
            self.execute(database, rows)
            return
        text = self._text(database.dialect)
        for some in _without_repeats(rows):
            database.exec_driver_sql(text, tuple(map(array_of, zip(*some, strict=True))))

    def find(
        self, database: Connection, values: tuple[Any, ...], keys: Sequence[Key]
    ) -> Sequence[Any]:
        """Run a query with ``values``, and with ``keys`` in place of `KEYS`; give its rows."""
        rows: Sequence[Any] = self._with_keys(database, values, keys).cursor.fetchall()
        return rows

    def change(self, database: Connection, values: tuple[Any, ...], keys: Sequence[Key]) -> int:
        """Run a change with ``values``, and with ``keys`` in place of `KEYS`; count its rows."""
        changed: int = self._with_keys(database, values, keys).rowcount
        return changed

    def _with_keys(self, database: Connection, values: tuple[Any, ...], keys: Sequence[Key]) -> Any:
        text = self._text(database.dialect)
        if database.dialect.name == "sqlite":
            text = text.replace(KEYS, ", ".join("?" * len(keys)))
            return database.exec_driver_sql(text, (*values, *keys))
        # One text for any number of keys, which the server need not read anew.
        whole = text.replace(f"IN ({KEYS})", "= ANY (%s)")
        return database.exec_driver_sql(
            whole, values if whole is text else (*values, array_of(keys))
        )

    def _text(self, dialect: Dialect) -> str:
        if dialect.name not in self._texts:
            style = "qmark" if dialect.name == "sqlite" else "format"
            spelling: Any = type(dialect)
            compiled = self._of_dialect(dialect.name).compile(
                dialect=spelling(paramstyle=style), column_keys=self._columns
            )
            if list(compiled.positiontup) != self._columns:
                raise AssertionError(f"the statement takes {compiled.positiontup}")
            self._texts[dialect.name] = str(compiled)
        return self._texts[dialect.name]


def array_of(values: Sequence[Any]) -> str:
    """PostgreSQL's text of an array of bytes, numbers or texts, which the driver makes slowly.

    Its manual, 8.15.6: an element in quotes has a backslash before each quote and backslash.
    """
    one = next((value for value in values if value is not None), None)
    if isinstance(one, bytes):
        parts = ["NULL" if v is None else f'"\\\\x{v.hex()}"' for v in values]
    elif isinstance(one, str):
        parts = ["NULL" if v is None else f'"{v.translate(_ESCAPES)}"' for v in values]
    else:
        parts = ["NULL" if v is None else str(v) for v in values]
    return "{" + ",".join(parts) + "}"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _without_repeats(rows: Sequence[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """Rows in as many lists as a key has rows; the key is a row's first two values."""
    if len({row[:2] for row in rows}) == len(rows):
        return [list(rows)] if rows else []
    lists: list[list[tuple[Any, ...]]] = []
    seen: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        number = seen[row[:2]]
        seen[row[:2]] += 1
        if number == len(lists):
            lists.append([])
        lists[number].append(row)
    return lists


def insert_into(table: Table, dialect: str) -> Any:
    """An INSERT that may have an ON CONFLICT, for ``sqlite`` or ``postgresql``."""
    # Only the dialect that is used: PostgreSQL's takes long to load.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
