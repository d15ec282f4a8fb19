"""What the ledger knows of the rows of a batch, one `RowHistory` a row. Pure.

`LinkSorter.outcomes` decides which rows need no request: those whose values Apollo is known to
hold. A row with a known Apollo id is updated without a search. `LinkReader` reads the links from
the ledger and calls the functions here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import cached_property

import msgspec
from msgspec.structs import replace as with_values

from target_apollo.ledger import (
    CONFIRMED,
    DELETED,
    HOLDING_VALUES,
    Link,
    LinkStatus,
    payload_hash_of_texts,
    source_key,
)
from target_apollo.model.match_keys import CUSTOM, kind_of
from target_apollo.model.objects.registry import CONTACT, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, RecordError
from target_apollo.model.policies import FieldPolicy, Policies
from target_apollo.model.rows import Mode, Row, Values
from target_apollo.sync.deletions.marks import digits_of, is_moved_to
from target_apollo.sync.links.addresses import (
    address_hashes,
    first_hashes,
    has_new_address,
    hashes,
    may_be_of_another,
)
from target_apollo.sync.rejects.refused_rows import NOT_SENT_AGAIN, hash_of_row, is_left_alone
from target_apollo.sync.source_record import Former

_NOTHING: Mapping[str, str | None] = {}
#: Used in place of an unknown time: earlier than any change of a row.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


class RowHistory(msgspec.Struct, frozen=True, gc=False):
    """What the ledger knows about one row.

    Attributes:
        source_key: The row's key as the ledger spells it.
        payload_hash: Hash of everything that the row would write.
        apollo_id: Id of its record; None if it is unknown, or if another row may have the record.
        outcome: The outcome of a row that needs no request.
        is_held: Whether the row is deleted and another row has the same record.
        sent_at: Start of the run that sent the row's last write, if Apollo never confirmed it or an
            earlier one, so that this write may have created the record.
        sent_by: Id of that run, if no run has finished the row since it was first sent.
        sent_under: Hash of the e-mail or domain with which that run may have created the record, if
            the row has another one now.
        made_record: Whether the row was rejected after its record was created. The record still
            has to be completed.
        updated_at: The record's `updated_at` in Apollo after the last write.
        keeps_match: Whether the record has the row's e-mail or domain, by the ledger.
        link: The link of the row's source key, if there is one.
        has_other_address: Whether the row has another e-mail or domain than the linked record, so
            that its key may now mean somebody else. Not so if it had that one before, and a policy
            keeps it from the record.
        names_record: Whether the row itself has an Apollo id.
        read_at: When the row came from its source, if that was before this run.
        may_be_unchanged: Whether the row is unchanged if Apollo holds the ids of its names.
        single_hashes: Digests of the row's values that cost a request for each record.
        held: Names of those among them that the record of the link holds, as in
            `SingleValues.without`.
        rejected_before: Why the row was rejected as it is now, not long ago, as in `Link.error`.
    """

    source_key: str = ""
    payload_hash: str | None = None
    apollo_id: str | None = None
    outcome: Outcome | None = None
    is_held: bool = False
    sent_at: datetime | None = None
    sent_by: str | None = None
    sent_under: str | None = None
    made_record: bool = False
    updated_at: str | None = None
    keeps_match: bool = False
    read_at: datetime | None = None
    link: Link | None = None
    has_other_address: bool = False
    names_record: bool = False
    may_be_unchanged: bool = False
    rejected_before: str | None = None
    single_hashes: str | None = None
    held: frozenset[str] = frozenset()

    def held_of(self, apollo_id: str | None) -> frozenset[str]:
        """Names of the values that a record is known to hold; none if it is not the link's."""
        link = self.link
        is_of_link = link is not None and link.apollo_id == apollo_id
        return self.held if is_of_link else frozenset()


#: History of a row that the ledger does not know.
NO_HISTORY = RowHistory()


def key_of(row: Row) -> str:
    """The row's source key as the ledger spells it, with hashes in place of e-mails.

    Raises:
        RecordError: A key property holds an object or an array.
    """
    try:
        return source_key(row.key)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, str(problem)) from None


