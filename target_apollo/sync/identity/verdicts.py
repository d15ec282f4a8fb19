"""The table of verdicts: which record a row has, by the evidence of ledger, run and Apollo. Pure.

A source key does not always mean the same person: keys shift, records are merged or deleted in
Apollo, and an address moves from one record to another. So address and name of a row are compared
with its record too, and `VERDICTS` says what follows, for every create, update and deletion.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, fields

from target_apollo.apollo import EndpointForbidden
from target_apollo.model.match_keys import called
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.outcomes import Reason, Rejection


class LinkedRecord(enum.Enum):
    """The record that the ledger links the row's source key to."""

    #: There is no link, or it has no record.
    NONE = enum.auto()
    #: The record is not known to be gone, and no other row has its address.
    THERE = enum.auto()
    #: Another row has the address that the record was last given.
    CLAIMED = enum.auto()
    #: Apollo says that the record is deleted or missing.
    DEAD = enum.auto()
    #: No link, but bulk_create matched the record with the row.
    MATCHED = enum.auto()


class Address(enum.Enum):
    """The row's address, compared with the address that the linked record was last given."""

    SAME = enum.auto()
    OTHER = enum.auto()
    #: The row has no address, or the ledger has none for the record.
    UNKNOWN = enum.auto()


class Name(enum.Enum):
    """The row's name, compared with the linked record's name in Apollo."""

    #: They share a word: a person who marries keeps the first name.
    SAME = enum.auto()
    OTHER = enum.auto()
    #: One of them has no name, or they were not compared.
    UNKNOWN = enum.auto()


class Holder(enum.Enum):
    """Which record in Apollo has the row's address now."""

    NOBODY = enum.auto()
    #: The linked record itself, perhaps as an additional address.
    LINKED = enum.auto()
    #: Another record, which belongs to no other row.
    FREE = enum.auto()
    #: Another record; its row gets another address in this batch.
    LEAVING = enum.auto()
    #: Another record; its row keeps the address.
    TAKEN = enum.auto()
    SEVERAL = enum.auto()


class Verdict(enum.Enum):
    """The result for a row. The summary has the values."""

    #: The row has the linked record.
    SAME = "same"
    #: The row is a person or company without a record in the ledger.
    NEW = "new"
    #: The row has the linked record, which gets another address.
    ADDRESS_CHANGED = "address_changed"
    #: The row has another record than the linked one: the record with its address.
    MOVED = "moved"
    #: The linked record is gone, and another one has the row's address: somebody merged the two.
    MERGED = "merged"
    #: The linked record is gone, and no other has the row's address.
    GONE = "gone"
    #: The row's address belongs to a record of another row.
    HELD_BY_ANOTHER = "held_by_another"
    #: Several records have the row's address.
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class Case:
    """A line of the table; None fits every value."""

    linked: LinkedRecord | None
    address: Address | None
    holder: Holder | None
    name: Name | None
    verdict: Verdict


_L, _A, _H, _N, _V = LinkedRecord, Address, Holder, Name, Verdict

