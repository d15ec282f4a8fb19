"""What the ledger remembers of the rows of a batch, one `RowHistory` a row. Pure.

Rows whose values Apollo is known to hold need no request; rows whose Apollo id is known go straight
to an update. `StreamLinks.recall` reads the links from the ledger and calls the functions here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import msgspec
from msgspec.structs import replace as with_values

from target_apollo.ledger import (
    CONFIRMED,
    DELETED,
    HOLDING_VALUES,
    Link,
    LinkStatus,
    match_hash,
    payload_hash_of_texts,
    source_key,
)
from target_apollo.model.outcomes import Outcome, Reason, RecordError
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, Row, Values
from target_apollo.sync.source_record import Former

_NOTHING: Mapping[str, str | None] = {}
#: Used for an unknown time: earlier than any change of a row.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


class RowHistory(msgspec.Struct, frozen=True):
    """What the ledger remembers of one row.

    Attributes:
        source_key: The row's key as the ledger spells it.
        payload_hash: Hash of everything that the row would write.
        apollo_id: Id of its record; None if it is unknown, or if another row may own the record.
        outcome: The outcome of a row that needs no request. Its link stays as it is.
        is_held: Whether the row is deleted and its record is that of another row too.
        sent_at: When the run began that sent the row's last write, if that was never confirmed.
        sent_by: That run, if no run has finished the row since it was first sent.
        sent_under: Hash of the e-mail or domain under which that run may have created the record,
            where the row has another one now.
        made_record: Whether the row was rejected after it had made a record, which is to be
            completed.
        updated_at: Apollo's `updated_at` of the record as the last write left it.
        keeps_match: Whether the record was last given the e-mail or domain that the row still has.
        read_at: When the row came from its source, if that was before this run.
        link: The row's link, with which the row is compared once its names are resolved; None where
            no row is taken for unchanged.
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


#: History of a row that the ledger does not know.
NO_HISTORY = RowHistory()


def key_of(row: Row) -> str:
    """The row's source key as the ledger spells it; e-mails in it are hashed.

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

    Names count as they stand in the row, so that it is told without a request whether it changed.
    Earlier versions hashed the ids: that is the hash of the row with its names resolved. Of a
    deleted row it is the `deletion_mark`.

    Args:
        policies: None where none of them keeps anything from being written.
        waits_for: Field name -> the id that is written in place of that of its name, which Apollo
            does not know yet; None for none.
    """
    if row.deleted:
        return deletion_mark(row.values, row.lists)
    payload: dict[str, object] = {"values": row.values, "custom": row.custom, "lists": row.lists}
    if row.names:
        payload["names"] = {name: text.casefold() for name, (_, text) in row.names.items()}
    if waits_for:
        payload["waiting"] = dict(waits_for)
    if policies is not None and (keeping := policies.keeping(row)):
        payload["policies"] = keeping
    return payload_hash_of_texts(payload)


def deletion_mark(values: Values, lists: Sequence[str]) -> str:
    """Marks the payload of a deleted row: the stage or lists that its record is moved to."""
    return DELETED + ",".join([*(value or "" for value in values.values()), *lists])


