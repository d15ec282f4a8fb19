"""What is left to do about the rows of a flush, by what the ledger knows of them. Pure.

Rows whose values Apollo is known to hold need no request; rows whose Apollo id is known go straight
to an update. `linking` asks the ledger, and decides by these in between.

What earlier runs left to say about the rows of a flush.

How the ledger spells a row: its key, and a hash of what it would write. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

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
from target_apollo.sync.rejects_file import Former


@dataclass(frozen=True)
class Strayed:
    """A create that was sent under another e-mail or domain than the row has now.

    Attributes:
        match_hash: Hash of what it was sent under.
        since: When the run began that sent it.
    """

    match_hash: str
    since: datetime


@dataclass(frozen=True)
class Memory:
    """Rows of a flush, sorted by what the ledger knows of them; all by the rows' numbers.

    Attributes:
        open: Rows to be written, with their Apollo id where it is known.
        settled: Rows that need no request, with outcome and Apollo id. Their links stay as they
            are.
        unfinished: Rows whose last write was sent and never confirmed, and when the run that sent
            them began.
        strayed: Those of them whose record may stand in Apollo under a former e-mail or domain.
        own: Rows that were rejected after they had made a record, which is to be completed.
        left_at: Apollo's `updated_at` of the row's record as the last write left it.
        same_match: Rows whose record was last given the e-mail or domain that they still have.
    """

    open: list[Row] = field(default_factory=list)
    settled: list[tuple[Row, Outcome, str | None]] = field(default_factory=list)
    unfinished: Mapping[int, datetime] = field(default_factory=dict)
    strayed: Mapping[int, Strayed] = field(default_factory=dict)
    own: AbstractSet[int] = frozenset()
    left_at: Mapping[int, str] = field(default_factory=dict)
    same_match: AbstractSet[int] = frozenset()


def key_of(row: Row) -> str:
    """The row's source key as the ledger spells it; e-mails in it are hashed.

    Raises:
        RecordError: A key property holds an object or an array.
    """
    try:
        return source_key(row.key)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, str(problem)) from None


def payload_hash_of(row: Row, policies: Policies | None) -> str:
    """Stands for all that a row would write, and for the policies that may keep it from that.

    Args:
        policies: None where none of them keeps anything from being written.
    """
    if row.deleted:
        return deletion_mark(row.values, row.lists)
    payload: dict[str, object] = {"values": row.values, "custom": row.custom, "lists": row.lists}
    if policies is not None and (keeping := policies.keeping(row)):
        payload["policies"] = keeping
    return payload_hash_of_texts(payload)


def deletion_mark(values: Values, lists: Sequence[str]) -> str:
    """Stands for the payload of a deleted row, whose record is moved to this stage or list."""
    return DELETED + ",".join([*(value or "" for value in values.values()), *lists])


@dataclass(frozen=True)
class Sorted:
    """The rows of a flush, as far as the links to them tell.

    Attributes:
        memory: Lacks what `CutOff` says.
        held: Deleted rows whose record stays for another row, with its Apollo id.
        cut_off: Open rows whose last write was sent and never confirmed, with their links.
    """

    memory: Memory
    held: list[tuple[Row, str | None]] = field(default_factory=list)
    cut_off: list[tuple[Row, Link]] = field(default_factory=list)


@dataclass(frozen=True)
class CutOff:
    """What is known of rows that were cut off, once it is known when earlier runs began.

    Attributes:
        left_by: The run that first sent a row which no run has finished yet; by its number.
        unfinished, strayed: As in `Memory`.
    """

    left_by: dict[int, str] = field(default_factory=dict)
    unfinished: dict[int, datetime] = field(default_factory=dict)
    strayed: dict[int, Strayed] = field(default_factory=dict)

    @classmethod
    def by(cls, rows: Iterable[tuple[Row, Link]], run_starts: Mapping[str, datetime]) -> CutOff:
        """Of rows with their links.

        Args:
            run_starts: When runs began, by their ids; rows of other runs are left out.
        """
        found = cls()
        for row, link in rows:
            since = run_starts.get(link.run_id or "")
            if since is None:
                continue
            found.unfinished[row.number] = since
            if link.status is LinkStatus.PENDING and link.run_id:
                found.left_by[row.number] = link.run_id
            if _has_strayed(row, link):
                found.strayed[row.number] = Strayed(link.match_hash or "", since)
        return found


@dataclass(frozen=True)
class Sorter:
    """Sorts the rows of one stream.

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

    def sort(
        self,
        rows: Sequence[Row],
        links: Sequence[Link | None],
        outcomes: Sequence[Outcome | None],
        *,
        formers: Mapping[int, Former],
        shared: set[str],
        held: set[int],
    ) -> Sorted:
        """Sorts the rows of a flush.

        Args:
            formers: By number, what an earlier run said of a row that it rejected.
            shared: Apollo ids that are linked to more than one source key.
            held: Numbers of deleted rows whose record is that of another row too.
        """
        left_at: dict[int, str] = {}
        same_match: set[int] = set()
        own: set[int] = set()
        found = Sorted(Memory(own=own, left_at=left_at, same_match=same_match))
        still_open, settled = found.memory.open, found.memory.settled
        to_change: set[str | None] = set()
        for row, link, outcome in zip(rows, links, outcomes, strict=True):
            if formers and _is_outdated(formers.get(row.number), link):
                settled.append((row, Outcome.SKIPPED, None))
                continue
            apollo_id = row.apollo_id or (link.apollo_id if link is not None else None)
            # What the ledger knows of a record is past once an earlier row of the flush writes it.
            if outcome is not None and to_change.isdisjoint((row.match_key, apollo_id)):
                settled.append((row, outcome, apollo_id))
                continue
            if row.number in held:
                found.held.append((row, apollo_id))
                settled.append((row, Outcome.SKIPPED, None))
                continue
            to_change.update({row.match_key, apollo_id} - {None})
            if apollo_id in shared and not row.apollo_id and not row.deleted:
                # Two rows with one address share a record. If this one has left the address, the
                # record stays with the other; Apollo tells by the address whose it is.
                apollo_id = None
            if apollo_id and self.mode is not Mode.INSERT:
                row = with_values(row, apollo_id=apollo_id)
            if link is not None:
                if _is_cut_off(link):
                    found.cut_off.append((row, link))
                if link.status is LinkStatus.ERROR and link.apollo_id and not link.first_synced_at:
                    # Rejected after its creation: the record is its own, however old.
                    own.add(row.number)
                if not self.full_resync and _keeps_match(row, link):
                    same_match.add(row.number)
                if link.apollo_updated_at is not None:
                    left_at[row.number] = link.apollo_updated_at
            still_open.append(row)
        return found

    def _known_outcome(self, row: Row, link: Link | None, payload_hash: str) -> Outcome | None:
        if link is None or self.full_resync:
            return None
        if self.mode is Mode.INSERT:
            return Outcome.EXISTING if link.status in CONFIRMED else None
        if row.apollo_id and row.apollo_id != link.apollo_id:
            return None
        if link.holds(payload_hash):
            return Outcome.UNCHANGED
        # All of it was written before there was a policy.
        written = self.policies is not None and link.holds(payload_hash_of(row, None))
        return Outcome.UNCHANGED if written else None


def all_open(rows: Iterable[Row]) -> Memory:
    """What `Sorter.sort` makes of rows none of which the ledger knows, as in a first sync."""
    return Memory(open=list(rows))


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
        rows: Those of the flush.
        deleted: As `deleted_links` gives them.
        held: Source keys of the links among them to records that other rows have.
    """
    coming = {match_hash(row.match_key) for row in rows if row.match_key and not row.deleted}
    return {
        number
        for number, link in deleted.items()
        if link.source_key in held or link.match_hash in coming
    }


def _is_outdated(former: Former | None, link: Link | None) -> bool:
    """Whether the row of a rejected record was written since, by a run that read it anew."""
    if former is None or former.first_at is None or link is None or link.last_synced_at is None:
        return False
    return link.status in CONFIRMED and link.last_synced_at > former.first_at


def _is_cut_off(link: Link) -> bool:
    """Whether the last write was sent and never confirmed: Apollo may have carried it out."""
    if link.status is LinkStatus.PENDING:
        return bool(link.run_id)
    return link.error == Reason.NOT_CONFIRMED.value and bool(link.match_hash)


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