#: The first line that fits decides.
VERDICTS: tuple[Case, ...] = (
    #    linked      address     holder       name       verdict
    Case(_L.NONE, None, _H.SEVERAL, None, _V.AMBIGUOUS),
    Case(_L.NONE, None, _H.TAKEN, None, _V.HELD_BY_ANOTHER),
    Case(_L.NONE, None, _H.FREE, None, _V.SAME),
    Case(_L.NONE, None, _H.LEAVING, None, _V.SAME),
    Case(_L.NONE, None, None, None, _V.NEW),
    Case(_L.DEAD, None, _H.SEVERAL, None, _V.AMBIGUOUS),
    Case(_L.DEAD, None, _H.TAKEN, None, _V.HELD_BY_ANOTHER),
    Case(_L.DEAD, None, _H.FREE, None, _V.MERGED),
    # The record was another person's or company's, so its deletion does not concern the row.
    Case(_L.DEAD, _A.OTHER, None, None, _V.NEW),
    Case(_L.DEAD, None, None, None, _V.GONE),
    Case(_L.MATCHED, None, _H.NOBODY, None, _V.SAME),
    # Two people may share an additional address of a record.
    Case(_L.MATCHED, None, _H.LINKED, _N.OTHER, _V.HELD_BY_ANOTHER),
    Case(_L.MATCHED, None, _H.LINKED, None, _V.SAME),
    Case(_L.MATCHED, None, _H.SEVERAL, None, _V.AMBIGUOUS),
    # One key of the row belongs to one record, another key to a second record.
    Case(_L.MATCHED, None, None, None, _V.HELD_BY_ANOTHER),
    Case(None, _A.SAME, None, None, _V.SAME),
    Case(None, _A.UNKNOWN, None, None, _V.SAME),
    Case(None, None, _H.LINKED, None, _V.SAME),
    Case(None, None, _H.SEVERAL, None, _V.AMBIGUOUS),
    Case(None, None, _H.TAKEN, None, _V.HELD_BY_ANOTHER),
    Case(None, None, _H.FREE, None, _V.MOVED),
    # Rows that exchange their addresses keep their records if they keep their names.
    Case(_L.CLAIMED, None, None, _N.SAME, _V.ADDRESS_CHANGED),
    Case(_L.CLAIMED, None, None, None, _V.NEW),
    # Another address and another name: the key means somebody else now.
    Case(None, None, None, _N.OTHER, _V.NEW),
    Case(None, None, None, None, _V.ADDRESS_CHANGED),
)


@dataclass(frozen=True)
class Evidence:
    """The evidence on one row and its record."""

    linked: LinkedRecord
    address: Address
    holder: Holder
    name: Name = Name.UNKNOWN


def verdict_of(evidence: Evidence) -> Verdict:
    """The verdict of the first line of the table that fits."""
    return next(case.verdict for case in VERDICTS if _fits(case, evidence))


def _fits(case: Case, evidence: Evidence) -> bool:
    return all(
        getattr(case, part.name) in (None, getattr(evidence, part.name))
        for part in fields(Evidence)
    )


def conflict(
    object_type: ObjectType,
    evidence: Evidence,
    linked: str | None,
    others: Sequence[str],
    key: str | None = None,
) -> Rejection:
    """The rejection of a row if its verdict allows no record.

    Args:
        linked: Id of the record by its link, or by bulk_create, if there is one.
        others: Ids of other records that have the row's address, if there are any.
        key: The match key that these records have, if it may be another key than the address.
    """
    noun = object_type.singular
    address = called(object_type, key)
    if others:
        nouns = noun if len(others) == 1 else f"{noun}s"
        owned = ", which another row has" if evidence.holder is Holder.TAKEN else ""
        parts = [f"its {address} is that of {nouns} {' and '.join(others)}{owned}"]
        if linked and evidence.linked is LinkedRecord.MATCHED:
            parts.append(f"another of its keys is that of {noun} {linked}")
        elif linked:
            parts.append(f"its key is linked to {noun} {linked}")
    elif evidence.holder is Holder.LINKED:
        parts = [
            f"its {address} is a further one of {noun} {linked}, which has another name and "
            f"another first {address}"
        ]
    elif evidence.linked is LinkedRecord.MATCHED:
        parts = [f"Apollo takes it for {noun} {linked}, which another row has"]
    else:
        parts = [
            f"its key is linked to {noun} {linked}, which has another {address} and another name, "
            f"and no {noun} has its {address}"
        ]
    return Rejection(
        Reason.IDENTITY_CONFLICT,
        f"{'; '.join(parts)}. Nothing was written: merge the {noun}s in Apollo, or correct the row",
        attempts=1,
    )


def unasked(object_type: ObjectType, record_id: str, refusal: EndpointForbidden) -> Rejection:
    """Why a row is rejected that has another address than the record that it would be written to.

    Args:
        refusal: Why it is not known whether another record has that address.
    """
    noun = object_type.singular
    return Rejection(
        Reason.IDENTITY_CONFLICT,
        f"the row has another address than {noun} {record_id}, which one of its keys names, and "
        f"whether another {noun} has it can't be asked: {refusal}",
        attempts=1,
    )