@dataclass(frozen=True)
class LinkSorter:
    """Tells from the links of one stream what is left to do about its rows.

    Links stand in the order of the rows, None for a row that the ledger does not know.

    Attributes:
        full_resync: Take no row for unchanged.
        policies: None where none of them keeps anything from being written.
    """

    mode: Mode
    full_resync: bool
    policies: Policies | None

    def outcomes(
        self, rows: Sequence[Row], links: Sequence[Link | None], payload_hashes: Iterable[str]
    ) -> list[Outcome | None]:
        """The outcomes of rows that need no request; None for those that may need one."""
        return list(map(self._known_outcome, rows, links, payload_hashes))

    def ids_to_write(
        self, links: Sequence[Link | None], outcomes: Sequence[Outcome | None]
    ) -> set[str]:
        """Apollo ids of which it must be known whether other rows have them too."""
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
        """Adds to the histories of rows what their links tell.

        Args:
            histories: Those of rows without links, as `new_history` gives them.
            outcomes: As `outcomes` gives them.
            formers: By number, what an earlier run said of a row that it rejected.
            shared: Apollo ids that are linked to more than one source key.
            held: Numbers of deleted rows whose record is that of another row too.
            run_starts: When runs began, by their ids; of other runs it is not known that they were
                interrupted.
        """
        found: list[RowHistory] = []
        to_change: set[str | None] = set()
        for row, history, link, outcome in zip(rows, histories, links, outcomes, strict=True):
            if link is None:
                to_change.update({row.match_key, row.apollo_id} - {None})
                found.append(history)
                continue
            if _is_outdated(formers.get(row.number), link):
                found.append(with_values(history, outcome=Outcome.SKIPPED))
                continue
            apollo_id = row.apollo_id or link.apollo_id
            # An earlier row of the batch that writes the record makes the link stale.
            if outcome is not None and to_change.isdisjoint((row.match_key, apollo_id)):
                found.append(with_values(history, outcome=outcome, apollo_id=link.apollo_id))
                continue
            if row.number in held:
                found.append(with_values(history, is_held=True, apollo_id=link.apollo_id))
                continue
            to_change.update({row.match_key, apollo_id} - {None})
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
        # Two rows with one address share a record. If this one has left the address, the record
        # stays with the other; Apollo tells by the address whose it is.
        apollo_id = None if is_shared else link.apollo_id
        sent_at = run_starts.get(link.run_id or "") if is_interrupted(link) else None
        left_open = sent_at is not None and link.status is LinkStatus.PENDING
        written_to = row.apollo_id or (None if self.mode is Mode.INSERT else apollo_id)
        return with_values(
            history,
            apollo_id=apollo_id,
            sent_at=sent_at,
            sent_by=link.run_id if left_open else None,
            sent_under=link.match_hash if sent_at and _has_new_address(row, link) else None,
            # Rejected after its creation: the record is its own, however old.
            made_record=bool(
                link.status is LinkStatus.ERROR and link.apollo_id and not link.first_synced_at
            ),
            updated_at=link.apollo_updated_at,
            keeps_match=(
                not self.full_resync
                and written_to == link.apollo_id
                and link.status in HOLDING_VALUES
                and bool(row.match_key)
                and link.match_hash == match_hash(row.match_key or "")
            ),
            link=link if row.names and self._may_be_unchanged(row, link) else None,
        )

    def _known_outcome(self, row: Row, link: Link | None, payload_hash: str) -> Outcome | None:
        if link is None or self.full_resync:
            return None
        if self.mode is Mode.INSERT:
            return Outcome.EXISTING if link.status in CONFIRMED else None
        if not self._may_be_unchanged(row, link):
            return None
        if link.holds(payload_hash):
            return Outcome.UNCHANGED
        # All of it was written before there was a policy.
        written = self.policies is not None and link.holds(payload_hash_of(row, None))
        return Outcome.UNCHANGED if written else None

    def _may_be_unchanged(self, row: Row, link: Link) -> bool:
        if self.full_resync or self.mode is Mode.INSERT:
            return False
        return not row.apollo_id or row.apollo_id == link.apollo_id


def new_history(
    key: str, payload_hash: str, former: Former | None, run_starts: Mapping[str, datetime]
) -> RowHistory:
    """The history of a row that the ledger does not know, as in a first sync.

    Args:
        former: What an earlier run said of the row, if it rejected it; the row is as old as the run
            that read it from its source.
    """
    if former is None:
        return RowHistory(key, payload_hash)
    read_at = run_starts.get(former.first_run_id, _LONG_AGO)
    return RowHistory(key, payload_hash, read_at=read_at)


def shared_ids(links: Mapping[str, Sequence[Link]]) -> set[str]:
    """Those Apollo ids that are linked to more than one source key, of all the links to them."""
    return {
        apollo_id
        for apollo_id, held in links.items()
        if sum(not link.is_deleted for link in held) > 1
    }


def deleted_links(rows: Sequence[Row], links: Sequence[Link | None]) -> dict[int, Link]:
    """Links to the records of deleted rows, by the rows' numbers."""
    return {
        row.number: link
        for row, link in zip(rows, links, strict=True)
        if row.deleted and link is not None and link.apollo_id
    }


def left_to_others(rows: Iterable[Row], deleted: Mapping[int, Link], held: set[str]) -> set[int]:
    """Numbers of deleted rows whose record is that of another row too, which is still there.

    Args:
        rows: Those of the batch.
        deleted: As `deleted_links` gives them.
        held: Source keys of the links among them to records that other rows have.
    """
    coming = {match_hash(row.match_key) for row in rows if row.match_key and not row.deleted}
    return {
        number
        for number, link in deleted.items()
        if link.source_key in held or link.match_hash in coming
    }


def is_interrupted(link: Link) -> bool:
    """Whether the last write was sent and never confirmed: Apollo may have carried it out."""
    if link.status is LinkStatus.PENDING:
        return bool(link.run_id)
    return link.error == Reason.NOT_CONFIRMED.value and bool(link.match_hash)


def _is_outdated(former: Former | None, link: Link) -> bool:
    """Whether the row of a rejected record was written since, by a run that read it anew."""
    if former is None or former.first_at is None or link.last_synced_at is None:
        return False
    return link.status in CONFIRMED and link.last_synced_at > former.first_at


def _has_new_address(row: Row, link: Link) -> bool:
    """Whether a create was sent of which nobody knows what became, under another match key."""
    if link.apollo_id or row.apollo_id or not link.match_hash or not row.match_key:
        return False
    return link.match_hash != match_hash(row.match_key)
