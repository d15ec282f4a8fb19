"""The SQLite file behind a store: every record as JSON, one transaction a request.

The store writes before the answer is sent. However the sandbox ends, it keeps what it confirmed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

_TABLES = (
    "facts", "contacts", "accounts", "labels", "fields", "users", "tokens", "deals",
    "email_accounts", "sequences", "tasks",
)  # fmt: skip


class Journal:
    """Rows of named tables: id -> JSON. Not thread-safe: the store calls it under its lock."""

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

    def clear(self) -> None:
        """Empty every table."""
        for table in _TABLES:
            self._connection.execute(f"delete from {table}")  # noqa: S608  # nosec B608

    def close(self) -> None:
        """Close the database file."""
        self._connection.close()


def _known(table: str) -> str:
    if table not in _TABLES:
        raise ValueError(f"no table {table}")
    return table