def payload_hash_of(
    row: Row, policies: Policies | None, waits_for: Mapping[str, str | None] = _NOTHING
) -> str:
    """Hash of everything that a row would write, and of the policies that may prevent it.

    Names are hashed as they are in the row, so no request is needed to see whether it changed.
    Earlier versions hashed the ids: that is the hash of the row after `NameResolver.resolve`. For a
    deleted row the result is its `deletion_mark`.

    Args:
        policies: None if all of them are `overwrite`.
        waits_for: Field name -> the id that is written in place of a name that Apollo does not know
            yet; None if none is written.
    """
    if row.deleted:
        return deletion_mark(row.values, row.lists)
    payload: dict[str, object] = {"values": row.values, "custom": row.custom, "lists": row.lists}
    if row.names:
        payload["names"] = {name: text.casefold() for name, (_, text) in row.names.items()}
    if waits_for:
        payload["waiting"] = dict(waits_for)
    if row.more_emails:
        payload["more_emails"] = row.more_emails
    if policies is not None and (keeping := policies.keeping(row)):
        payload["policies"] = keeping
    return payload_hash_of_texts(payload)


def hash_of_merged(payload_hash: str, apollo_id: str) -> str:
    """The payload hash for a row with the id of a record that was merged into another record.

    Args:
        payload_hash: The row's own hash, from `payload_hash_of`.
        apollo_id: The id in the row.
    """
    return payload_hash_of_texts({"payload": payload_hash, "named": apollo_id})


def hash_of_kept_stage(payload_hash: str, protected: Sequence[str]) -> str:
    """The payload hash for a row whose record stayed in a protected stage.

    That of a deleted row says so itself (`DeletionMark.kept_under`).

    Args:
        payload_hash: The row's own hash, from `payload_hash_of`.
        protected: The setting `protected_stages`. After it changes, the row is compared again.
    """
    if payload_hash.startswith(DELETED):
        return payload_hash
    return payload_hash_of_texts({"payload": payload_hash, "protected": sorted(protected)})


def deletion_mark(values: Values, lists: Sequence[str]) -> str:
    """The payload hash for a deleted row: the stage or lists that its record is moved to."""
    return DELETED + ",".join([*(value or "" for value in values.values()), *lists])


