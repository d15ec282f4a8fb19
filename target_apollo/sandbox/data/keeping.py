"""What all parts of a store share: the lock, the source of ids, and the changes for its file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from target_apollo.sandbox.data.formats import id_source, timestamp
from target_apollo.sandbox.data.journal import Journal
from target_apollo.sandbox.data.origins import Origin, Origins


class Keeping:
    """Collects changes and writes them to the SQLite file; without a file it drops them.

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
        self._journal = None if path is None else Journal(path)
        self._changes: dict[tuple[str, str], Any] = {}

    def rows(self, table: str) -> Iterable[tuple[str, Any]]:
        """``(id, value)`` of every row of a table of the file; none without a file."""
        if self._journal is None:
            return
        for record_id, value in self._journal.rows(table):
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
        if self._journal is not None:
            self._changes[table, record_id] = value

    def commit(self) -> None:
        """Write the changes since the last commit to the file, if there is one."""
        if self._journal is None or not self._changes:
            return
        changes, self._changes = self._changes, {}
        self._journal.write(
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
            if self._journal is not None:
                self._journal.close()
                self._journal = None
