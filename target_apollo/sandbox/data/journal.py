"""The journal of a store: one lock, the source of ids, and the SQLite file of its records.

The store writes before the answer is sent, in one transaction a request. However the sandbox ends,
the file has what was confirmed.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from target_apollo.sandbox.data.formats import id_source, timestamp
from target_apollo.sandbox.data.origins import Origin, Origins

_TABLES = (
    "facts", "contacts", "accounts", "labels", "fields", "users", "tokens", "deals",
    "email_accounts", "sequences", "tasks",
)  # fmt: skip


class Journal:
    """Collects the changes of a request and writes them to the file; without a file it drops them.

    All parts of a store share it.

    Attributes:
        lock: Guards the whole store.
        new_id: Makes the id of a new record.
        origins: Which request or person each record comes from.
    """

    def __init__(self, path: str | None) -> None:
        self.lock = threading.RLock()
        self.new_id = id_source()
        self.origins = Origins()
        self._restored: set[str] = set()
        self._file = None if path is None else _File(path)
        self._changes: dict[tuple[str, str], Any] = {}

    def rows(self, table: str) -> Iterable[tuple[str, Any]]:
        """``(id, value)`` of every row of a table of the file; none without a file."""
        if self._file is None:
            return
        for record_id, value in self._file.rows(table):
            self._restored.add(record_id)
            yield record_id, value

    def keep(self, table: str, record_id: str, value: Any) -> None:
        """Mark a row of the file for the next commit.

        Args:
            table: Name of the table.
            record_id: Id of the row.
            value: A dict, or an object whose ``row()`` is one; None deletes the row.
        """
        self.origins.note(
            table, record_id, is_gone=value is None, is_known=record_id in self._restored
        )
        if self._file is not None:
            self._changes[table, record_id] = value

    def commit(self) -> None:
        """Write the changes since the last commit to the file, if there is one."""
        if self._file is None or not self._changes:
            return
        changes, self._changes = self._changes, {}
        self._file.write(
            (table, record_id, value if value is None or isinstance(value, dict) else value.row())
            for (table, record_id), value in changes.items()
        )

    @contextmanager
    def acting(self, origin: Origin) -> Iterator[None]:
        """Hold the lock, and note everything that is written meanwhile as from this origin."""
        with self.lock:
            former, self.origins.acting = self.origins.acting, origin
            try:
                yield
            finally:
                self.origins.acting = former

    @contextmanager
    def writing(self) -> Iterator[str]:
        """Hold the lock for changes from outside the API, and commit them; gives the time now."""
        with self.lock:
            yield timestamp(time.time())
            self.commit()

    def close(self) -> None:
        """Commit and close the file."""
        with self.lock:
            self.commit()
            if self._file is not None:
                self._file.close()
                self._file = None


class _File:
    """Rows of named tables: id -> JSON. Not thread-safe: the journal calls it under its lock."""

    def __init__(self, path: str) -> None:
        file = Path(path).expanduser()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        self._connection = sqlite3.connect(
            file, check_same_thread=False, isolation_level=None, timeout=30
        )
        execute = self._connection.execute
        # WAL with NORMAL survives the end of the process at any point, which is what matters here.
        execute("pragma journal_mode = wal")
        execute("pragma synchronous = normal")
        for table in _TABLES:
            execute(f"create table if not exists {table} (id text primary key, body blob not null)")

    def rows(self, table: str) -> Iterator[tuple[str, Any]]:
        """``(id, decoded value)`` of every row of a table, in the order of their first write."""
        decode = msgspec.json.decode
        for record_id, body in self._connection.execute(
            f"select id, body from {_known(table)} order by rowid"  # noqa: S608  # nosec B608
        ):
            yield record_id, decode(body)

    def write(self, changes: Iterable[tuple[str, str, Any]]) -> None:
        """Write ``(table, id, value)`` in one transaction; a value of None deletes the row."""
        encode = msgspec.json.Encoder().encode
        upserts: dict[str, list[tuple[str, bytes]]] = {}
        deletes: list[tuple[str, str]] = []
        for table, record_id, value in changes:
            if value is None:
                deletes.append((table, record_id))
            else:
                upserts.setdefault(_known(table), []).append((record_id, encode(value)))
        execute = self._connection.execute
        execute("begin")
        try:
            for table, rows in upserts.items():
                self._connection.executemany(
                    f"insert into {table} values (?, ?) "  # noqa: S608  # nosec B608
                    "on conflict (id) do update set body = excluded.body",
                    rows,
                )
            for table, record_id in deletes:
                execute(f"delete from {_known(table)} where id = ?", (record_id,))  # noqa: S608  # nosec B608
        except BaseException:
            execute("rollback")
            raise
        execute("commit")

    def close(self) -> None:
        """Close the database file."""
        self._connection.close()


def _known(table: str) -> str:
    if table not in _TABLES:
        raise ValueError(f"no table {table}")
    return table
