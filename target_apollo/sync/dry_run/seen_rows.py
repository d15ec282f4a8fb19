"""The rows of a whole dry run by match key, in a temporary database without a name."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator

from target_apollo.model.objects.registry import ObjectKind

#: The most source keys that are listed for rows with the same e-mail or domain.
_MOST_KEYS = 100


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