@dataclass(frozen=True)
class LinkSorter:
    """Decides by the links of one stream which of its rows still need requests.

    Links are in the order of the rows, None for a row without a link.

    Attributes:
        full_resync: Whether no row counts as unchanged.
        policies: None if all of them are `overwrite`.
        leaves_gone: Whether a row is skipped if its record was deleted in Apollo.
        object_type: The object of the rows.
        protected: The setting `protected_stages`.
        today: The day of the run, in UTC; None if no rejected row is left alone.
    """

    mode: Mode
    full_resync: bool
    policies: Policies | None
    leaves_gone: bool = True
    object_type: ObjectType = CONTACT
    protected: tuple[str, ...] = ()
    today: date | None = None

    @cached_property
    def _protected_digits(self) -> str:
        return digits_of(self.protected)

    def outcomes(
        self, rows: Sequence[Row], links: Sequence[Link | None], payload_hashes: Iterable[str]
    ) -> list[Outcome | None]:
        """The outcomes of rows that need no request; None for those that may need one."""
        return list(map(self._known_outcome, rows, links, payload_hashes))

    def ids_to_write(
        self, links: Sequence[Link | None], outcomes: Sequence[Outcome | None]
    ) -> set[str]:
        """Apollo ids of records that will be written, so that other rows with them matter."""
        if self.mode is not Mode.UPSERT:
            return set()
        return {
            link.apollo_id
            for link, outcome in zip(links, outcomes, strict=True)
            if outcome is None and link is not None and link.apollo_id
        }

    def histories(
        self,
        rows: Sequence[Row],
        histories: Sequence[RowHistory],
        links: Sequence[Link | None],
        outcomes: Sequence[Outcome | None],
        *,
        formers: Mapping[int, Former],
        shared: set[str],
        held: set[int],
        run_starts: Mapping[str, datetime],
    ) -> list[RowHistory]:
        """Completes the histories of rows with the contents of their links.

        Args:
            histories: The rows' histories from `new_history`.
            outcomes: The rows' outcomes from the method `outcomes`.
            formers: Row number -> earlier rejection, for rows that were rejected before.
            shared: Apollo ids that are linked to more than one source key.
            held: Numbers of deleted rows whose record another row has too.
            run_starts: Run id -> start of the run. Writes of runs that are not in it do not count
                as interrupted.
        """
        found: list[RowHistory] = []
        to_change: set[str | None] = set()
        for row, history, link, outcome in zip(rows, histories, links, outcomes, strict=True):
            if link is None or (outcome is None and self._is_new_again(link)):
                to_change.update({row.match_key, row.apollo_id, *row.more_keys} - {None})
                found.append(history)
                continue
            if is_outdated(formers.get(row.number), link):
                found.append(with_values(history, outcome=Outcome.SKIPPED))
                continue
            apollo_id = row.apollo_id or link.apollo_id
            if link.status is LinkStatus.ERROR and row.number not in formers:
                before = self._rejected_before(row, link, history.payload_hash)
                history = with_values(history, link=link, rejected_before=before)
            elif outcome is Outcome.REJECTED:
                outcome = None
            # The link is outdated if an earlier row of the batch writes to the record.
            if outcome is not None and to_change.isdisjoint(
                (row.match_key, apollo_id, *row.more_keys)
            ):
                found.append(with_values(history, outcome=outcome, apollo_id=link.apollo_id))
                continue
            if row.number in held:
                found.append(with_values(history, is_held=True, apollo_id=link.apollo_id))
                continue
            if row.apollo_id or not self._has_other_address(row, link):
                # For a row with another address `sync.identity` decides which record it has.
                to_change.update({row.match_key, apollo_id, *row.more_keys} - {None})
            is_shared = link.apollo_id in shared and not row.apollo_id and not row.deleted
            found.append(self._of_link(row, history, link, run_starts, is_shared=is_shared))
        return found

    def _of_link(
        self,
        row: Row,
        history: RowHistory,
        link: Link,
        run_starts: Mapping[str, datetime],
        *,
        is_shared: bool,
    ) -> RowHistory:
        # Two rows with one address share a record. If this row now has another address, the record
        # may belong to the other row; Apollo's match by address decides.
        apollo_id = None if is_shared else link.apollo_id
        # A record that was confirmed before was not created by the run that was interrupted.
        may_be_made = is_interrupted(link) and link.first_synced_at is None
        sent_at = run_starts.get(link.run_id or "") if may_be_made else None
        left_open = sent_at is not None and link.status is LinkStatus.PENDING
        written_to = row.apollo_id or (None if self.mode is Mode.INSERT else apollo_id)
        return with_values(
            history,
            link=link,
            has_other_address=not row.apollo_id and self._has_other_address(row, link),
            names_record=bool(row.apollo_id),
            apollo_id=apollo_id,
            sent_at=sent_at,
            sent_by=link.run_id if left_open else None,
            sent_under=link.match_hash if sent_at and has_new_address(link, row) else None,
            # Rejected after its record was created: the record is the row's own, however old.
            made_record=bool(
                link.status is LinkStatus.ERROR and link.apollo_id and not link.first_synced_at
            ),
            updated_at=link.apollo_updated_at,
            keeps_match=(
                not self.full_resync
                and written_to == link.apollo_id
                and link.status in HOLDING_VALUES
                and bool(row.match_key)
                and link.match_hash in address_hashes(row)
            ),
            may_be_unchanged=self._may_be_unchanged(row, link),
        )

    def _known_outcome(self, row: Row, link: Link | None, payload_hash: str) -> Outcome | None:
        if link is None or self.full_resync:
            return None
        if link.status is LinkStatus.ERROR:
            before = self._rejected_before(row, link, payload_hash)
            return Outcome.REJECTED if before in NOT_SENT_AGAIN else None
        if link.status is LinkStatus.GONE:
            if row.deleted:
                # There is nothing left to move.
                return Outcome.SKIPPED
            is_left = self.leaves_gone and not may_be_of_another(link, row)
            return Outcome.SKIPPED if is_left else None
        if self.mode is Mode.INSERT:
            is_there = link.status in CONFIRMED and not self._has_other_address(row, link)
            return Outcome.EXISTING if is_there else None
        if row.apollo_id and row.apollo_id != link.apollo_id:
            held = [hash_of_merged(payload_hash, row.apollo_id)]
        elif not self._may_be_unchanged(row, link):
            return None
        elif row.deleted and link.is_deleted:
            is_moved = is_moved_to(link.payload_hash, payload_hash, self._protected_digits)
            return Outcome.UNCHANGED if is_moved else None
        elif link.holds(payload_hash):
            return Outcome.UNCHANGED
        elif not link.holds_something:
            return None
        else:
            held = [payload_hash]
            if self.policies is not None:
                # The same values may have been written before there was a policy.
                held.append(payload_hash_of(row, None))
        stage = self.object_type.endpoints.stage_key
        if self.protected and (stage in row.values or stage in row.names):
            held += [hash_of_kept_stage(one, self.protected) for one in held]
        return Outcome.UNCHANGED if any(map(link.holds, held)) else None

    def _rejected_before(self, row: Row, link: Link, payload_hash: str | None) -> str | None:
        """Why a row was rejected as it is now, not long ago; None if it is to be tried again."""
        if self.today is None or self.full_resync or row.deleted or not link.payload_hash:
            return None
        own = hash_of_row(row, payload_hash, self.mode, row.apollo_id)
        return link.error if is_left_alone(link, own, self.today) else None

    def _has_other_address(self, row: Row, link: Link) -> bool:
        """Whether the record has another match key than the row, and the row has it newly.

        If the row had it before and a policy still keeps it from the record, nothing is to be
        decided. In mode insert, where nothing is written to the record, any equal key is enough.
        """
        if not (link.apollo_id and link.address_of_row and row.match_key):
            return False
        own = first_hashes(row)
        if link.match_hash in own:
            return False
        if link.row_hash in own and (self.mode is Mode.INSERT or self._is_kept(row.match_key)):
            return False
        return self.mode is not Mode.INSERT or link.match_hash not in hashes(row)

    def _is_kept(self, match_key: str) -> bool:
        """Whether a policy keeps a match key from records that have another one."""
        if self.policies is None:
            return False
        kind = kind_of(self.object_type, match_key)
        if kind.startswith(CUSTOM):
            policy = self.policies.of_custom(kind[len(CUSTOM) :])
        else:
            policy = self.policies.of(kind)
        return policy not in (FieldPolicy.OVERWRITE, FieldPolicy.NEWEST)

    def _is_new_again(self, link: Link) -> bool:
        """Whether a row counts as new since its record is gone, and it may be written.

        A full resync looks for the record in Apollo first.
        """
        return link.status is LinkStatus.GONE and not self.full_resync

    def _may_be_unchanged(self, row: Row, link: Link) -> bool:
        if self.full_resync or self.mode is Mode.INSERT:
            return False
        return not row.apollo_id or row.apollo_id == link.apollo_id


