"""Rows with a key that is linked to a record with another address than the row's. Pure.

A `Doubt` collects the evidence on one such row. The functions here add the evidence from the links
and the other rows of the batch; `check` asks Apollo for the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from target_apollo.ledger import Link, match_hash
from target_apollo.model.objects.registry import Json
from target_apollo.model.rows import Row
from target_apollo.sync.identity.verdicts import (
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Name,
    Verdict,
    verdict_of,
)
from target_apollo.sync.links.addresses import first_hashes, hashes, keeps_address
from target_apollo.sync.links.recall import RowHistory

#: `Link.row` (source, stream and source key) -> a row of the batch.
RowsByKey = Mapping[tuple[str, str, str], Row]


@dataclass
class Doubt:
    """A row whose key is linked to a record that was last given another address.

    Attributes:
        link: The link of its key; `linked_id` is the record's id.
        owners: Id of another record that has the row's address by the ledger -> links of the rows
            that have that record.
        holder: Which record has the row's address; None if that is not known yet.
        others: Ids of the other records that have the address.
        shown: The linked record as Apollo shows it, after it was read.
        key: The row's key by which a record was found in Apollo.
    """

    row: Row
    link: Link
    owners: Mapping[str, Sequence[Link]]
    linked: LinkedRecord = LinkedRecord.THERE
    holder: Holder | None = None
    name: Name = Name.UNKNOWN
    others: tuple[str, ...] = ()
    shown: Json | None = field(default=None, repr=False)
    key: str | None = None

    @property
    def linked_id(self) -> str:
        """Id of the record that the row's key is linked to."""
        return self.link.apollo_id or ""

    @property
    def evidence(self) -> Evidence:
        """The evidence so far; an unknown holder of the address counts as none."""
        return Evidence(self.linked, Address.OTHER, self.holder or Holder.NOBODY, self.name)

    @property
    def is_by_first_key(self) -> bool:
        """Whether the record that was found has the first of the row's keys."""
        return self.key in (None, self.row.match_key)

    @property
    def is_contested(self) -> bool:
        """Whether the decision depends on another row too."""
        return self.linked is LinkedRecord.CLAIMED or self.holder is Holder.LEAVING


def doubts_of(
    rows: Sequence[Row],
    histories: Mapping[int, RowHistory],
    holders: Mapping[str, Sequence[Link]],
) -> list[Doubt]:
    """The doubts about rows with another address than their record was last given.

    Args:
        holders: Hash of an address -> links of the rows whose record was last given it.
    """
    found: list[Doubt] = []
    for row in rows:
        link = histories[row.number].link
        if link is None:
            continue
        owners: dict[str, list[Link]] = {}
        for other in holders.get(match_hash(row.match_key or ""), ()):
            if other.apollo_id and other.apollo_id != link.apollo_id:
                owners.setdefault(other.apollo_id, []).append(other)
        doubt = Doubt(row, link, owners)
        if link.match_hash in hashes(row):
            # The record was given another key of this row, so it is the same person.
            doubt.name = Name.SAME
        found.append(doubt)
    return found


def moved_whole(doubt: Doubt, history: RowHistory, batch: RowsByKey) -> str | None:
    """The id of the one other record that holds all values of the row; its key alone has changed.

    None if the record's own row keeps its address.
    """
    if len(doubt.owners) != 1 or doubt.row.deleted or history.payload_hash is None:
        return None
    record_id, owners = next(iter(doubt.owners.items()))
    if not any(owner.holds(history.payload_hash) for owner in owners):
        return None
    return None if any(keeps_address(owner, batch) for owner in owners) else record_id


def weigh(
    doubts: Sequence[Doubt],
    batch: RowsByKey,
    claimed: Collection[str],
    sharing: Mapping[str, Sequence[Link]],
) -> None:
    """Adds the evidence from other rows to the doubts.

    Args:
        batch: All rows of the batch.
        claimed: Ids of records that hold all values of another row of the batch.
        sharing: Id of a linked record -> the links of all rows that have it.
    """
    carried = _addresses(batch.values())
    for doubt in doubts:
        others = carried.get(doubt.link.match_hash or "", set()) - {doubt.row.number}
        sharers = [
            other
            for other in sharing.get(doubt.linked_id, ())
            if other.row != doubt.link.row and other.match_hash == doubt.link.match_hash
        ]
        if doubt.linked_id in claimed:
            doubt.linked, doubt.name = LinkedRecord.CLAIMED, Name.OTHER
        elif others or sharers:
            doubt.linked = LinkedRecord.CLAIMED
        if doubt.owners:
            doubt.others = tuple(doubt.owners)
            doubt.holder = _holder(doubt, batch)


