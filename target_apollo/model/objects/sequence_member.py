"""The sequence member: a contact that a row enrols into one of Apollo's sequences. Pure.

A sequence sends e-mail to people. Exactly once: Apollo skips a contact that is in the sequence, so
a request whose answer was lost is sent again; and a contact that was enrolled once is never
enrolled again by itself, whoever has finished or removed it since.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from target_apollo.model import times, values
from target_apollo.model.objects.members import APOLLO_ID, CONTACT_COLUMNS, EMAIL, MEMBER_KEY
from target_apollo.model.objects.stream_object import Column, StreamObject, columns
from target_apollo.model.outcomes import Reason, RecordError, Rejection
from target_apollo.model.rows import Mode, Values
from target_apollo.model.texts import emails
from target_apollo.model.texts.characters import is_blank

SEQUENCE, MAILBOX, STATUS, AUTO_UNPAUSE_AT = "sequence", "mailbox", "status", "auto_unpause_at"


class SequenceExit(enum.Enum):
    """What happens to a member whose row is gone; the setting `sequence_exit`."""

    FINISH = "finish"
    REMOVE = "remove"


class StartsAs(enum.Enum):
    """In what state a contact joins a sequence; the column `status`."""

    ACTIVE = "active"
    PAUSED = "paused"


def _status(name: str, value: object) -> str | None:
    written = values.typed_text(name, value)
    if written is None:
        return None
    known = [one.value for one in StartsAs]
    if written.lower() not in known:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be {' or '.join(known)}")
    return written.lower()


def _moment(name: str, value: object) -> str | None:
    if is_blank(value):
        return None
    found = times.moment(value)
    if found is None:
        raise RecordError(
            Reason.WRONG_TYPE, f"'{name}' must be a date and time (YYYY-MM-DDTHH:MM:SS)"
        )
    return times.iso_text(found)


SEQUENCE_MEMBER = StreamObject(
    name="sequence_members",
    singular="sequence member",
    columns={
        **columns(
            Column(SEQUENCE, values.text, is_required=True),
            Column(MAILBOX, emails.email, is_required=True),
            Column(STATUS, _status),
            Column(AUTO_UNPAUSE_AT, _moment),
        ),
        **CONTACT_COLUMNS,
    },
    modes=(Mode.INSERT, Mode.MIRROR),
    default_mode=Mode.INSERT,
    default_key=(SEQUENCE, APOLLO_ID, MEMBER_KEY, EMAIL),
    is_told_by_name=True,
)


@dataclass(frozen=True)
class Start:
    """How a contact joins a sequence.

    Attributes:
        status: None for Apollo's own choice.
        auto_unpause_at: When a paused contact becomes active by itself, in ISO 8601.
    """

    status: str | None = None
    auto_unpause_at: str | None = None

    @classmethod
    def of(cls, row_values: Values) -> Start:
        """How the contact of a row joins.

        Raises:
            RecordError: It has a time to become active, and is not paused.
        """
        start = cls(row_values.get(STATUS), row_values.get(AUTO_UNPAUSE_AT))
        if start.auto_unpause_at and start.status != StartsAs.PAUSED.value:
            raise RecordError(
                Reason.WRONG_TYPE,
                f"'{AUTO_UNPAUSE_AT}' needs '{STATUS}' to be {StartsAs.PAUSED.value}",
            )
        return start


#: Apollo's word for a contact that it skips since it is in the sequence, active or finished.
ALREADY_IN = "contacts_already_exists_in_current_campaign"

#: Apollo's other words -> the reason, and the sentence. `NOT_ENROLLED` waits for a change of the
#: row; `ENROLMENT_WAITS` passes by itself, so the row is sent again by the next run.
_SKIPPED: Mapping[str, tuple[Reason, str]] = {
    "contact_not_found": (Reason.GONE, "Apollo has no contact {id} any more"),
    "contacts_active_in_other_campaigns": (
        Reason.NOT_ENROLLED,
        "the contact is active in another sequence",
    ),
    "contacts_finished_in_other_campaigns": (
        Reason.NOT_ENROLLED,
        "the contact has finished another sequence",
    ),
    "contacts_without_email": (Reason.NOT_ENROLLED, "the contact has no e-mail address in Apollo"),
    "contacts_unverified_email": (
        Reason.NOT_ENROLLED,
        "the contact's e-mail address is not verified in Apollo",
    ),
    "contacts_with_unverified_user_managed_email": (
        Reason.NOT_ENROLLED,
        "the contact's e-mail address was typed in by a user and is not verified in Apollo",
    ),
    "contacts_with_job_change": (
        Reason.NOT_ENROLLED,
        "the contact has changed jobs, and nobody has confirmed that in Apollo yet",
    ),
    "contacts_in_same_company": (
        Reason.NOT_ENROLLED,
        "somebody else of the contact's company is in the sequence",
    ),
    "contacts_without_ownership_permission": (
        Reason.NOT_ENROLLED,
        "the user behind the credentials may not write to this contact",
    ),
    "contacts_in_pending_state": (
        Reason.ENROLMENT_WAITS,
        "the contact waits in an account queue of Apollo; the next run tries again",
    ),
}


def why_skipped(word: str, contact_id: str) -> Rejection | None:
    """Why Apollo did not enrol a contact; None if it is in the sequence.

    Args:
        word: Apollo's reason in ``skipped_contact_ids``.
    """
    if word == ALREADY_IN:
        return None
    known = _SKIPPED.get(word)
    if known is None:
        return Rejection(
            Reason.NOT_ENROLLED,
            "Apollo skipped the contact for a reason that its reference does not name",
            apollo_message=word,
        )
    reason, detail = known
    return Rejection(reason, detail.format(id=contact_id), apollo_message=word)
