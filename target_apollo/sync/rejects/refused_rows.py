"""Rejected rows that have not changed are left alone: what the ledger notes of them. Pure.

The link of a rejected row keeps a mark: the day, and a hash of what the row would write. While the
mark is valid, the same row is not sent again after a refusal of Apollo, and its rejection is
neither counted against the limits nor added to the rejects file again. Apollo may take later what
it refuses now, so a mark is valid for `LEFT_ALONE` only. A change of the row or of the settings
that decide what it writes, a replay, and `full_resync` end it at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from target_apollo.ledger import Link, LinkStatus, payload_hash_of_texts, source_key
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.model.texts.characters import is_blank
from target_apollo.sync.source_record import SourceRecord

LEFT_ALONE = timedelta(days=7)
#: Reasons that come from an answer of Apollo: such a row is not sent again. A row with another
#: reason is examined again, which may need no request, and only its rejection is not repeated.
NOT_SENT_AGAIN = frozenset({Reason.REFUSED.value, Reason.CUSTOM_FIELD_REFUSED.value})
_PREFIX = "refused:"
#: Properties that taps and targets set anew in each run.
_OF_THE_RUN = "_sdc_"


@dataclass(frozen=True)
class RefusedMark:
    """What a link keeps of a rejected row."""

    day: date
    row_hash: str

    @property
    def text(self) -> str:
        """The mark as the link has it."""
        return f"{_PREFIX}{self.day.isoformat()}:{self.row_hash}"

    @classmethod
    def of(cls, link: Link) -> RefusedMark | None:
        """The mark of a link; None if it has none that can be read."""
        text = link.payload_hash
        if link.status is not LinkStatus.ERROR or not text or not text.startswith(_PREFIX):
            return None
        day, _, row_hash = text.removeprefix(_PREFIX).partition(":")
        try:
            return cls(date.fromisoformat(day), row_hash)
        except ValueError:
            return None


@dataclass(frozen=True)
class UnreadRecord:
    """A record that could not be read as a row, and why.

    Attributes:
        key: Values of its source key; empty if they are not known.
    """

    record: SourceRecord
    rejection: Rejection
    key: Sequence[object]


def hash_of_row(row: Row, written: str | None, mode: Mode, named_id: str | None) -> str:
    """Hash of what decides whether Apollo takes a row.

    Args:
        written: Its payload hash.
        named_id: The Apollo id in the row itself.
    """
    return payload_hash_of_texts(
        {"written": written, "mode": mode.value, "id": named_id, "key": row.match_key}
    )


def hash_of_record(record: Mapping[str, object]) -> str | None:
    """Hash of a record that can't be read as a row; None if it holds what JSON can't.

    A number in another spelling makes another record: to compare numbers takes a copy of the
    record, which may be megabytes long.
    """
    try:
        return payload_hash_of_texts(
            {name: value for name, value in record.items() if not name.startswith(_OF_THE_RUN)}
        )
    except ValueError:
        return None


def is_left_alone(link: Link, row_hash: str | None, today: date) -> bool:
    """Whether a row was rejected as it is now, not long ago."""
    mark = RefusedMark.of(link)
    return (
        mark is not None and mark.row_hash == row_hash and mark.day <= today < mark.day + LEFT_ALONE
    )


def rejection_before(link: Link) -> Rejection:
    """The rejection of a row that was rejected before and is left alone."""
    try:
        reason = Reason(link.error)
    except ValueError:
        reason = Reason.REFUSED
    return Rejection(reason, "as in an earlier run, and it has not changed since")


def key_of_unread(unread: UnreadRecord) -> str | None:
    """The source key of a record that could not be read; None if it has no whole key."""
    if not unread.key or any(map(is_blank, unread.key)):
        return None
    with suppress(ValueError):
        return source_key(unread.key)
    return None