def new_history(
    key: str,
    payload_hash: str,
    former: Former | None,
    run_starts: Mapping[str, datetime],
    *,
    names_record: bool = False,
) -> RowHistory:
    """The history of a row without a link, as in a first sync.

    Args:
        former: The row's earlier rejection, if there was one. The row is then as old as the run
            that read it from its source.
        names_record: Whether the row itself has an Apollo id.
    """
    if former is None:
        return RowHistory(key, payload_hash, names_record=names_record)
    read_at = run_starts.get(former.first_run_id, _LONG_AGO)
    return RowHistory(key, payload_hash, read_at=read_at, names_record=names_record)


def time_of_record(history: RowHistory, apollo_id: str) -> str | None:
    """Apollo's time of the row's last write to this record; None if it has written to another."""
    link = history.link
    return history.updated_at if link is not None and link.apollo_id == apollo_id else None


def shared_ids(links: Mapping[str, Sequence[Link]]) -> set[str]:
    """The Apollo ids that are linked to more than one source key, apart from deleted rows."""
    return {
        apollo_id
        for apollo_id, held in links.items()
        if sum(not link.is_deleted for link in held) > 1
    }


def is_interrupted(link: Link) -> bool:
    """Whether the last write was sent and never confirmed, so Apollo may have carried it out."""
    if link.status is LinkStatus.PENDING:
        return bool(link.run_id)
    return link.error == Reason.NOT_CONFIRMED.value and bool(link.match_hash)


def is_outdated(former: Former | None, link: Link) -> bool:
    """Whether a later run has read the row of a rejected record again and written it."""
    if former is None or former.first_at is None or link.last_synced_at is None:
        return False
    return link.status in CONFIRMED and link.last_synced_at > former.first_at
