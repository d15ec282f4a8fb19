"""What became of the last write of a link: its states, and what each says of the record."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from target_apollo.ledger.database_errors import UnreadableValue


class LinkStatus(Enum):
    """What became of the last write of a link.

    ::

        (no link) ──intent──▶ PENDING     a write is about to go out
        PENDING ──outcome──▶ CREATED | UPDATED | UNCHANGED | EXISTING | ERROR | GONE
        any of these ──intent──▶ PENDING  a write is about to go out again
        any of these ──outcome──▶ any but PENDING
                                          no request was needed, or the row was rejected before it
        any of these ──drop──▶ (no link)  the Apollo record is gone, and the row is new again

    A link that is PENDING at the start of a run comes from a run that was killed or lost the
    answer: the write may have happened or not. The link has no payload hash, so the row is written
    again. That is harmless: ``run_dedupe`` recognises a created record, and an update can be
    repeated.
    """

    #: A request may have gone out; no answer is known. No payload hash.
    PENDING = "pending"
    #: Apollo confirmed that it created the record.
    CREATED = "created"
    #: Apollo confirmed that it changed the record.
    UPDATED = "updated"
    #: Apollo already had the row's values.
    UNCHANGED = "unchanged"
    #: Insert mode: Apollo had the record, and it was not changed. No payload hash, since its values
    #: were not compared.
    EXISTING = "existing"
    #: The row was rejected. In place of a payload hash there may be a mark of the caller, which
    #: tells whether the row has changed since.
    ERROR = "error"
    #: Somebody deleted the record in Apollo, and the row may not create it again: it is not written
    #: until its e-mail or domain changes. The link keeps the former id and both hashes.
    GONE = "gone"


#: The numbers never change; a new status gets a new one.
STATUS_NUMBERS: Mapping[LinkStatus, int] = {
    LinkStatus.PENDING: 1,
    LinkStatus.CREATED: 2,
    LinkStatus.UPDATED: 3,
    LinkStatus.UNCHANGED: 4,
    LinkStatus.EXISTING: 5,
    LinkStatus.ERROR: 6,
    LinkStatus.GONE: 7,
}


class _Statuses(dict[object, LinkStatus]):
    def __missing__(self, number: object) -> LinkStatus:
        raise UnreadableValue("the status of a link is none that target-apollo writes")


#: Number -> status.
STATUSES: Mapping[object, LinkStatus] = _Statuses(
    {number: status for status, number in STATUS_NUMBERS.items()}
)

# Tuples and not sets, since an enum's __hash__ is a slow call of Python code.
#: Apollo holds the row's values, and the link keeps their hash.
HOLDING_VALUES = (LinkStatus.CREATED, LinkStatus.UPDATED, LinkStatus.UNCHANGED)
#: The record is in Apollo.
CONFIRMED = (*HOLDING_VALUES, LinkStatus.EXISTING)
#: Prefix of `Link.payload_hash` where the row was deleted at its source.
DELETED = "deleted:"
#: Prefix of `Link.source_key` where no row has the record: its key means somebody else now.
WITHOUT_ROW = "record:"
