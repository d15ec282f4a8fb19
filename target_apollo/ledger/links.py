"""The link of a source key to an Apollo record: its states and the changes between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import NamedTuple

import msgspec

from target_apollo.ledger.failures import UnreadableValue


class Place(NamedTuple):
    """The stream, source, kind of Apollo record and Apollo team that a link belongs to.

    Attributes:
        connection: The Apollo team's id.
        object: ``contact`` or ``account``.
        stream: The Singer stream's name.
        source: The setting `source`, since two taps may have streams of one name; empty where it is
            not set.
    """

    connection: str
    object: str
    stream: str
    source: str = ""


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


class Link(msgspec.Struct, frozen=True, gc=False):
    """What the ledger knows about one source key."""

    source_key: str
    apollo_id: str | None
    #: Hash of the values that Apollo is known to hold; ``None`` where they are not known.
    payload_hash: str | None
    status: LinkStatus
    #: Aware, UTC. ``None`` until Apollo has confirmed a write.
    first_synced_at: datetime | None
    #: Aware, UTC: Apollo has the source's changes up to this moment; see ``LinkOutcome``.
    last_synced_at: datetime | None
    error: str | None
    run_id: str | None
    #: Hash of the e-mail or domain that the record has, as far as this row gave it or saw it there;
    #: of a create that is not confirmed, the one that was sent.
    match_hash: str | None = None
    #: Apollo's `updated_at` of the record, as it answered the last write.
    apollo_updated_at: str | None = None
    stream: str = ""
    #: As in ``Place``.
    source: str = ""
    #: Hash of the row's own e-mail or domain where the record was not given it; ``None`` where the
    #: record has it.
    row_hash: str | None = None
    #: Digests of values that the record is known to hold and that need a request of their own.
    single_hashes: str | None = None

    @property
    def address_of_row(self) -> str | None:
        """Hash of the e-mail or domain that the row had when it was last written."""
        return self.row_hash or self.match_hash

    @property
    def row(self) -> tuple[str, str, str]:
        """The row: source, stream and source key. Rows of two streams may have the same key."""
        return (self.source, self.stream, self.source_key)

    @property
    def holds_nothing(self) -> bool:
        """Whether the row was rejected before anything was sent for it."""
        return self.status is LinkStatus.ERROR and not self.apollo_id and not self.match_hash

    def is_left_alone(self, match_hash: str | None) -> bool:
        """Whether the record was deleted in Apollo and the row's e-mail or domain has not changed.

        Args:
            match_hash: Of the row's present e-mail or domain.
        """
        return self.status is LinkStatus.GONE and self.match_hash == match_hash

    @property
    def is_gone(self) -> bool:
        """Whether somebody deleted the record in Apollo."""
        return self.status is LinkStatus.GONE

    @property
    def is_deleted(self) -> bool:
        """Whether the row was deleted at its source."""
        return (self.payload_hash or "").startswith(DELETED)

    @property
    def holds_something(self) -> bool:
        """Whether the link has the hash of values that Apollo is known to hold."""
        return self.payload_hash is not None and self.status in HOLDING_VALUES

    def holds(self, payload_hash: str) -> bool:
        """Whether Apollo is known to hold exactly this payload, so that it need not be sent."""
        return (
            self.payload_hash == payload_hash
            and self.apollo_id is not None
            and self.status in HOLDING_VALUES
        )


class Intent(msgspec.Struct, frozen=True, gc=False):
    """A write that is about to go out for a source key."""

    source_key: str
    #: The record to be updated; ``None`` keeps the id that the link has.
    apollo_id: str | None = None
    #: Hash of the e-mail or domain that the record has, whether or not the write arrives, or by
    #: which a created record can be found; ``None`` for one that gets another address.
    match_hash: str | None = None
    #: As in ``Link``, of the values that the record holds whether or not the write arrives.
    single_hashes: str | None = None


class LinkOutcome(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a source key's row. Raises ``ValueError`` where the fields contradict.

    A confirmed status needs ``apollo_id``; ``GONE`` needs the id of the deleted record; with
    ``ERROR``, ``None`` keeps the link's id. ``EXISTING`` has no ``payload_hash``; that of
    ``ERROR`` is a mark, and says nothing about what Apollo holds.
    """

    source_key: str
    status: LinkStatus
    apollo_id: str | None = None
    payload_hash: str | None = None
    #: Why the row was rejected; e-mail addresses in it are withheld.
    error: str | None = None
    #: Aware: when the row was read from its source. If unknown, the start of the run, else the
    #: present. It must not be later than the reading: the row may have changed since then, and the
    #: mapper would take that change for synced and never send it.
    synced_at: datetime | None = None
    #: Hash of the e-mail or domain that the record now has; ``None`` where that is not known.
    match_hash: str | None = None
    #: Apollo's `updated_at` in its answer to the write, where there was one.
    apollo_updated_at: str | None = None
    #: Whether this write changed the record's e-mail or domain.
    is_readdressed: bool = False
    #: Hash of the row's e-mail or domain where the record was not given it.
    row_hash: str | None = None
    #: As in ``Link``.
    single_hashes: str | None = None
    #: Whether Apollo has the row's changes up to `synced_at`. A row that is still to be written has
    #: no such moment, or the mapper would take it for synced.
    is_synced: bool = True

    def __post_init__(self) -> None:
        status = self.status
        if status is LinkStatus.PENDING:
            raise ValueError("pending is an intent, not an outcome")
        if self.apollo_id is None and (status in CONFIRMED or status is LinkStatus.GONE):
            raise ValueError(f"the outcome {status.value} needs the Apollo id")
        if self.payload_hash is not None and status is LinkStatus.EXISTING:
            raise ValueError(f"the outcome {status.value} has no payload hash")
