"""The ledger's links of one stream: writes intents and outcomes; `LinkReader` reads them.

The history of each row says which requests it still needs. An intent is on disk before its request
is sent, so that after a kill the next run can complete it. The outcomes of a batch are written in
one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date

from msgspec.structs import replace as with_values

from target_apollo.apollo import is_id
from target_apollo.ledger import (
    CONFIRMED,
    HOLDING_VALUES,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
    match_hash,
)
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.links.deleted_links import DeletedLinks
from target_apollo.sync.links.not_given import ALL_GIVEN, NotGiven, addresses_after
from target_apollo.sync.links.pending_fields import StreamPendingFields
from target_apollo.sync.links.reader import LinkReader
from target_apollo.sync.links.recall import LinkSorter, RowHistory, hash_of_kept_stage
from target_apollo.sync.rejects.refused_rows import (
    RefusedMark,
    UnreadRecord,
    hash_of_record,
    hash_of_row,
    is_left_alone,
    key_of_unread,
)
from target_apollo.sync.updates.single_values import SingleValues, only, other_than

#: What the ledger notes of an outcome.
STATUS_OF = {
    Outcome.CREATED: LinkStatus.CREATED,
    Outcome.UPDATED: LinkStatus.UPDATED,
    Outcome.UNCHANGED: LinkStatus.UNCHANGED,
    Outcome.EXISTING: LinkStatus.EXISTING,
    # Policies allowed none of the row's changes, so it needs no request until it changes again.
    Outcome.SKIPPED: LinkStatus.UNCHANGED,
    Outcome.REJECTED: LinkStatus.ERROR,
}

_NOTHING: Json = {}


class StreamLinks:
    """The links of one stream to one Apollo team; for the thread that opened the ledger.

    It holds the stream's lock from the start, so that no other run writes the stream.

    Args:
        connection: The Apollo team's id.
        source: The source of the rows; see `sources`.
        full_resync: Whether no row counts as unchanged.
        policies: Part of the payload hash, so that rows are compared again after they change.
        leaves_gone: Whether a row is skipped if its record was deleted in Apollo.
        protected: The setting `protected_stages`.
        today: The day of the run, in UTC; None if no rejected row is left alone.
    """

    def __init__(
        self,
        ledger: RunLedger,
        object_type: ObjectType,
        stream: str,
        *,
        connection: str,
        run_id: str,
        mode: Mode,
        full_resync: bool,
        policies: Policies | None = None,
        leaves_gone: bool = True,
        source: str = "",
        protected: Sequence[str] = (),
        today: date | None = None,
    ) -> None:
        self._ledger = ledger
        self._place = Place(connection, object_type.singular, stream, source)
        self._run_id = run_id
        self._protected = tuple(protected)
        self._mode = mode
        #: What rows carry that costs a request for each record.
        self._single_values = SingleValues(object_type, policies or Policies())
        #: The day that is noted for rejected rows, and by which those of earlier runs are judged.
        self._mark_day = today
        self._today = None if full_resync else today
        #: Source key -> outcome, until `commit`.
        self._noted: dict[str, LinkOutcome] = {}
        self._pending_fields = StreamPendingFields(ledger, self._place, self._single_values)
        #: Whether `commit` has anything to write.
        self.has_unsaved = False
        #: The links of deleted rows.
        self.deleted = DeletedLinks(ledger, self._place, run_id)
        protecting = policies if policies and policies.protect else None
        self.reader = LinkReader(
            ledger,
            self._place,
            run_id,
            LinkSorter(
                mode, full_resync, protecting, leaves_gone, object_type, self._protected, today
            ),
            self._single_values,
            self.deleted,
        )
        self._lock = ledger.lock(connection, stream, run_id)

    # --- before the requests

    def intend(self, rows: Iterable[Row], histories: Mapping[int, RowHistory]) -> None:
        """Notes on disk that requests for these rows are about to be sent.

        Args:
            histories: The result of `LinkReader.recall`.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken over the stream.
        """
        by_run: dict[tuple[Place, str], dict[str, Intent]] = {}
        for row in rows:
            history = histories[row.number]
            key = history.source_key
            found_under = match_hash(row.match_key) if row.match_key else None
            # The link keeps the id of the first run that sent the row, which may have created the
            # record, also if this run is killed too.
            run_id = history.sent_by or self._run_id
            # A record that is to get another address has one or the other until Apollo answers.
            has_address = not row.apollo_id or history.keeps_match
            held = history.held_of(row.apollo_id)
            if row.apollo_id and self._has_single_values(row):
                self._pending_fields.replace_by(row, row.apollo_id)
            by_run.setdefault((self.reader.place_of(key), run_id), {})[key] = Intent(
                key,
                row.apollo_id,
                found_under if has_address else None,
                only(history.single_hashes, held) if held and history.single_hashes else None,
            )
        # Before newer values are sent: after a kill, older ones would be sent over them.
        if self._pending_fields.is_changed:
            self._pending_fields.commit()
        for (place, run_id), intents in by_run.items():
            self._ledger.record_intents(place, run_id, list(intents.values()))

    def is_of(self, link: Link, source_key: str) -> bool:
        """Whether a link belongs to this source key in this stream and source."""
        return link.row == self._row(source_key)

    def rows_of(self, rows: Mapping[str, Row]) -> dict[tuple[str, str, str], Row]:
        """`Link.row` -> row, from source key -> row of this stream."""
        return {self._row(key): row for key, row in rows.items()}

    def _row(self, source_key: str) -> tuple[str, str, str]:
        place = self.reader.place_of(source_key)
        return (place.source, place.stream, source_key)

    def of_addresses(self, hashes: Iterable[str]) -> Mapping[str, Sequence[Link]]:
        """Hash of an address -> links, of any stream, whose record was last given that address.

        Links without a record, or to a record that was deleted in Apollo, are left out.

        Args:
            hashes: Hashes of the addresses.

        Raises:
            LedgerError: The ledger can't be read.
        """
        found = self._ledger.links_by_match(self._place, list(dict.fromkeys(hashes)))
        return {
            address: [link for link in links if is_id(link.apollo_id) and not link.is_gone]
            for address, links in found.items()
        }

    def of_records(self, apollo_ids: Iterable[str]) -> Mapping[str, Sequence[Link]]:
        """Apollo id -> links, of any stream, to that record.

        Raises:
            LedgerError: The ledger can't be read.
        """
        return self._ledger.links_by_apollo_id(self._place, list(dict.fromkeys(apollo_ids)))

    def forget(self, key: str) -> None:
        """Deletes the link of a source key at once, since its record is not the row's.

        Raises:
            LedgerError: The ledger can't be written.
        """
        self._ledger.forget(self.reader.place_of(key), [key])

    # --- after them

    def add_outcome(
        self,
        row: Row,
        history: RowHistory,
        outcome: Outcome,
        apollo_id: str | None = None,
        rejection: Rejection | None = None,
        updated_at: str | None = None,
        *,
        record_is_gone: bool = False,
        not_given: NotGiven = ALL_GIVEN,
        for_later: Json = _NOTHING,
    ) -> None:
        """Adds a row's outcome to those that `commit` writes.

        Args:
            updated_at: The record's `updated_at` after the last write, if Apollo's answer shows it.
            record_is_gone: Whether later runs skip the row, since its record was deleted in Apollo.
            not_given: What the record was not given of the row.
            for_later: Body of a request that is still to be sent to the record.

        Raises:
            LedgerError: The link to a record that is gone from Apollo can't be deleted.
        """
        self.has_unsaved = True
        link = history.link
        if outcome is Outcome.EXISTING and link is not None and _leads_to(link, apollo_id):
            # Looked for once more and left alone: what was known of the record is still true.
            self._noted[link.source_key] = _as_it_was(link)
            return
        status = LinkStatus.GONE if record_is_gone else STATUS_OF.get(outcome)
        if status is None or (status is not LinkStatus.ERROR and apollo_id is None):
            return
        holds = status in HOLDING_VALUES and not not_given.values
        key = history.source_key
        singles = history.single_hashes if holds else None
        if singles and for_later:
            singles = other_than(singles, for_later)
        if apollo_id is not None and for_later:
            place = self.reader.place_of(key)
            self._pending_fields.add(place, row, history, apollo_id, for_later)
        elif apollo_id is not None and holds and self._has_single_values(row):
            self._pending_fields.replace_by(row, apollo_id)
        payload_hash = self._hash_to_keep(history, not_given) if holds else None
        address = match_hash(row.match_key) if row.match_key else None
        of_row = None
        if status is LinkStatus.ERROR:
            payload_hash, address = self._mark_of(row, history), None
        elif status is LinkStatus.GONE and row.deleted and link is not None:
            # A mark need not have the address by which the row is known when it comes back.
            address = link.address_of_row
        elif status is not LinkStatus.GONE and (
            address is None or row.deleted or not_given.address
        ):
            address, of_row = addresses_after(row, history, apollo_id, not_given)
        self._noted[key] = LinkOutcome(
            key,
            status,
            apollo_id=apollo_id,
            payload_hash=payload_hash,
            error=None if rejection is None else rejection.reason.value,
            synced_at=history.read_at,
            match_hash=address,
            apollo_updated_at=updated_at,
            is_readdressed=(
                outcome is Outcome.UPDATED and history.has_other_address and of_row is None
            ),
            row_hash=of_row,
            single_hashes=singles,
        )
        if rejection is not None and rejection.reason is Reason.GONE and row.apollo_id:
            self.drop(row.apollo_id)

    def add_existing(
        self,
        row: Row,
        history: RowHistory,
        apollo_id: str,
        not_given: NotGiven,
        differing: Collection[str] | None,
    ) -> None:
        """Adds a link to a record that was found, and whose values are not those of its row.

        A link that leads to the record already stays as it is. The row is still to be written, but
        in mode `insert`, which changes no record.

        Args:
            differing: Keys in PATCH of the values that differ; the record has the others, so that a
                run needs no request for them. None if it is not known.
        """
        if history.link is not None and _leads_to(history.link, apollo_id):
            return
        self.add_outcome(row, history, Outcome.EXISTING, apollo_id, not_given=not_given)
        if self._mode is Mode.INSERT:
            return
        noted = with_values(self._noted[history.source_key], is_synced=False)
        if differing is not None and history.single_hashes is not None:
            held = other_than(history.single_hashes, differing)
            noted = with_values(noted, single_hashes=held)
        self._noted[history.source_key] = noted

    def _has_single_values(self, row: Row) -> bool:
        """Whether a row has values in fields that cost a request for each record."""
        return not self._single_values.names.isdisjoint(row.values)

    def _mark_of(self, row: Row, history: RowHistory) -> str | None:
        """What the link of a rejected row keeps, so that it is left alone while it is the same."""
        if history.rejected_before is not None and history.link is not None:
            return history.link.payload_hash
        if self._mark_day is None or row.deleted:
            return None
        named_id = row.apollo_id if history.names_record else None
        own = hash_of_row(row, history.payload_hash, self._mode, named_id)
        return RefusedMark(self._mark_day, own).text

    def _hash_to_keep(self, history: RowHistory, not_given: NotGiven) -> str | None:
        if history.payload_hash is None or not not_given.stage:
            return history.payload_hash
        return hash_of_kept_stage(history.payload_hash, self._protected)

    def unread_before(self, unread: Sequence[UnreadRecord]) -> list[bool]:
        """Which of the records that could not be read were rejected so not long ago.

        Raises:
            LedgerError: The ledger can't be read.
        """
        keys = [key_of_unread(one) for one in unread]
        today = self._today
        if today is None:
            return [False] * len(keys)
        links = self._ledger.links(self._place, [key for key in keys if key is not None])
        return [
            key is not None
            and one.record.former is None
            and (link := links.get(key)) is not None
            and link.source == self._place.source
            and link.error == one.rejection.reason.value
            and is_left_alone(link, hash_of_record(one.record.record), today)
            for key, one in zip(keys, unread, strict=True)
        ]

    def add_unreadable(self, unread: UnreadRecord) -> None:
        """Adds the rejection of a record that could not be read; ignored if it has no whole key."""
        key = key_of_unread(unread)
        if key is None:
            return
        self.has_unsaved = True
        own = hash_of_record(unread.record.record)
        mark = RefusedMark(self._mark_day, own).text if self._mark_day and own else None
        error = unread.rejection.reason.value
        self._noted[key] = LinkOutcome(key, LinkStatus.ERROR, payload_hash=mark, error=error)

    def commit(self) -> None:
        """Writes the outcomes since the last commit to the ledger, in one transaction per source.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken over the stream.
        """
        # First, so that no row is done whose values are not on disk.
        if self._pending_fields.is_changed:
            self._pending_fields.commit()
        by_place: dict[Place, list[LinkOutcome]] = {}
        for key, outcome in self._noted.items():
            by_place.setdefault(self.reader.place_of(key), []).append(outcome)
        for place, outcomes in by_place.items():
            self._ledger.record_outcomes(place, self._run_id, outcomes)
        # Unused links that turned out to name the right record: the row now has a link of its own.
        known_after_all = [
            key
            for key, link in self.reader.unused.items()
            if key in self._noted and link.apollo_id == self._noted[key].apollo_id is not None
        ]
        if known_after_all:
            self._ledger.forget(self._place._replace(source=""), known_after_all)
        self._noted, self.has_unsaved = {}, False

    def release(self) -> None:
        """Lets other runs write the stream."""
        self._lock.release()

    # --- rows and records that are gone

    def all_links(self) -> Iterator[Link]:
        """All links of the stream and source; write nothing before the iterator has ended.

        Raises:
            LedgerError: The ledger can't be read.
        """
        for link in self._ledger.links_of_stream(self._place):
            yield link if is_id(link.apollo_id) else with_values(link, apollo_id=None)

    def note_moving(self, moves: Iterable[tuple[RowHistory, str, str]]) -> None:
        """Notes on disk that records of deleted rows are about to be moved; after `intend`.

        If the answer is lost, the next run knows from the note which stage a record had.

        Args:
            moves: Histories of the rows, each with the Apollo id and the text of an open mark.

        Raises:
            LedgerError: The ledger can't be written.
        """
        by_place: dict[Place, list[LinkOutcome]] = {}
        for history, apollo_id, mark in moves:
            key = history.source_key
            by_place.setdefault(self.reader.place_of(key), []).append(
                LinkOutcome(
                    key,
                    LinkStatus.UNCHANGED,
                    apollo_id,
                    payload_hash=mark,
                    match_hash=history.link.match_hash if history.link is not None else None,
                )
            )
        for place, outcomes in by_place.items():
            self._ledger.record_outcomes(place, self._run_id, outcomes)

    def drop(self, apollo_id: str) -> None:
        """Deletes the links to a record that Apollo no longer has.

        Raises:
            LedgerError: The ledger can't be written.
        """
        self._ledger.drop_links(self._place, [apollo_id])


def _leads_to(link: Link, apollo_id: str | None) -> bool:
    return link.apollo_id == apollo_id and link.status in CONFIRMED


def _as_it_was(link: Link) -> LinkOutcome:
    """The outcome that makes a link what it was before the intent of a request."""
    return LinkOutcome(
        link.source_key,
        link.status,
        link.apollo_id,
        payload_hash=link.payload_hash,
        synced_at=link.last_synced_at,
        match_hash=link.match_hash,
        apollo_updated_at=link.apollo_updated_at,
        row_hash=link.row_hash,
        single_hashes=link.single_hashes,
    )
