"""The ledger's links of rows deleted at their source, and of the records moved for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace as with_values

from target_apollo.ledger import (
    WITHOUT_ROW,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
    match_hash,
)
from target_apollo.model.match_keys import keys
from target_apollo.model.rows import Row
from target_apollo.sync.deletions.marks import HELD, DeletionMark
from target_apollo.sync.dry_run.ledger import RunLedger


class DeletedLinks:
    """What the ledger notes when rows of a stream are gone; a part of the stream's `StreamLinks`.

    Args:
        place: Of the stream; all its links have the run's source.
    """

    def __init__(self, ledger: RunLedger, place: Place, run_id: str) -> None:
        self._ledger = ledger
        self._place = place
        self._run_id = run_id

    def held_rows(self, rows: Sequence[Row], links: Sequence[Link | None]) -> set[int]:
        """Numbers of deleted rows of a batch whose record also belongs to other rows.

        Args:
            links: In the order of the rows, None for a row without a link.

        Raises:
            LedgerError: The ledger can't be read.
        """
        deleted = deleted_links(rows, links)
        if not deleted:
            return set()
        return left_to_others(rows, deleted, self.held_by_others(list(deleted.values())))

    def held_by_others(self, deleted: Sequence[Link]) -> set[str]:
        """Source keys of those links whose record also belongs to other rows, of any stream.

        Raises:
            LedgerError: The ledger can't be read.
        """
        held = self.held_records(deleted)
        return {link.source_key for link in deleted if link.apollo_id in held}

    def held_records(self, deleted: Sequence[Link]) -> set[str]:
        """Apollo ids of those links whose record also belongs to other rows, of any stream.

        Raises:
            LedgerError: The ledger can't be read.
        """
        leaving = Counter(
            (link.apollo_id, link.source_key) for link in deleted if not link.is_deleted
        )
        there: Counter[tuple[str | None, str]] = Counter()
        ids = {link.apollo_id for link in deleted if link.apollo_id}
        for apollo_id, links in self._ledger.links_by_apollo_id(self._place, ids).items():
            there.update((apollo_id, link.source_key) for link in links if not link.is_deleted)
        return {apollo_id for apollo_id, _ in there - leaving if apollo_id}

    def moves_of(self, apollo_ids: Collection[str]) -> dict[str, DeletionMark]:
        """Apollo id -> where the record was moved, for records that were moved for deleted rows.

        Raises:
            LedgerError: The ledger can't be read.
        """
        found: dict[str, DeletionMark] = {}
        for apollo_id, links in self._ledger.links_by_apollo_id(self._place, apollo_ids).items():
            marks = [mark for link in links if (mark := DeletionMark.of(link.payload_hash))]
            moves = [move for mark in marks for move in mark.moves]
            if moves:
                is_open = any(mark.is_open for mark in marks)
                kept = [mark.kept_under for mark in marks if mark.moves]
                kept_under = kept[0] if all(kept) else ""
                found[apollo_id] = DeletionMark(tuple(dict.fromkeys(moves)), is_open, kept_under)
        return found

    def forget_moves(self, apollo_ids: Collection[str]) -> None:
        """Notes on disk that moved records were given back.

        Raises:
            LedgerError: The ledger can't be written.
        """
        if apollo_ids:
            self._ledger.forget_moves(self._place, apollo_ids)

    def without_row(self, left: Sequence[Link]) -> list[Link]:
        """The links whose record has no row any more, one a record, under keys of their own.

        Args:
            left: Links as they were before their keys went to other records.

        Raises:
            LedgerError: The ledger can't be read.
        """
        by_id = {link.apollo_id: link for link in left if link.apollo_id}
        linked = self._ledger.links_by_apollo_id(self._place, by_id) if by_id else {}
        return [
            with_values(link, source_key=f"{WITHOUT_ROW}{apollo_id}")
            for apollo_id, link in by_id.items()
            if not linked.get(apollo_id)
        ]

    def intend_moves(self, moves: Sequence[tuple[Link, str]]) -> None:
        """Notes on disk that the records of missing rows are about to be moved.

        Args:
            moves: Links, each with the text of an open mark.

        Raises:
            LedgerError: The ledger can't be written.
        """
        intents = [Intent(link.source_key, link.apollo_id) for link, _ in moves]
        if intents:
            self._ledger.record_intents(self._place, self._run_id, intents)
            self._record_deleted(LinkStatus.UNCHANGED, moves)

    def record_moves(self, moves: Sequence[tuple[Link, str]]) -> None:
        """Notes on disk that records of missing rows were moved.

        Args:
            moves: Links, each with its new payload hash, the text of its `DeletionMark`.

        Raises:
            LedgerError: The ledger can't be written.
        """
        self._record_deleted(LinkStatus.UPDATED, moves)

    def record_gone(self, links: Sequence[Link]) -> None:
        """Notes on disk that rows are gone while other rows may have their records.

        Raises:
            LedgerError: The ledger can't be written.
        """
        self._record_deleted(LinkStatus.UNCHANGED, [(link, HELD.text) for link in links])

    def _record_deleted(self, status: LinkStatus, marks: Sequence[tuple[Link, str]]) -> None:
        outcomes = [
            LinkOutcome(
                link.source_key,
                status,
                link.apollo_id,
                payload_hash=mark,
                # The record still has the address, which tells whether its row comes back, and
                # its key may not be given to somebody else.
                match_hash=link.match_hash,
                row_hash=link.row_hash,
            )
            for link, mark in marks
        ]
        if outcomes:
            self._ledger.record_outcomes(self._place, self._run_id, outcomes)


def deleted_links(rows: Sequence[Row], links: Sequence[Link | None]) -> dict[int, Link]:
    """Row number -> link to the record, for deleted rows."""
    return {
        row.number: link
        for row, link in zip(rows, links, strict=True)
        if row.deleted and link is not None and link.apollo_id
    }


def left_to_others(rows: Iterable[Row], deleted: Mapping[int, Link], held: set[str]) -> set[int]:
    """Numbers of deleted rows whose record also belongs to a row that is not deleted.

    Args:
        rows: The rows of the batch.
        deleted: The result of `deleted_links`.
        held: Source keys of deleted rows whose record other rows have, by the ledger.
    """
    coming = {match_hash(key) for row in rows if not row.deleted for key in keys(row)}
    return {
        number
        for number, link in deleted.items()
        if link.source_key in held or link.match_hash in coming
    }