def forget_dead_holders(doubts: Sequence[Doubt]) -> None:
    """Marks the holder of an address as unknown if it is gone: it may be merged into another."""
    dead = {doubt.linked_id for doubt in doubts if doubt.linked is LinkedRecord.DEAD}
    for doubt in doubts:
        if doubt.others and dead.issuperset(doubt.others):
            doubt.owners, doubt.others, doubt.holder = {}, (), None


def share_out(doubts: Sequence[Doubt]) -> None:
    """If several rows get the same new address, lets only the first write it to its record."""
    first: dict[str, Doubt] = {}
    for doubt in doubts:
        if verdict_of(doubt.evidence) is Verdict.ADDRESS_CHANGED and doubt.row.match_key:
            taking = first.setdefault(doubt.row.match_key, doubt)
            if taking.linked_id != doubt.linked_id:
                doubt.holder, doubt.others = Holder.TAKEN, (taking.linked_id,)


def free_addresses(doubts: Sequence[Doubt], batch: RowsByKey) -> bool:
    """Marks records as free if their rows get another record, so that they keep their address.

    If a row that is not in the batch has such a record too, the record is still that row's.

    Returns:
        Whether this changed a doubt: its row may now get another record too.
    """
    readdressing = {
        doubt.row.number
        for doubt in doubts
        if verdict_of(doubt.evidence) is Verdict.ADDRESS_CHANGED
    }
    changed = False
    for doubt in doubts:
        if doubt.holder is not Holder.LEAVING:
            continue
        rows = _rows_of_holder(doubt, batch)
        if not any(row.number in readdressing or row.apollo_id for row in rows):
            has_others = len(rows) < len(doubt.owners[doubt.others[0]])
            doubt.holder, changed = (Holder.TAKEN if has_others else Holder.FREE), True
    return changed


def keep_addresses(doubts: Sequence[Doubt], staying: set[int], batch: RowsByKey) -> bool:
    """Marks addresses as taken if the row that would have left them is not written.

    Args:
        staying: Numbers of rows that are not written, so that their record keeps its address.

    Returns:
        Whether this changed a doubt: its row may then not be written either.
    """
    changed = False
    for doubt in doubts:
        is_left = doubt.holder in (Holder.LEAVING, Holder.FREE) and bool(doubt.owners)
        if is_left and any(row.number in staying for row in _rows_of_holder(doubt, batch)):
            doubt.holder, changed = Holder.TAKEN, True
    return changed


def of_absent_rows(doubts: Sequence[Doubt], batch: RowsByKey) -> list[Doubt]:
    """The doubts about rows with the address of a record whose rows are not in the batch.

    Those rows may be missing in the table: after a deletion the following keys may shift.
    """
    return [
        doubt
        for doubt in doubts
        if doubt.holder is Holder.TAKEN
        and len(doubt.others) == 1
        and not doubt.row.deleted
        and not any(owner.row in batch for owner in doubt.owners.get(doubt.others[0], ()))
    ]


def _rows_of_holder(doubt: Doubt, batch: RowsByKey) -> list[Row]:
    """The rows of the batch that have the record with the doubt's address, by the ledger."""
    owners = doubt.owners[doubt.others[0]]
    return [batch[owner.row] for owner in owners if owner.row in batch]


def _addresses(rows: Iterable[Row]) -> dict[str, set[int]]:
    """Hash of an address -> numbers of the rows with it."""
    found: dict[str, set[int]] = {}
    for row in rows:
        if not row.deleted:
            for one in first_hashes(row):
                found.setdefault(one, set()).add(row.number)
    return found


def _holder(doubt: Doubt, batch: RowsByKey) -> Holder:
    if len(doubt.owners) > 1:
        return Holder.SEVERAL
    owners = [owner for owner in doubt.owners[doubt.others[0]] if owner.row in batch]
    is_kept = not owners or any(keeps_address(owner, batch) for owner in owners)
    return Holder.TAKEN if is_kept else Holder.LEAVING
