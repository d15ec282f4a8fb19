"""What a dry run knows: Apollo's records by their keys, and its own rows by theirs.

Both are in a temporary database, so that a million of them need little memory. Since they are
customers' data, SQLite keeps the file without a name, for this process only. The file is gone when
the database is closed or the process ends, in whatever way.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import Json, ObjectKind, ObjectType
from target_apollo.model.texts.characters import bare
from target_apollo.model.texts.domains import FREE_MAIL

#: The most source keys that are listed for rows with the same e-mail or domain.
_MOST_KEYS = 100


class KnownRecords:
    """Contacts and accounts by Apollo id and by dedupe key. Not thread-safe."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        execute = self._database.execute
        execute("PRAGMA journal_mode = OFF")
        execute("PRAGMA synchronous = OFF")
        execute("CREATE TABLE records (kind, id, body, PRIMARY KEY (kind, id)) WITHOUT ROWID")
        execute("CREATE TABLE dedupe_keys (kind, dedupe_key, id)")
        execute("CREATE INDEX by_dedupe_key ON dedupe_keys (kind, dedupe_key)")
        execute("CREATE INDEX by_id ON dedupe_keys (kind, id)")
        self._encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode

    def put(self, kind: ObjectKind, record: Json, keys: Iterable[str]) -> None:
        """Adds a record, or replaces the record with the same id.

        Args:
            keys: Its dedupe keys.
        """
        apollo_id = record["id"]
        self._database.execute("BEGIN")
        self._database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            (kind.value, apollo_id, self._encode(record)),
        )
        self._database.execute(
            "DELETE FROM dedupe_keys WHERE kind = ? AND id = ?", (kind.value, apollo_id)
        )
        self._database.executemany(
            "INSERT INTO dedupe_keys VALUES (?, ?, ?)",
            [(kind.value, key, apollo_id) for key in keys],
        )
        self._database.execute("COMMIT")

    def get(self, kind: ObjectKind, apollo_id: str) -> Json | None:
        """The record with an Apollo id, or None."""
        row = self._database.execute(
            "SELECT body FROM records WHERE kind = ? AND id = ?", (kind.value, apollo_id)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=dict)

    def first(self, kind: ObjectKind, keys: Iterable[str]) -> Json | None:
        """The oldest record with the first of these dedupe keys that any record has, or None."""
        for key in keys:
            ids = self.ids_of(kind, key)
            if ids:
                return self.get(kind, ids[0])
        return None

    def ids_of(self, kind: ObjectKind, dedupe_key: str) -> list[str]:
        """Apollo ids of the records that have a dedupe key, the oldest first."""
        rows = self._database.execute(
            "SELECT id FROM dedupe_keys WHERE kind = ? AND dedupe_key = ? ORDER BY rowid",
            (kind.value, dedupe_key),
        )
        return [str(apollo_id) for (apollo_id,) in rows]

    def all(self, kind: ObjectKind) -> Iterator[Json]:
        """Yields all records of an object, by their ids."""
        bodies = self._database.execute(
            "SELECT body FROM records WHERE kind = ? ORDER BY id", (kind.value,)
        )
        for (body,) in bodies:
            yield msgspec.json.decode(body, type=dict)

    def close(self) -> None:
        """Deletes the database."""
        self._database.close()


def dedupe_keys(object_type: ObjectType, record: Json) -> list[str]:
    """The keys by which Apollo recognises an existing record as the same, the strongest first.

    Contacts: CRM ids, any e-mail, first and last name at the same company, which is the same e-mail
    domain (except for free mail) or company name. Accounts: CRM ids, domain, name. Source: the
    reference of ``run_dedupe`` in Apollo's bulk_create endpoints.

    Args:
        record: The record as in Apollo's answers.
    """
    keys_found = [
        f"crm {value}"
        for name in object_type.crm_ids
        if (value := record.get(object_type.fields[name].read or ""))
    ]
    held = addresses(object_type, record)
    keys_found += [f"{object_type.match_field} {address}" for address in held]
    if "name" in object_type.fields:
        name = _folded(record.get("name"))
        return [*keys_found, f"name {name}"] if name else keys_found
    return keys_found + _namesakes(record, held)


def _namesakes(record: Json, addresses: list[str]) -> list[str]:
    first, last = _folded(record.get("first_name")), _folded(record.get("last_name"))
    if not first or not last:
        return []
    domains = [address.rpartition("@")[2] for address in addresses[:1]]
    keys = [f"name {first} {last} at {domain}" for domain in domains if domain not in FREE_MAIL]
    organization = record.get("organization_id")
    if organization:
        keys.append(f"name {first} {last} in {organization}")
    company = _folded(record.get("organization_name"))
    if company:
        keys.append(f"name {first} {last} of {company}")
    return keys


def _folded(value: object) -> str:
    return bare(str(value or "")).lower()


class SeenRows:
    """The source keys of the rows with each match key. For one thread."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE seen (kind, stream, match_key, source_key, "
            "PRIMARY KEY (kind, stream, match_key, source_key)) WITHOUT ROWID"
        )

    def note(self, stream: str, kind: ObjectKind, rows: Iterable[tuple[str, str]]) -> None:
        """Adds rows, each as a pair: its match key, and its source key as text."""
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)",
            ((kind.value, stream, match_key, key) for match_key, key in rows),
        )
        self._database.execute("COMMIT")

    def shared(self) -> Iterator[tuple[str, ObjectKind, str, list[str]]]:
        """Yields stream, object, match key and source keys for each key that several rows share.

        At most 100 source keys for each.
        """
        rows = self._database.execute(
            "SELECT kind, stream, match_key, source_key FROM seen ORDER BY 1, 2, 3, 4"
        )
        for (kind, stream, match_key), group in itertools.groupby(rows, key=lambda row: row[:3]):
            keys = [str(key) for *_, key in itertools.islice(group, _MOST_KEYS)]
            if len(keys) > 1:
                yield str(stream), ObjectKind(kind), str(match_key), keys

    def close(self) -> None:
        """Deletes the database."""
        self._database.close()
