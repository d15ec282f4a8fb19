"""The link of a source key to an Apollo record: its states and the changes between them."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import NamedTuple

import msgspec


class Place(NamedTuple):
    """What links belong to: one stream of one source, one kind of Apollo record, one Apollo team.

    Attributes:
        connection: The Apollo team's id.
        object: ``contact`` or ``account``.
        stream: The Singer stream's name.
        source: Where the stream comes from, since two taps may have streams of one name; empty
            where nobody tells.
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
                                          settled without a request, or rejected before one
        any of these ──drop──▶ (no link)  the Apollo record is gone, and the row is new again

    A link that is PENDING at the start of a run was left by a run that was killed, or whose
    answer was lost: the write may have happened or not. It has no payload hash, so the row is
    written again, which ``run_dedupe`` and the idempotence of updates make harmless.
    """

    #: A request may have gone out; no answer is known. No payload hash.
    PENDING = "pending"
    #: Apollo confirmed that it created the record.
    CREATED = "created"
    #: Apollo confirmed that it changed the record.
    UPDATED = "updated"
    #: Compared with Apollo, which held the row's values already.
    UNCHANGED = "unchanged"
    #: Insert mode: the record was there and was left alone. No payload hash, since Apollo's
    #: values were not compared.
    EXISTING = "existing"
    #: The row was rejected. No payload hash, so that the next run tries again.
    ERROR = "error"
    #: Somebody deleted the record in Apollo, and it is to stay so: the row is left alone until its
    #: e-mail or domain changes. The link keeps the former id, the payload hash and the match hash.
    GONE = "gone"


# Tuples, since looking an enum's member up in a set takes a call of Python code.
#: After these Apollo holds the row's values, whose hash the link keeps.
HOLDING_VALUES = (LinkStatus.CREATED, LinkStatus.UPDATED, LinkStatus.UNCHANGED)
#: After these the record is in Apollo.
CONFIRMED = (*HOLDING_VALUES, LinkStatus.EXISTING)
#: Begins what stands for the payload of a row that was deleted at its source.
DELETED = "deleted:"


class Link(msgspec.Struct, frozen=True):
    """What the ledger knows of one source key."""

    source_key: str
    apollo_id: str | None
    #: Hash of the values that Apollo is known to hold; ``None`` where that is not known.
    payload_hash: str | None
    status: LinkStatus
    #: Aware, UTC. ``None`` as long as nothing was confirmed.
    first_synced_at: datetime | None
    #: Aware, UTC: changes of the source up to this moment are in Apollo; see ``LinkOutcome``.
    last_synced_at: datetime | None
    error: str | None
    run_id: str | None
    #: Hash of the e-mail or domain that the record was last given; of a create that is not
    #: confirmed, the one under which it was sent.
    match_hash: str | None = None
    #: Apollo's `updated_at` of the record, as it answered the last write.
    apollo_updated_at: str | None = None
    stream: str = ""
    #: Where the row came from; see ``Place``.
    source: str = ""

    @property
    def row(self) -> tuple[str, str, str]:
        """Which row it is: source, stream and source key. Rows of two streams may have one key."""
        return (self.source, self.stream, self.source_key)

    @property
    def holds_nothing(self) -> bool:
        """Whether the row was rejected before anything was sent for it."""
        return self.status is LinkStatus.ERROR and not self.apollo_id and not self.match_hash

    def is_left_alone(self, match_hash: str | None) -> bool:
        """Whether the record is gone and the row is still the one that it was gone for.

        Args:
            match_hash: Of the row's present e-mail or domain.
        """
        return self.status is LinkStatus.GONE and self.match_hash == match_hash

    @property
    def is_deleted(self) -> bool:
        """Whether the row was deleted at its source."""
        return (self.payload_hash or "").startswith(DELETED)

    def holds(self, payload_hash: str) -> bool:
        """Say whether Apollo is known to hold exactly this payload, so that none need be sent."""
        return (
            self.payload_hash == payload_hash
            and self.apollo_id is not None
            and self.status in HOLDING_VALUES
        )


class Intent(msgspec.Struct, frozen=True):
    """A write that is about to go out for a source key."""

    source_key: str
    #: The record to be updated; ``None`` keeps the id that the link has.
    apollo_id: str | None = None
    #: Of a create: hash of the e-mail or domain under which the record will be found.
    match_hash: str | None = None


class LinkOutcome(msgspec.Struct, frozen=True):
    """What became of a source key's row. Raises ``ValueError`` where the fields contradict.

    ``apollo_id`` is required for a confirmed status, and the former one for ``GONE``; with
    ``ERROR``, ``None`` keeps the known one. ``payload_hash`` belongs to ``CREATED``, ``UPDATED``,
    ``UNCHANGED`` and ``GONE`` only.
    """

    source_key: str
    status: LinkStatus
    apollo_id: str | None = None
    payload_hash: str | None = None
    #: Why the row was rejected; e-mail addresses in it are withheld.
    error: str | None = None
    #: Aware: when the row was read from its source, if known. Without it the start of the run
    #: counts, and without that the present. Never later than the reading: a change of the row while
    #: it was on its way would look synced, and the mapper would never send it.
    synced_at: datetime | None = None
    #: Hash of the e-mail or domain that the row gave the record.
    match_hash: str | None = None
    #: Apollo's `updated_at` in its answer to the write, where there was one.
    apollo_updated_at: str | None = None

    def __post_init__(self) -> None:
        status = self.status
        if status is LinkStatus.PENDING:
            raise ValueError("pending is an intent, not an outcome")
        if self.apollo_id is None and (status in CONFIRMED or status is LinkStatus.GONE):
            raise ValueError(f"the outcome {status.value} needs the Apollo id")
        has_hash = status in HOLDING_VALUES or status is LinkStatus.GONE
        if self.payload_hash is not None and not has_hash:
            raise ValueError(f"the outcome {status.value} has no payload hash")
