"""What the ledger says of a stream's rows before a flush, and what it is told of them after.

Before: rows whose values Apollo is known to hold need no request; rows whose Apollo id is known go
straight to an update. The intent is on disk before a request goes out, so that a killed run is put
right by the next. After: the outcomes, in one transaction a flush.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.ledger import (
    DELETED,
    HOLDING_VALUES,
    Intent,
    Ledger,
    Link,
    LinkOutcome,
    LinkStatus,
    match_hash,
    payload_hash_of_texts,
    source_key,
)
from target_apollo.memory import Memory, Strayed
from target_apollo.objects import ObjectType
from target_apollo.outcomes import Outcome, Reason, RecordError, Rejection
from target_apollo.policy import Policies
from target_apollo.rejects import Former
from target_apollo.rows import Mode, Row, Values

_STATUS = {
    Outcome.CREATED: LinkStatus.CREATED,
    Outcome.UPDATED: LinkStatus.UPDATED,
    Outcome.UNCHANGED: LinkStatus.UNCHANGED,
    Outcome.EXISTING: LinkStatus.EXISTING,
    # A policy kept everything that differs from being written: until the row changes, that stands.
    Outcome.SKIPPED: LinkStatus.UNCHANGED,
    Outcome.REJECTED: LinkStatus.ERROR,
}
_CONFIRMED = {LinkStatus.CREATED, LinkStatus.UPDATED, LinkStatus.UNCHANGED, LinkStatus.EXISTING}

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
    """

    def __init__(
        self,
        ledger: Ledger,
        target: ObjectType,
        stream: str,
        *,
        connection: str,
        run_id: str,
        mode: Mode,
        full_resync: bool,
        policies: Policies | None = None,
    ) -> None:
        self._ledger = ledger
        self._place = (connection, target.singular, stream)
        self._run_id = run_id
        self._mode = mode
        self._full_resync = full_resync
        self._policies = policies if policies and policies.protect else None
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
        self._hashes = {row.number: _payload_hash(row, self._policies) for row in rows}
        self._formers = formers
        self._left_by = {}
        unfinished: dict[int, datetime] = {}
        strayed: dict[int, Strayed] = {}
        left_at: dict[int, str] = {}
        same_match: set[int] = set()
        own: set[int] = set()
        found = Memory(
            unfinished=unfinished,
            strayed=strayed,
            own=own,
            left_at=left_at,
            same_match=same_match,
        )
        known = [links.get(key) for key in self._keys.values()]
        self._new = {row.number for row, link in zip(rows, known, strict=True) if link is None}
        outcomes = list(map(self._known_outcome, rows, known))
        shared = self._shared(known, outcomes)
        held = self._held_by_others(rows, known)
        to_change: set[str | None] = set()
        for row, link, outcome in zip(rows, known, outcomes, strict=True):
            if formers and _is_outdated(formers.get(row.number), link):
                found.settled.append((row, Outcome.SKIPPED, None))
                continue
            apollo_id = row.apollo_id or (link.apollo_id if link is not None else None)
            # What the ledger knows of a record is past once an earlier row of the flush writes it.
            if outcome is not None and to_change.isdisjoint((row.match_key, apollo_id)):
                found.settled.append((row, outcome, apollo_id))
                continue
            if row.number in held:
                self.note(row, Outcome.SKIPPED, apollo_id, None, None)
                found.settled.append((row, Outcome.SKIPPED, None))
                continue
            to_change.update({row.match_key, apollo_id} - {None})
            if apollo_id in shared and not row.apollo_id and not row.deleted:
                # Two rows with one address share a record. If this one has left the address, the
                # record stays with the other; Apollo tells by the address whose it is.
                apollo_id = None
            if apollo_id and self._mode is not Mode.INSERT:
                row = with_values(row, apollo_id=apollo_id)
            if link is not None:
                since = self._unfinished_since(row, link)
                if since is not None:
                    unfinished[row.number] = since
                if link.status is LinkStatus.ERROR and link.apollo_id and not link.first_synced_at:
                    # Rejected after its creation: the record is its own, however old.
                    own.add(row.number)
                if since is not None and _has_strayed(row, link):
                    strayed[row.number] = Strayed(link.match_hash or "", since)
                if not self._full_resync and _keeps_match(row, link):
                    same_match.add(row.number)
                if link.apollo_updated_at is not None:
                    left_at[row.number] = link.apollo_updated_at
            found.open.append(row)
        return found

    def _shared(self, links: Sequence[Link | None], outcomes: Sequence[Outcome | None]) -> set[str]:
        """Apollo ids to be written that are linked to more than one source key."""
        if self._mode is not Mode.UPSERT:
            return set()
        ids = {
            link.apollo_id
            for link, outcome in zip(links, outcomes, strict=True)
            if outcome is None and link is not None and link.apollo_id
        }
        if not ids:
            return set()
        found = self._ledger.links_by_apollo_id(*self._place[:2], ids)
        return {
            apollo_id
            for apollo_id, held in found.items()
            if sum(not link.is_deleted for link in held) > 1
        }

    def _held_by_others(self, rows: Sequence[Row], links: Sequence[Link | None]) -> set[int]:
        """Numbers of deleted rows whose record is that of another row too, which is still there."""
        deleted = {
            row.number: link
            for row, link in zip(rows, links, strict=True)
            if row.deleted and link is not None and link.apollo_id
        }
        if not deleted:
            return set()
        coming = {match_hash(row.match_key) for row in rows if row.match_key and not row.deleted}
        held = self.held_by_others(list(deleted.values()))
        return {
            number
            for number, link in deleted.items()
            if link.source_key in held or link.match_hash in coming
        }

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

    def _unfinished_since(self, row: Row, link: Link) -> datetime | None:
        began = self._run_starts.get(link.run_id or "")
        if link.status is LinkStatus.PENDING and link.run_id and began is not None:
            self._left_by[row.number] = link.run_id
            return began
        if link.error == Reason.NOT_CONFIRMED.value and link.match_hash:
            # Apollo may have created it after all.
            return began
        return None

    @cached_property
    def _run_starts(self) -> dict[str, datetime]:
        return {run.run_id: run.started_at for run in self._ledger.runs(_LATEST_RUNS)}

    def _known_outcome(self, row: Row, link: Link | None) -> Outcome | None:
        if link is None or self._full_resync:
            return None
        if self._mode is Mode.INSERT:
            return Outcome.EXISTING if link.status in _CONFIRMED else None
        if row.apollo_id and row.apollo_id != link.apollo_id:
            return None
        if link.holds(self._hashes[row.number]):
            return Outcome.UNCHANGED
        # All of it was written before there was a policy.
        written = self._policies is not None and link.holds(_payload_hash(row, None))
        return Outcome.UNCHANGED if written else None

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

    def all(self) -> Iterator[Link]:
        """All links of the stream; nothing may be written until the last was taken.

        Raises:
            LedgerError: The ledger can't be read.
        """
        return self._ledger.links_of_stream(*self._place)

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
            self.drop(row.apollo_id)

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

    def drop(self, apollo_id: str) -> None:
        """Forgets the links to a record that Apollo no longer has.

        Raises:
            LedgerError: The ledger can't be written.
        """
        self._ledger.drop_links(self._place[0], self._place[1], [apollo_id])

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


