"""Records of a rehearsed Apollo, in a temporary database so that a million of them take no memory.

They are customers' data: SQLite keeps the file without a name, for this process only, and it is
gone when the database is closed, however the process ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from target_apollo.model.objects import Json, ObjectKind


class Records:
    """Contacts and accounts by Apollo id and by what they are recognised by. Not thread-safe."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        execute = self._database.execute
        execute("PRAGMA journal_mode = OFF")
        execute("PRAGMA synchronous = OFF")
        execute("CREATE TABLE records (kind, id, body, PRIMARY KEY (kind, id)) WITHOUT ROWID")
        execute("CREATE TABLE identities (kind, identity, id)")
        execute("CREATE INDEX by_identity ON identities (kind, identity)")
        execute("CREATE INDEX by_id ON identities (kind, id)")
        self._encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode

    def put(self, kind: ObjectKind, record: Json, identities: Iterable[str]) -> None:
        """Takes a record in, in place of the one with its id."""
        apollo_id = record["id"]
        self._database.execute("BEGIN")
        self._database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            (kind.value, apollo_id, self._encode(record)),
        )
        self._database.execute(
            "DELETE FROM identities WHERE kind = ? AND id = ?", (kind.value, apollo_id)
        )
        self._database.executemany(
            "INSERT INTO identities VALUES (?, ?, ?)",
            [(kind.value, identity, apollo_id) for identity in identities],
        )
        self._database.execute("COMMIT")

    def get(self, kind: ObjectKind, apollo_id: str) -> Json | None:
        """The record with an Apollo id."""
        found = self._database.execute(
            "SELECT body FROM records WHERE kind = ? AND id = ?", (kind.value, apollo_id)
        ).fetchone()
        return None if found is None else msgspec.json.decode(found[0], type=dict)

    def first(self, kind: ObjectKind, identities: Iterable[str]) -> Json | None:
        """The record that the first of these identities finds; of several the oldest."""
        for identity in identities:
            ids = self.ids_of(kind, identity)
            if ids:
                return self.get(kind, ids[0])
        return None

    def ids_of(self, kind: ObjectKind, identity: str) -> list[str]:
        """Apollo ids of the records that an identity finds, the oldest first."""
        rows = self._database.execute(
            "SELECT id FROM identities WHERE kind = ? AND identity = ? ORDER BY rowid",
            (kind.value, identity),
        )
        return [str(found) for (found,) in rows]

    def close(self) -> None:
        """Gives the database up."""
        self._database.close()
