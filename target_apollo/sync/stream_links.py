"""What the ledger says of a stream's rows before a flush, and what it is told of them after.

Before: what it knows of them, from which `recalling` tells what is left to do. The intent is on
disk before a request goes out, so that a killed run is put right by the next. After: the outcomes,
in one transaction a flush.

Links of what is gone: rows that left their table, and records that left Apollo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property

from target_apollo.ledger import (
    HOLDING_VALUES,
    Intent,
    Ledger,
    Link,
    LinkOutcome,
    LinkStatus,
    match_hash,
    source_key,
)
from target_apollo.model.objects import ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Made
from target_apollo.sync.recall import (
    CutOff,
    Memory,
    Sorter,
    all_open,
    deleted_links,
    key_of,
    left_to_others,
    payload_hash_of,
    shared_ids,
)
from target_apollo.sync.rejects_file import Former


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


_STATUS = {
    Outcome.CREATED: LinkStatus.CREATED,
    Outcome.UPDATED: LinkStatus.UPDATED,
    Outcome.UNCHANGED: LinkStatus.UNCHANGED,
    Outcome.EXISTING: LinkStatus.EXISTING,
    # A policy kept everything that differs from being written: until the row changes, that stands.
    Outcome.SKIPPED: LinkStatus.UNCHANGED,
    Outcome.REJECTED: LinkStatus.ERROR,
}

#: Stands for a moment that is not known, and is before all changes of a row.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)

#: Runs among which the one is looked up that left a row unfinished.
_LATEST_RUNS = 500


class StreamLinks:
    """The links of one stream to one Apollo team; for the thread that opened the ledger.

    Args:
        connection: The Apollo team's id.
        full_resync: Take no row for unchanged.
        policies: What they keep from being written is looked at again once they are changed.

    Attributes:
        gone: The links of rows that are gone from the stream, under the same lock.
    """

    def __init__(
        self,
        ledger: Ledger,
        object_type: ObjectType,
        stream: str,
        *,
        connection: str,
        run_id: str,
        mode: Mode,
        full_resync: bool,
        policies: Policies | None = None,
    ) -> None:
        self._ledger = ledger
        self._place = (connection, object_type.singular, stream)
        self._run_id = run_id
        self._policies = policies if policies and policies.protect else None
        self._sorter = Sorter(mode, full_resync, self._policies)
        self._noted: dict[str, LinkOutcome] = {}
        #: By number, source keys and payload hashes of the rows of the flush.
        self._keys: dict[int, str] = {}
        self._hashes: dict[int, str] = {}
        self._formers: Mapping[int, Former] = {}
        #: Numbers of the rows of the flush that the ledger does not know.
        self._new: set[int] = set()
        #: The run that first sent a row which no run has finished yet.
        self._left_by: dict[int, str] = {}
        self._lock = ledger.lock(connection, stream, run_id)
        self.gone = GoneLinks(ledger, self._place, run_id)

    def recall(self, rows: Sequence[Row], formers: Mapping[int, Former]) -> Memory:
        """Looks all rows of a flush up at once.

        Args:
            formers: By number, what an earlier run said of a row that it rejected.

        Raises:
            LedgerError: The ledger can't be read.
        """
        # Spelled once: every row is asked for its key several times on its way.
        self._keys = {row.number: key_of(row) for row in rows}
        links = self._ledger.links(*self._place, list(self._keys.values()))
        self._hashes = {row.number: payload_hash_of(row, self._policies) for row in rows}
        self._formers = formers
        self._left_by = {}
        if not links:
            self._new = set(self._keys)
            return all_open(rows)
        known = [links.get(key) for key in self._keys.values()]
        self._new = {row.number for row, link in zip(rows, known, strict=True) if link is None}
        outcomes = self._sorter.outcomes(rows, known, self._hashes.values())
        found = self._sorter.sort(
            rows,
            known,
            outcomes,
            formers=formers,
            shared=self._shared(self._sorter.ids_to_write(known, outcomes)),
            held=self._held_by_others(rows, deleted_links(rows, known)),
        )
        for row, apollo_id in found.held:
            self.note(row, Outcome.SKIPPED, apollo_id, None, None)
        if not found.cut_off:
            return found.memory
        cut_off = CutOff.by(found.cut_off, self._run_starts)
        self._left_by = cut_off.left_by
        return replace(found.memory, unfinished=cut_off.unfinished, strayed=cut_off.strayed)

    def _shared(self, ids: set[str]) -> set[str]:
        return shared_ids(self._ledger.links_by_apollo_id(*self._place[:2], ids)) if ids else set()

    def _held_by_others(self, rows: Sequence[Row], deleted: Mapping[int, Link]) -> set[int]:
        if not deleted:
            return set()
        return left_to_others(rows, deleted, self.gone.held_by_others(list(deleted.values())))

    @cached_property
    def _run_starts(self) -> dict[str, datetime]:
        return {run.run_id: run.started_at for run in self._ledger.runs(_LATEST_RUNS)}

    def intend(self, rows: Iterable[Row]) -> None:
        """Notes on disk that requests for these rows are about to go out.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken the stream over.
        """
        creations: list[Intent] = []
        by_run: dict[str, dict[str, Intent]] = {}
        for row in rows:
            found_under = match_hash(row.match_key) if row.match_key else None
            key = self._key(row)
            if row.apollo_id is None and row.number in self._new:
                creations.append(Intent(key, None, found_under))
                continue
            # Cut off again, the row is still one that its first run may have created.
            run_id = self._left_by.get(row.number, self._run_id)
            by_run.setdefault(run_id, {})[key] = Intent(
                key, row.apollo_id, None if row.apollo_id else found_under
            )
        if creations:
            self._ledger.record_creations(*self._place, self._run_id, creations)
        for run_id, intents in by_run.items():
            self._ledger.record_intents(*self._place, run_id, list(intents.values()))

    def is_anothers(self, row: Row, apollo_id: str) -> bool:
        """Whether the ledger has a record as one that another source key wrote.

        Raises:
            LedgerError: The ledger can't be read.
        """
        found = self._ledger.links_by_apollo_id(*self._place[:2], [apollo_id])
        return any(
            link.source_key != key_of(row) and link.status is not LinkStatus.EXISTING
            for link in found.get(apollo_id, ())
        )

    def note(
        self,
        row: Row,
        outcome: Outcome,
        apollo_id: str | None,
        why: Rejection | None,
        updated_at: str | None,
    ) -> None:
        """Takes in a row's outcome; `commit` puts it on disk.

        Args:
            updated_at: Apollo's own time of the last write, where its answer told.
        """
        status = _STATUS.get(outcome)
        if status is None or (status is not LinkStatus.ERROR and apollo_id is None):
            return
        holds = status in HOLDING_VALUES
        key = self._key(row)
        self._noted[key] = LinkOutcome(
            key,
            status,
            apollo_id=apollo_id,
            payload_hash=self._hashes.get(row.number) if holds else None,
            error=None if why is None else why.reason.value,
            synced_at=self._read_at(row),
            match_hash=match_hash(row.match_key) if holds and row.match_key else None,
            apollo_updated_at=updated_at,
        )
        if why is not None and why.reason is Reason.GONE and row.apollo_id:
            self.gone.drop(row.apollo_id)

    def note_created(self, made: Iterable[Made]) -> None:
        """Takes in rows that made a record, as `note` does; of a first sync these are all."""
        for row, apollo_id, updated_at in made:
            key = self._key(row)
            self._noted[key] = LinkOutcome(
                key,
                LinkStatus.CREATED,
                apollo_id,
                self._hashes.get(row.number),
                None,
                self._read_at(row),
                match_hash(row.match_key) if row.match_key else None,
                updated_at,
            )

    def note_rejected(self, key: Sequence[object], why: Rejection) -> None:
        """Takes in that a record was rejected as it was read; one without a key is nobody's."""
        if all(value is None for value in key):
            return
        with suppress(ValueError):
            spelled = source_key(key)
            self._noted[spelled] = LinkOutcome(spelled, LinkStatus.ERROR, error=why.reason.value)

    def _key(self, row: Row) -> str:
        return self._keys.get(row.number) or key_of(row)

    def _read_at(self, row: Row) -> datetime | None:
        """When the row came from its source, if that was before this run; never later than that."""
        former = self._formers.get(row.number)
        return None if former is None else self._run_starts.get(former.first_run_id, _LONG_AGO)

    def commit(self) -> None:
        """Puts the outcomes noted since the last commit on disk, in one transaction.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken the stream over.
        """
        if self._noted:
            self._ledger.record_outcomes(*self._place, self._run_id, list(self._noted.values()))
        self._noted = {}

    def release(self) -> None:
        """Lets other runs write the stream."""
        self._lock.release()
