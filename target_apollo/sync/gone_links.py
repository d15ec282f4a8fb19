"""Links of what is gone: rows that left their table, and records that left Apollo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from target_apollo.ledger import Intent, Ledger, Link, LinkOutcome, LinkStatus


class GoneLinks:
    """What the ledger says and is told of rows and records that are gone.

    Whoever moves their records holds the stream's lock.

    Args:
        place: The Apollo team's id, ``contact`` or ``account``, and the stream.
    """

    def __init__(self, ledger: Ledger, place: tuple[str, str, str], run_id: str) -> None:
        self._ledger = ledger
        self._place = place
        self._run_id = run_id

    def all(self) -> Iterator[Link]:
        """All links of the stream; nothing may be written until the last was taken.

        Raises:
            LedgerError: The ledger can't be read.
        """
        return self._ledger.links_of_stream(*self._place)

    def held_by_others(self, deleted: Sequence[Link]) -> set[str]:
        """Source keys of links to records that rows beside these have, in whatever stream.

        Raises:
            LedgerError: The ledger can't be read.
        """
        leaving = Counter((link.apollo_id, link.source_key) for link in deleted)
        there: Counter[tuple[str | None, str]] = Counter()
        ids = {link.apollo_id for link in deleted if link.apollo_id}
        for apollo_id, links in self._ledger.links_by_apollo_id(*self._place[:2], ids).items():
            there.update((apollo_id, link.source_key) for link in links if not link.is_deleted)
        held = {apollo_id for apollo_id, _ in there - leaving}
        return {link.source_key for link in deleted if link.apollo_id in held}

    def intend_moves(self, links: Sequence[Link]) -> None:
        """Notes on disk that the records of vanished rows are about to be moved.

        Raises:
            LedgerError: The ledger can't be written.
        """
        intents = [Intent(link.source_key, link.apollo_id) for link in links]
        self._ledger.record_intents(*self._place, self._run_id, intents)

    def note_moves(self, links: Sequence[Link], mark: str) -> None:
        """Puts on disk that records of vanished rows were moved.

        Args:
            mark: Stands for their payload, so that they are moved once only.

        Raises:
            LedgerError: The ledger can't be written.
        """
        outcomes = [
            LinkOutcome(link.source_key, LinkStatus.UPDATED, link.apollo_id, payload_hash=mark)
            for link in links
        ]
        self._ledger.record_outcomes(*self._place, self._run_id, outcomes)

    def drop(self, apollo_id: str) -> None:
        """Forgets the links to a record that Apollo no longer has.

        Raises:
            LedgerError: The ledger can't be written.
        """
        self._ledger.drop_links(*self._place[:2], [apollo_id])