def _is_outdated(former: Former | None, link: Link | None) -> bool:
    """Whether the row of a rejected record was written since, by a run that read it anew."""
    if former is None or former.first_at is None or link is None or link.last_synced_at is None:
        return False
    return link.status in _CONFIRMED and link.last_synced_at > former.first_at


def _has_strayed(row: Row, link: Link) -> bool:
    """Whether a create was sent of which nobody knows what became, under another match key."""
    if link.apollo_id or row.apollo_id or not link.match_hash or not row.match_key:
        return False
    return link.match_hash != match_hash(row.match_key)


def _keeps_match(row: Row, link: Link) -> bool:
    """Whether the record was last given the e-mail or domain that the row still has."""
    if link.status not in HOLDING_VALUES or not row.match_key or row.apollo_id != link.apollo_id:
        return False
    return link.match_hash == match_hash(row.match_key)


def key_of(row: Row) -> str:
    """The row's source key as the ledger spells it; e-mails in it are hashed.

    Raises:
        RecordError: A key property holds an object or an array.
    """
    try:
        return source_key(row.key)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, str(problem)) from None


def deletion_mark(values: Values, lists: Sequence[str]) -> str:
    """Stands for the payload of a deleted row, whose record is moved to this stage or list."""
    return DELETED + ",".join([*(value or "" for value in values.values()), *lists])


def _payload_hash(row: Row, policies: Policies | None) -> str:
    if row.deleted:
        return deletion_mark(row.values, row.lists)
    payload: dict[str, object] = {"values": row.values, "custom": row.custom, "lists": row.lists}
    if policies is not None and (keeping := policies.keeping(row)):
        payload["policies"] = keeping
    return payload_hash_of_texts(payload)
