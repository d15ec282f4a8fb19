"""The ledger of a dry run: the run's ledger, only read, under one of its own that is thrown away.

What a run would note goes into a ledger in a temporary folder, so that later rows of the dry run
find it. The run's own ledger is opened to be read, and not locked: a dry run beside a run disturbs
neither.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from target_apollo.ledger import Intent, Ledger, Link, LinkOutcome, Place, StreamLock
from target_apollo.ledger.runs import Run
from target_apollo.model.objects import ObjectKind
from target_apollo.sync.dry_run.simulated_apollo import SimulatedApollo


class LedgerOverlay:
    """Reads through to a run's ledger and writes beside it. For the thread that made it.

    Its methods are those of `Ledger` that a run calls.
    """

    def __init__(self, ledger_url: str, apollo: SimulatedApollo) -> None:
        """Opens the ledger of the setting `ledger_url` to be read; it need not exist.

        One of an older version is brought up to date, as every reader does.

        Args:
            apollo: Is told which records the ledger has links to, and takes them for existing.

        Raises:
            LedgerError: It can't be opened.
        """
        self._below = Ledger.open_existing(ledger_url)
        # Readable by its owner only, as all that tempfile makes.
        self._folder = tempfile.TemporaryDirectory(prefix="target-apollo-")
        self._own = Ledger.open(f"sqlite:///{self._folder.name}/ledger.db")
        self._apollo = apollo
        #: Source keys of the rows that were asked for last.
        self._asked: frozenset[str] = frozenset()
        #: Connection, object and Apollo id of links that were dropped.
        self._dropped: set[tuple[str, str, str | None]] = set()

    # --- what is read from both

    def links(self, place: Place, keys: Collection[str]) -> dict[str, Link]:
        """As in `Ledger`; what the dry run noted goes before what a run noted."""
        self._asked = frozenset(keys)
        found = self._own.links(place, keys)
        if self._below is not None:
            missing = [key for key in keys if key not in found]
            below = self._below.links(place, missing)
            found |= {
                key: link
                for key, link in below.items()
                if not self._is_dropped(place, link.apollo_id)
            }
        self._trust(place, (link.apollo_id for link in found.values()))
        return found

    def links_of_stream(self, place: Place) -> Iterator[Link]:
        """As in `Ledger`."""
        own = set()
        for link in self._own.links_of_stream(place):
            own.add(link.source_key)
            yield link
        if self._below is not None:
            for link in self._below.links_of_stream(place):
                is_dropped = self._is_dropped(place, link.apollo_id)
                if link.source_key not in own and not is_dropped:
                    yield link

    def links_by_apollo_id(
        self, place: Place, apollo_ids: Collection[str]
    ) -> dict[str, list[Link]]:
        """As in `Ledger`."""
        found = self._own.links_by_apollo_id(place, apollo_ids)
        if self._below is None:
            return found
        below = self._below.links_by_apollo_id(place, apollo_ids)
        for apollo_id, links in below.items():
            if self._is_dropped(place, apollo_id):
                continue
            own = found.get(apollo_id, [])
            keys = {link.source_key for link in own}
            found[apollo_id] = [*own, *(link for link in links if link.source_key not in keys)]
        return found

    def runs(self, limit: int) -> list[Run]:
        """The latest runs; the dry run is none."""
        return [] if self._below is None else self._below.runs(limit)

    # --- what is written beside the run's ledger

    def lock(self, connection: str, stream: str, run_id: str) -> StreamLock:
        """As in `Ledger`, beside it."""
        return self._own.lock(connection, stream, run_id)

    def record_intents(self, place: Place, run_id: str, intents: Sequence[Intent]) -> None:
        """As in `Ledger`, beside it."""
        self._own.record_intents(place, run_id, intents)
        # Not of rows that were just asked for: these are records that only the ledger knows.
        moved = [one.apollo_id for one in intents if one.source_key not in self._asked]
        if any(moved):
            self._trust(place, moved)

    def record_outcomes(
        self,
        place: Place,
        run_id: str,
        outcomes: Sequence[LinkOutcome],
    ) -> None:
        """As in `Ledger`, beside it."""
        self._own.record_outcomes(place, run_id, outcomes)

    def drop_links(self, place: Place, apollo_ids: Collection[str]) -> int:
        """As in `Ledger`, for the rest of the dry run."""
        self._dropped |= {(place.connection, place.object, apollo_id) for apollo_id in apollo_ids}
        return self._own.drop_links(place, apollo_ids)

    def begin_run(
        self,
        run_id: str,
        connection: str,
        streams: Sequence[str],
        mode: str,
        started_at: datetime,
    ) -> None:
        """As in `Ledger`, beside it."""
        self._own.begin_run(run_id, connection, streams, mode, started_at)

    def finish_run(
        self, run_id: str, counts: Mapping[str, int], exit_code: int, reason: str | None = None
    ) -> None:
        """As in `Ledger`, beside it."""
        self._own.finish_run(run_id, counts, exit_code, reason)

    def close(self) -> None:
        """Closes both, and deletes what the dry run wrote."""
        self._own.close()
        if self._below is not None:
            self._below.close()
        self._folder.cleanup()

    def _is_dropped(self, place: Place, apollo_id: str | None) -> bool:
        return (place.connection, place.object, apollo_id) in self._dropped

    def _trust(self, place: Place, apollo_ids: Iterable[str | None]) -> None:
        known = frozenset(apollo_id for apollo_id in apollo_ids if apollo_id)
        self._apollo.trust(ObjectKind(f"{place.object}s"), known)


#: The ledger of a run, or of a dry run.
RunLedger = Ledger | LedgerOverlay
