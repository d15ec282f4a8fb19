"""The ledger's links of a stream of an object besides contacts and accounts.

Such a row is known by its key alone. Its link has the hash of its values, so that an unchanged row
needs no request, and what Apollo's record or member is. Before a request an intent is on disk, and
after it the outcome; a link that is still pending was left by a run that was killed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

from msgspec.structs import replace as with_values

from target_apollo.ledger import (
    DELETED,
    HOLDING_VALUES,
    Intent,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
    payload_hash_of_texts,
)
from target_apollo.model.objects.registry import Json
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, Row, Values
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.links.not_given import ALL_GIVEN, NotGiven
from target_apollo.sync.links.recall import RowHistory, is_interrupted, is_outdated, key_of
from target_apollo.sync.links.stream_links import STATUS_OF
from target_apollo.sync.rejects.refused_rows import (
    NOT_SENT_AGAIN,
    RefusedMark,
    UnreadRecord,
    hash_of_record,
    hash_of_row,
    is_left_alone,
    key_of_unread,
)
from target_apollo.sync.source_record import Former

_LATEST_RUNS = 500
_NOTHING: Json = {}


class ObjectLinks:
    """The links of one stream; for the thread that opened the ledger.

    It holds the stream's lock from the start, so that no other run writes the stream.

    Args:
        place: The team, object, stream and source.
        full_resync: Whether no row counts as unchanged.
        today: The day of the run, in UTC.
        not_sent_again: Reasons for which a rejected row is not tried again before it changes or
            `LEFT_ALONE` is over.
        policies: Part of the hash of a row's values, so that rows are written again after they
            change; None for objects without fields.
        outlives_rows: Whether the record of a row stays in Apollo after the row was deleted, and
            its link with it.
    """

    def __init__(
        self,
        ledger: RunLedger,
        place: Place,
        *,
        run_id: str,
        mode: Mode,
        full_resync: bool,
        today: date,
        not_sent_again: Collection[str] = NOT_SENT_AGAIN,
        policies: Policies | None = None,
        outlives_rows: bool = False,
    ) -> None:
        self._ledger = ledger
        self.place = place
        self._run_id = run_id
        self._mode = mode
        self._full_resync = full_resync
        self._today = today
        self._not_sent_again = not_sent_again
        self._policies = policies if policies and policies.protect else None
        self._outlives_rows = outlives_rows
        self._noted: dict[str, LinkOutcome] = {}
        #: Source key -> what the next outcome of the row notes beside its values.
        self._details: dict[str, str] = {}
        #: Source key -> digests of values that its record holds.
        self._digests: dict[str, str] = {}
        #: Source keys of unreadable records whose rows are in doubt.
        self._in_doubt: set[str] = set()
        self._lock = ledger.lock(place.connection, place.stream, run_id)

    def recall(self, rows: Sequence[Row], formers: Mapping[int, Former]) -> dict[int, RowHistory]:
        """What the ledger knows of the rows of a batch, by number.

        A history has an `outcome` where the row needs no request: it is unchanged, it was rejected
        as it is not long ago, or a later run has written a newer one than this replayed one.
        `sent_at` tells that a killed run may have written it.

        Args:
            formers: Row number -> earlier rejection, for rows that were rejected before.

        Raises:
            LedgerError: The ledger can't be read.
        """
        keys = [key_of(row) for row in rows]
        links = self._own(self._ledger.links(self.place, keys))
        starts: Mapping[str, datetime] = {}
        if any(map(is_interrupted, links.values())):
            starts = {run.run_id: run.started_at for run in self._ledger.runs(_LATEST_RUNS)}
        return {
            row.number: self._history(row, key, links.get(key), formers.get(row.number), starts)
            for row, key in zip(rows, keys, strict=True)
        }

    def _own(self, links: dict[str, Link]) -> dict[str, Link]:
        """The links of this source; links without one get it."""
        source = self.place.source
        if not source:
            return links
        free = sorted(key for key, link in links.items() if not link.source)
        if free:
            self._ledger.adopt(self.place, free)
        return {
            key: with_values(link, source=source)
            for key, link in links.items()
            if link.source in ("", source)
        }

    def _history(
        self,
        row: Row,
        key: str,
        link: Link | None,
        former: Former | None,
        starts: Mapping[str, datetime],
    ) -> RowHistory:
        own = values_hash(row, self._policies)
        if link is None:
            return RowHistory(key, own, read_at=former.first_at if former else None)
        interrupted = is_interrupted(link)
        history = RowHistory(
            key,
            own,
            link.apollo_id,
            link=link,
            sent_at=starts.get(link.run_id or "") if interrupted else None,
            sent_by=link.run_id if interrupted else None,
            read_at=former.first_at if former else None,
        )
        if is_outdated(former, link):
            return with_values(history, outcome=Outcome.SKIPPED)
        if self._full_resync:
            return history
        if link.payload_hash == own and link.status in HOLDING_VALUES:
            return with_values(history, outcome=Outcome.UNCHANGED)
        mark = self._mark_of(row, own)
        if former is None and is_left_alone(link, mark, self._today):
            is_final = link.error in self._not_sent_again
            outcome = Outcome.REJECTED if is_final else None
            return with_values(history, outcome=outcome, rejected_before=link.error)
        return history

    def intend(self, rows: Iterable[Row], histories: Mapping[int, RowHistory]) -> None:
        """Notes on disk that requests for these rows are about to be sent.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken over the stream.
        """
        intents = []
        for row in rows:
            key = histories[row.number].source_key
            detail, digests = self._details.get(key), self._digests.get(key)
            intents.append(Intent(key, row.apollo_id, detail, digests))
        if intents:
            self._ledger.record_intents(self.place, self._run_id, intents)

    def intend_undoing(self, links: Iterable[Link]) -> None:
        """Notes on disk that what links record is about to be undone, or was undone by somebody.

        Such a row is written again if it comes again.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken over the stream.
        """
        intents = [Intent(link.source_key, link.apollo_id, link.match_hash) for link in links]
        if intents:
            self._ledger.record_intents(self.place, self._run_id, intents)

    def sharing(self, apollo_ids: Collection[str]) -> dict[str, list[Link]]:
        """Apollo id -> the links to it of this object, of any stream and source.

        Raises:
            LedgerError: The ledger can't be read.
        """
        if not apollo_ids:
            return {}
        return self._ledger.links_by_apollo_id(self.place, apollo_ids)

    def is_own(self, link: Link) -> bool:
        """Whether a link is of this stream and source."""
        return (link.stream, link.source) == (self.place.stream, self.place.source)

    def note_detail(self, history: RowHistory, detail: str) -> None:
        """Notes a hash that the row's link keeps beside that of its values, such as of its list.

        It comes back as `Link.match_hash`.
        """
        self._details[history.source_key] = detail

    def note_digests(self, history: RowHistory, digests: str) -> None:
        """Notes digests of values that the row's record holds, for its intent and its outcome.

        They come back as `Link.single_hashes`.
        """
        self._digests[history.source_key] = digests

    def withdraw(self, histories: Sequence[RowHistory]) -> None:
        """Makes links what they were before `intend`, of rows for which nothing reached Apollo.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken over the stream.
        """
        self.forget([one.source_key for one in histories if one.link is None])
        for history in histories:
            link = history.link
            if link is not None and link.status is not LinkStatus.PENDING:
                self._noted[link.source_key] = LinkOutcome(
                    link.source_key,
                    link.status,
                    apollo_id=link.apollo_id,
                    payload_hash=link.payload_hash,
                    error=link.error,
                    synced_at=link.last_synced_at,
                    match_hash=link.match_hash,
                    apollo_updated_at=link.apollo_updated_at,
                    single_hashes=link.single_hashes,
                )

    def add_outcome(
        self,
        row: Row,
        history: RowHistory,
        outcome: Outcome,
        apollo_id: str | None,
        rejection: Rejection | None,
        updated_at: str | None,
        *,
        record_is_gone: bool = False,
        not_given: NotGiven = ALL_GIVEN,  # noqa: ARG002 - nothing is kept from such a row
        for_later: Json = _NOTHING,  # noqa: ARG002 - nothing of such a row follows later
    ) -> None:
        """Adds the outcome of a row to the next commit."""
        key, status = history.source_key, STATUS_OF[outcome]
        detail = noted = self._details.pop(key, None)
        digests = self._digests.pop(key, None)
        if history.link is not None and outcome is not Outcome.REJECTED:
            detail = detail or history.link.match_hash
            digests = digests or history.link.single_hashes
            apollo_id = apollo_id or history.apollo_id
        payload_hash = history.payload_hash
        if row.deleted and outcome is Outcome.SKIPPED:
            return
        if row.deleted and outcome is not Outcome.REJECTED and not self._outlives_rows:
            if noted is None:
                self.forget([key])
            elif apollo_id is not None:
                self._noted[key] = LinkOutcome(
                    key, LinkStatus.EXISTING, apollo_id=apollo_id, match_hash=noted
                )
            return
        if record_is_gone:
            status = LinkStatus.GONE
        if apollo_id is None and status is not LinkStatus.ERROR:
            return
        if status is LinkStatus.ERROR:
            mark = self._mark_of(row, payload_hash)
            payload_hash = RefusedMark(self._today, mark).text
        elif status is LinkStatus.EXISTING:
            payload_hash = None
        self._noted[key] = LinkOutcome(
            key,
            status,
            apollo_id=apollo_id,
            payload_hash=payload_hash,
            error=None if rejection is None else rejection.reason.value,
            synced_at=history.read_at,
            match_hash=detail,
            apollo_updated_at=updated_at,
            single_hashes=digests if status is not LinkStatus.ERROR else None,
        )

    def _mark_of(self, row: Row, written: str | None) -> str:
        """What tells whether a rejected row has changed; that it is deleted now is a change."""
        written = f"{DELETED}{written}" if row.deleted else written
        return hash_of_row(row, written, self._mode, None)

    def unread_before(self, unread: Sequence[UnreadRecord]) -> list[bool]:
        """Which of the records that could not be read were rejected so not long ago.

        Raises:
            LedgerError: The ledger can't be read.
        """
        keys = [key_of_unread(one) for one in unread]
        links = self._ledger.links(self.place, [key for key in keys if key is not None])
        self._in_doubt |= {key for key, link in links.items() if is_in_doubt(link)}
        if self._full_resync:
            return [False] * len(keys)
        return [
            key is not None
            and one.record.former is None
            and (link := links.get(key)) is not None
            and link.error == one.rejection.reason.value
            and is_left_alone(link, hash_of_record(one.record.record), self._today)
            for key, one in zip(keys, unread, strict=True)
        ]

    def add_unreadable(self, unread: UnreadRecord) -> None:
        """Adds the rejection of a record that could not be read; ignored if it has no whole key."""
        key = key_of_unread(unread)
        # The link of a row in doubt stays as it is, so that it is looked for when it can be read.
        if key is not None and key not in self._in_doubt:
            own = hash_of_record(unread.record.record)
            mark = RefusedMark(self._today, own).text if own else None
            error = unread.rejection.reason.value
            self._noted[key] = LinkOutcome(key, LinkStatus.ERROR, payload_hash=mark, error=error)

    def commit(self) -> None:
        """Writes the outcomes since the last commit to the ledger, in one transaction.

        Raises:
            LedgerError: The ledger can't be written, or another run has taken over the stream.
        """
        if self._noted:
            self._ledger.record_outcomes(self.place, self._run_id, list(self._noted.values()))
            self._noted = {}

    def all_links(self) -> Iterator[Link]:
        """All links of the stream and source; write nothing before the iterator has ended.

        Raises:
            LedgerError: The ledger can't be read.
        """
        yield from self._ledger.links_of_stream(self.place)

    def keep(self, details: Mapping[str, tuple[str, str]]) -> None:
        """Writes what is kept of rows that are gone.

        Args:
            details: Source key -> Apollo id, and what the link keeps as its `match_hash`.

        Raises:
            LedgerError: The ledger can't be written.
        """
        outcomes = [
            LinkOutcome(key, LinkStatus.EXISTING, apollo_id=apollo_id, match_hash=detail)
            for key, (apollo_id, detail) in details.items()
        ]
        if outcomes:
            self._ledger.record_outcomes(self.place, self._run_id, outcomes)

    def forget(self, keys: Sequence[str]) -> None:
        """Deletes the links of rows that are no longer in Apollo.

        Raises:
            LedgerError: The ledger can't be written.
        """
        for key in keys:
            self._noted.pop(key, None)
        if keys:
            self._ledger.forget(self.place, keys)


def is_in_doubt(link: Link) -> bool:
    """Whether nothing tells if an earlier request has made the record of a row."""
    is_unknown = link.error == Reason.OUTCOME_UNKNOWN.value or is_interrupted(link)
    return is_unknown and not link.apollo_id


def values_hash(row: Row, policies: Policies | None = None, waits_for: Values | None = None) -> str:
    """Hash of everything that a row would write.

    Args:
        policies: None if all of them are `overwrite`.
        waits_for: Fields that are written without the row's name, which Apollo does not know.
    """
    payload: dict[str, object] = {"values": row.values, "custom": row.custom}
    if row.names:
        payload["names"] = {name: text.casefold() for name, (_, text) in row.names.items()}
    keeping = policies.keeping(row) if policies is not None else {}
    if keeping:
        payload["policies"] = keeping
    if waits_for:
        payload["waits_for"] = waits_for
    return payload_hash_of_texts(payload)
