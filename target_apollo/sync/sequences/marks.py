"""What the ledger notes of an enrolment, in the place of a link's match hash. Pure.

::

    sent:<sequence>@<seconds>   a request may have enrolled the contact, since that time
    ours:<sequence>             a run has enrolled it
    found:<sequence>            it was in the sequence already; somebody else has put it there
    left:<sequence>             a run has enrolled it, and has ended that since its row was gone

Apollo takes a contact that was removed from a sequence once more. So these notes last, but for the
first, and a contact is never sent again, whatever row names it. Only those of `ours` are finished
or removed. A row that goes over to another sequence or contact leaves its former note to a link
without a row.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from target_apollo.apollo import JSON
from target_apollo.ledger import WITHOUT_ROW, Link, LinkStatus
from target_apollo.model.outcomes import Reason
from target_apollo.model.times import moment

_SHAPE = re.compile(r"(sent|ours|found|left):([A-Za-z0-9_-]+)(?:@(\d+))?")
#: Most by which the clocks of Apollo and this machine may differ.
_CLOCKS_DIFFER = timedelta(minutes=1)


class Standing(enum.Enum):
    """What is known of an enrolment."""

    SENT = "sent"
    OURS = "ours"
    FOUND = "found"
    LEFT = "left"


#: What lasts, by precedence: who left with one row may be back, by another row or a person.
_LASTING = (Standing.OURS, Standing.FOUND, Standing.LEFT)


@dataclass(frozen=True)
class EnrolmentMark:
    """The note on a row's enrolment.

    Attributes:
        since: Aware; of `SENT`: when the first request was sent.
    """

    standing: Standing
    sequence_id: str
    since: datetime | None = None

    @property
    def text(self) -> str:
        """The note as it stands in the link."""
        since = f"@{int(self.since.timestamp())}" if self.since is not None else ""
        return f"{self.standing.value}:{self.sequence_id}{since}"

    @classmethod
    def of(cls, link: Link | None) -> EnrolmentMark | None:
        """The note in a link; None without one, or without a contact."""
        if link is None or link.apollo_id is None:
            return None
        shape = _SHAPE.fullmatch(link.match_hash or "")
        if shape is None:
            return None
        since = datetime.fromtimestamp(int(shape[3]), timezone.utc) if shape[3] else None
        return cls(Standing(shape[1]), shape[2], since)

    def sent(self, sequence_id: str, now: datetime) -> EnrolmentMark:
        """The note before a request; the time of an earlier one that is open stays."""
        is_open = self.standing is Standing.SENT and self.sequence_id == sequence_id
        return EnrolmentMark(Standing.SENT, sequence_id, (self.since if is_open else None) or now)

    def without_row(self) -> EnrolmentMark | None:
        """What lasts after its row names another sequence or contact; None if nothing does.

        Nobody finishes that enrolment any more.
        """
        if self.standing is Standing.SENT:
            return None
        standing = Standing.LEFT if self.standing is Standing.LEFT else Standing.FOUND
        return EnrolmentMark(standing, self.sequence_id)

    def made(self, status: JSON | bool | None) -> bool:
        """Whether the request of this note has made an enrolment.

        Args:
            status: The contact's status in the sequence, as `status_in` gives it.
        """
        if not isinstance(status, dict) or self.since is None:
            return False
        added_at = moment(status.get("added_at"))
        return added_at is not None and added_at >= self.since - _CLOCKS_DIFFER


def may_end(link: Link, mark: EnrolmentMark) -> bool:
    """Whether the enrolment of a row is one that a run has made, or may have made."""
    if mark.standing is Standing.SENT:
        return link.status is LinkStatus.PENDING or link.error == Reason.NOT_CONFIRMED.value
    return mark.standing is Standing.OURS


def key_without_row(sequence_id: str, contact_id: str) -> str:
    """The source key of the link that keeps an enrolment whose row names another one."""
    return f"{WITHOUT_ROW}{sequence_id}/{contact_id}"


def lasting(links: Iterable[Link], sequence_id: str) -> Standing | None:
    """What is known for good of a contact in a sequence; None if it may be enrolled.

    Args:
        links: All that have the contact.
    """
    found = {
        mark.standing
        for link in links
        if (mark := EnrolmentMark.of(link)) is not None and mark.sequence_id == sequence_id
    }
    return next((one for one in _LASTING if one in found), None)
