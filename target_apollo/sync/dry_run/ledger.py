"""The ledger of a rehearsal: reads the run's ledger, and writes beside it.

What a run would note goes into a ledger in a temporary folder, so that later rows of the rehearsal
are recalled as they would be. The run's own ledger is opened to be read, and not locked: a
rehearsal beside a run disturbs neither.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import cast

from target_apollo.ledger import Intent, Ledger, Link, StreamLock
from target_apollo.ledger.queries import Run

#: Told which records of an object the ledger has links to; object is ``contact`` or ``account``.
OnLinks = Callable[[str, frozenset[str]], None]


class RehearsedLedger(Ledger):
    """A ledger of its own over one that is only read. For the thread that opened it."""

    _behind: Ledger | None
    _folder: tempfile.TemporaryDirectory[str]
    _on_links: OnLinks
    _asked: frozenset[str]
    _dropped: set[tuple[str, str, str | None]]

    @classmethod
    def over(cls, ledger_url: str, on_links: OnLinks) -> RehearsedLedger:
        """Opens the ledger of the setting `ledger_url` to be read; it need not exist.

        One of an older version is brought up to date, as every reader does.

        Raises:
            LedgerError: It can't be opened.
        """
        behind = Ledger.open_existing(ledger_url)
        # Readable by its owner only, as all that tempfile makes.
        folder = tempfile.TemporaryDirectory(prefix="target-apollo-")
        ledger = cast("RehearsedLedger", cls.open(f"sqlite:///{folder.name}/ledger.db"))
        ledger._behind = behind
        ledger._folder = folder
        ledger._on_links = on_links
        ledger._dropped = set()
        ledger._asked = frozenset()
        return ledger

    def links(
        self,
        connection: str,
        object: str,  # noqa: A002 - the column's name
        stream: str,
        keys: Collection[str],
    ) -> dict[str, Link]:
        """As in `Ledger`; what the rehearsal noted goes before what a run noted."""
        self._asked = frozenset(keys)
        found = super().links(connection, object, stream, keys)
        if self._behind is not None:
            missing = [key for key in keys if key not in found]
            known = self._behind.links(connection, object, stream, missing)
            found |= {
                key: link
                for key, link in known.items()
                if (connection, object, link.apollo_id) not in self._dropped
            }
        ids = (link.apollo_id for link in found.values())
        self._on_links(object, frozenset(apollo_id for apollo_id in ids if apollo_id))
        return found

    def links_of_stream(
        self,
        connection: str,
        object: str,  # noqa: A002
        stream: str,
    ) -> Iterator[Link]:
        """As in `Ledger`."""
        own = set()
        for link in super().links_of_stream(connection, object, stream):
            own.add(link.source_key)
            yield link
        if self._behind is not None:
            for link in self._behind.links_of_stream(connection, object, stream):
                dropped = (connection, object, link.apollo_id) in self._dropped
                if link.source_key not in own and not dropped:
                    yield link

    def record_intents(
        self,
        connection: str,
        object: str,  # noqa: A002
        stream: str,
        run_id: str,
        intents: Sequence[Intent],
    ) -> None:
        """As in `Ledger`, beside it."""
        super().record_intents(connection, object, stream, run_id, intents)
        # Not of rows that were just asked for: these are records that only the ledger knows.
        moved = [one.apollo_id for one in intents if one.source_key not in self._asked]
        if any(moved):
            self._on_links(object, frozenset(apollo_id for apollo_id in moved if apollo_id))

    def lock(self, connection: str, stream: str, run_id: str) -> StreamLock:
        """As in `Ledger`; what a killed run left is taken over in the rehearsal's own only."""
        lock = super().lock(connection, stream, run_id)
        if self._behind is not None:
            for kind, left_by, intents in self._behind.creations_left(connection, stream):
                super().record_intents(connection, kind, stream, left_by, intents)
        return lock

    def links_by_apollo_id(
        self,
        connection: str,
        object: str,  # noqa: A002
        apollo_ids: Collection[str],
    ) -> dict[str, list[Link]]:
        """As in `Ledger`."""
        own = super().links_by_apollo_id(connection, object, apollo_ids)
        if self._behind is None:
            return own
        known = self._behind.links_by_apollo_id(connection, object, apollo_ids)
        for apollo_id, links in known.items():
            if (connection, object, apollo_id) in self._dropped:
                continue
            keys = {link.source_key for link in own.get(apollo_id, ())}
            more = [link for link in links if link.source_key not in keys]
            own[apollo_id] = [*own.get(apollo_id, ()), *more]
        return own

    def drop_links(
        self,
        connection: str,
        object: str,  # noqa: A002
        apollo_ids: Collection[str],
    ) -> int:
        """As in `Ledger`, for the rest of the rehearsal."""
        self._dropped |= {(connection, object, apollo_id) for apollo_id in apollo_ids}
        return super().drop_links(connection, object, apollo_ids)

    def runs(self, limit: int) -> list[Run]:
        """The latest runs; the rehearsal is none."""
        return [] if self._behind is None else self._behind.runs(limit)

    def close(self) -> None:
        """Closes both, and forgets what the rehearsal wrote."""
        super().close()
        if self._behind is not None:
            self._behind.close()
        self._folder.cleanup()
