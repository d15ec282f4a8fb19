"""How a contact joins and leaves a sequence, and for what reasons it is skipped. Pure.

A contact's enrolments are its ``contact_campaign_statuses``, one for each sequence.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from target_apollo.sandbox.data.formats import blank
from target_apollo.sandbox.data.records import Contact

NOT_FOUND = "contact_not_found"
ALREADY_IN = "contacts_already_exists_in_current_campaign"

_BLANK_STATUS = blank(
    """
    id emailer_campaign_id send_email_from_user_id inactive_reason status added_at
    added_by_user_id finished_at paused_at auto_unpause_at send_email_from_email_address
    send_email_from_email_account_id manually_set_unpause failure_reason current_step_id
    in_response_to_emailer_message_id cc_emails bcc_emails to_emails current_step_position
    """
)

LIFTED_BY = {
    "contacts_without_email": "sequence_no_email",
    "contacts_unverified_email": "sequence_unverified_email",
    "contacts_with_job_change": "sequence_job_change",
    "contacts_active_in_other_campaigns": "sequence_active_in_other_campaigns",
    "contacts_finished_in_other_campaigns": "sequence_finished_in_other_campaigns",
    "contacts_in_same_company": "sequence_same_company_in_same_campaign",
    "contacts_without_ownership_permission": "contacts_without_ownership_permission",
    "contacts_in_pending_state": "add_if_in_queue",
    "contacts_with_unverified_user_managed_email": "contact_verification_skipped",
}
"""Reason for which a contact is skipped -> the parameter that adds it all the same."""

REASONS = frozenset({NOT_FOUND, ALREADY_IN, *LIFTED_BY})


class Leaving(str, enum.Enum):
    """What a request does with contacts of a sequence."""

    FINISH = "mark_as_finished"
    REMOVE = "remove"
    STOP = "stop"


def statuses(contact: Contact) -> list[dict[str, Any]]:
    """The enrolments of a contact."""
    return list(contact.own.get("contact_campaign_statuses", ()))


def companies_of(contact: Contact) -> set[str]:
    """Ids of the account and of the organization of a contact: what its company is in Apollo."""
    ids = (contact.own.get("account_id"), contact.own.get("organization_id"))
    return {company for company in ids if company}


def skip_reason(
    contact: Contact,
    sequence_id: str,
    companies: AbstractSet[str],
    held_back: str | None,
    flags: Collection[str],
) -> str | None:
    """Why a contact may not join a sequence; None if it may.

    Args:
        contact: The contact.
        sequence_id: The sequence.
        companies: Ids of the companies of those who are in the sequence.
        held_back: A reason that was ordered for this contact.
        flags: The parameters of the request that are true.
    """
    own, others = contact.own, set()
    for status in statuses(contact):
        if status["emailer_campaign_id"] == sequence_id:
            return ALREADY_IN
        others.add("finished" if status["status"] == "finished" else "active")
    true_of_it = {
        "contacts_without_email": not own.get("email"),
        "contacts_unverified_email": own.get("email_status", "verified") != "verified"
        and bool(own.get("email")),
        "contacts_active_in_other_campaigns": "active" in others,
        "contacts_finished_in_other_campaigns": "finished" in others,
        "contacts_in_same_company": not companies.isdisjoint(companies_of(contact)),
    }
    for reason, flag in LIFTED_BY.items():
        if (true_of_it.get(reason) or reason == held_back) and flag not in flags:
            return reason
    return None


def join(contact: Contact, status: Mapping[str, Any]) -> None:
    """Add an enrolment, which is given by the keys in which it differs from a blank one."""
    own = contact.own
    own["contact_campaign_statuses"] = [*statuses(contact), {**_BLANK_STATUS, **status}]
    own["emailer_campaign_ids"] = [
        *own.get("emailer_campaign_ids", ()), status["emailer_campaign_id"],
    ]  # fmt: skip


def leave(contact: Contact, sequence_ids: Collection[str], how: Leaving, stamp: str) -> list[str]:
    """Finish, stop or remove the enrolments in some sequences; returns the sequences it was in."""
    left, kept = [], []
    for status in statuses(contact):
        if status["emailer_campaign_id"] not in sequence_ids:
            kept.append(status)
            continue
        left.append(status["emailer_campaign_id"])
        if how is not Leaving.REMOVE:
            done = "finished" if how is Leaving.FINISH else "stopped"
            ended = {"status": "finished", "inactive_reason": f"manually {done}"}
            kept.append({**status, **ended, "finished_at": stamp})
    if left:
        contact.own["contact_campaign_statuses"] = kept
        contact.own["emailer_campaign_ids"] = [status["emailer_campaign_id"] for status in kept]
    return left
