"""Sequences, which Apollo calls emailer campaigns, and the mailboxes from which they send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.data.by_hand import refuse_unknown
from target_apollo.sandbox.data.formats import blank, offset_time
from target_apollo.sandbox.data.journal import Journal
from target_apollo.sandbox.data.records import Contact
from target_apollo.sandbox.data.workspace import Workspace

_BLANK_SEQUENCE: dict[str, Any] = {
    **blank(
        """
        id name archived- created_at emailer_schedule_id max_emails_per_day user_id
        same_account_reply_policy_cd excluded_account_stage_ids[] excluded_contact_stage_ids[]
        contact_email_event_to_stage_mapping{} label_ids[] create_task_if_email_open-
        email_open_trigger_task_threshold mark_finished_if_click- active+
        days_to_wait_before_mark_as_response starred_by_user_ids[] mark_finished_if_reply+
        mark_finished_if_interested+ mark_paused_if_ooo+ sequence_by_exact_daytime last_used_at
        sequence_ruleset_id folder_id same_account_reply_delay_days is_performing_poorly-
        num_contacts_email_status_extrapolated0 remind_ab_test_results- ab_test_step_ids[]
        prioritized_by_user creation_type num_steps unique_scheduled0 unique_delivered0
        unique_bounced0 unique_opened0 unique_hard_bounced0 unique_spam_blocked0 unique_replied0
        unique_demoed0 unique_clicked0 unique_unsubscribed0 bounce_rate0 hard_bounce_rate0
        open_rate0 click_rate0 reply_rate0 spam_block_rate0 opt_out_rate0 demo_rate0 loaded_stats+
        cc_emails bcc_emails underperforming_touches_count0
        """
    ),
    "email_open_trigger_task_threshold": 3,
    "days_to_wait_before_mark_as_response": 5,
    "same_account_reply_delay_days": 30,
    "creation_type": "new",
    "num_steps": 1,
    "cc_emails": "",
    "bcc_emails": "",
}

_BLANK_MAILBOX: dict[str, Any] = {
    **blank(
        """
        aliases[] id user_id email type active+ default+ seconds_delay_between_emails
        provider_display_name nylas_provider last_synced_at email_sending_policy_cd
        sendgrid_api_user mailgun_domains nylas_api_version signature_edit_disabled- revoked_at
        inactive_reason created_at sendgrid_api_key_v3 email_daily_threshold
        max_outbound_emails_per_hour limits_editable+ is_opted_in_mailwarming mailwarming_max0
        mailwarming_to_send_daily0 mailwarming_to_send_incrementor0 mailwarming_status
        mailwarming_eta mailwarming_subject_token mailwarming_score0 mailwarming_score_banner
        mailwarming_on_weekdays_only+ true_warmup_enabled- true_warmup_daily_limit0
        true_warmup_progress0 true_warmup_status true_warmup_approximate_end_date
        true_warmup_last_throttled_at true_warmup_enable_thresholds- true_warmup_thresholds{}
        active_campaigns_count0 nudge_user_to_send_mails- signature_html fields_fully_loaded+
        """
    ),
    "type": "gmail",
    "seconds_delay_between_emails": 600,
    "provider_display_name": "Gmail",
    "email_sending_policy_cd": "default",
    "email_daily_threshold": 50,
    "max_outbound_emails_per_hour": 6,
    "mailwarming_status": "never_started",
    "mailwarming_score_banner": "start_warm_up_for_score",
    "signature_html": "",
}


class Sequence:
    """A stored sequence.

    Attributes:
        own: Keys of the sequence object that differ from the template.
        removed: The contacts that were in it and have been removed from it.
    """

    __slots__ = ("own", "removed")

    def __init__(self, own: dict[str, Any], removed: list[str] | None = None) -> None:
        self.own = own
        self.removed = removed or []

    @property
    def is_running(self) -> bool:
        """Whether those who join it are active at once, instead of paused."""
        return bool(self.own.get("active", True)) and not self.own.get("archived", False)

    def row(self) -> dict[str, Any]:
        """The sequence as a value for the store's file."""
        return {"own": self.own, "removed": self.removed}


class Sequences:
    """The sequences of a team, its mailboxes, and which contacts are held back from sequences."""

    def __init__(
        self, journal: Journal, workspace: Workspace, contacts: Mapping[str, Contact]
    ) -> None:
        self._journal = journal
        self._workspace = workspace
        self._contacts = contacts
        self.by_id = {one: Sequence(**row) for one, row in journal.rows("sequences")}
        self.mailboxes: dict[str, dict[str, Any]] = dict(journal.rows("email_accounts"))
        self.held_back: dict[str, str] = {}

    # For tests and seeds: these methods take the lock.

    def all(self) -> list[dict[str, Any]]:
        """Every sequence: ``{id, name, active, archived, …}``, oldest first."""
        with self._journal.lock:
            return [sequence_object(sequence) for sequence in self.by_id.values()]

    def email_accounts(self) -> list[dict[str, Any]]:
        """Every mailbox: ``{id, email, user_id, active, …}``, oldest first."""
        with self._journal.lock:
            return [dict(mailbox) for mailbox in self.mailboxes.values()]

    def enrolments(self) -> list[dict[str, Any]]:
        """Every enrolment of a contact, with its ``contact_id``."""
        with self._journal.lock:
            return [
                {"contact_id": contact_id, **status}
                for contact_id, contact in self._contacts.items()
                for status in enrolment.statuses(contact)
            ]

    def add(self, name: str, **fields: Any) -> dict[str, Any]:
        """Add a sequence, by keys of the sequence object; it is active unless they say otherwise.

        Raises:
            ValueError: The sequence object has no such key.
        """
        refuse_unknown("sequence", fields, _BLANK_SEQUENCE)
        with self._journal.writing() as stamp:
            own = {
                "id": self._journal.new_id(),
                "name": name,
                "created_at": stamp,
                "user_id": self._workspace.admin_id,
                "emailer_schedule_id": self._journal.new_id(),
                "sequence_ruleset_id": self._journal.new_id(),
                **fields,
            }
            sequence = self.by_id[own["id"]] = Sequence(own)
            self.changed(sequence)
            return sequence_object(sequence)

    def change(self, sequence: str, **fields: Any) -> dict[str, Any]:
        """Change a sequence as a user does in Apollo's app, such as ``archived=True``.

        Args:
            sequence: Its id or name.
            fields: Keys of the sequence object.

        Raises:
            ValueError: There is no such sequence, or the sequence object has no such key.
        """
        refuse_unknown("sequence", fields, _BLANK_SEQUENCE)
        with self._journal.writing():
            found = self._named(sequence)
            found.own.update(fields)
            self.changed(found)
            return sequence_object(found)

    def add_email_account(self, email: str, **fields: Any) -> dict[str, Any]:
        """Add a mailbox, by keys of the object; it is active and the acting user's.

        Raises:
            ValueError: The object has no such key.
        """
        refuse_unknown("mailbox", fields, _BLANK_MAILBOX)
        with self._journal.writing() as stamp:
            mailbox_id = self._journal.new_id()
            mailbox = {
                **_BLANK_MAILBOX,
                "id": mailbox_id,
                "email": email,
                "aliases": [email],
                "user_id": self._workspace.admin_id,
                "created_at": stamp,
                "last_synced_at": offset_time(stamp),
                **fields,
            }
            self.mailboxes[mailbox_id] = mailbox
            self._journal.keep("email_accounts", mailbox_id, mailbox)
            return mailbox

    def enrol(self, sequence: str, contact: str, status: str = "active") -> dict[str, Any]:
        """Put a contact into a sequence, as a user does in Apollo's app; returns the enrolment.

        Args:
            sequence: Id or name of the sequence.
            contact: Id or e-mail address of the contact.
            status: ``active``, ``paused`` or ``finished``.

        Raises:
            ValueError: There is no such sequence or contact.
        """
        with self._journal.writing() as stamp:
            found = self._contacts.get(contact) or next(
                (one for one in self._contacts.values() if one.own.get("email") == contact), None
            )
            if found is None:
                raise ValueError(f"There is no contact {contact}.")
            joined = {
                "id": self._journal.new_id(),
                "emailer_campaign_id": self._named(sequence).own["id"],
                "status": status,
                "added_at": offset_time(stamp),
                "added_by_user_id": self._workspace.admin_id,
                "finished_at": offset_time(stamp) if status == "finished" else None,
            }
            enrolment.join(found, joined)
            self._journal.keep("contacts", found.own["id"], found)
            return {"contact_id": found.own["id"], **joined}

    def hold_back(self, contact_id: str, reason: str) -> None:
        """Have sequences skip a contact for a reason that the sandbox itself never finds.

        Such as ``contacts_in_pending_state``. It lasts until the sandbox ends.

        Raises:
            ValueError: Apollo documents no such reason.
        """
        if reason not in enrolment.REASONS:
            raise ValueError(f"`reason` must be one of {', '.join(sorted(enrolment.REASONS))}.")
        with self._journal.lock:
            self.held_back[contact_id] = reason

    # For the endpoints: the caller holds the lock.

    def changed(self, sequence: Sequence) -> None:
        """Mark a changed sequence for the next commit."""
        self._journal.keep("sequences", sequence.own["id"], sequence)

    def companies_in(self, sequence_id: str) -> set[str]:
        """Ids of the companies of the contacts that are in a sequence, or have finished it."""
        return {
            company
            for contact in self._contacts.values()
            if sequence_id in contact.own.get("emailer_campaign_ids", ())
            for company in enrolment.companies_of(contact)
        }

    def remember_removed(self, sequence_id: str, contact_id: str) -> None:
        """Remember that a contact was removed from a sequence."""
        sequence = self.by_id.get(sequence_id)
        if sequence is not None:
            sequence.removed.append(contact_id)
            self.changed(sequence)

    def _named(self, sequence: str) -> Sequence:
        found = self.by_id.get(sequence) or next(
            (one for one in self.by_id.values() if one.own["name"] == sequence), None
        )
        if found is None:
            raise ValueError(f"There is no sequence {sequence}.")
        return found


def sequence_object(sequence: Sequence) -> dict[str, Any]:
    """The whole sequence object."""
    own = sequence.own
    return {
        **_BLANK_SEQUENCE,
        **own,
        "sharing_permission": {
            "visibility": "everyone",
            "access_type": "can_view",
            "object_type": "EmailerCampaign",
            "object_id": own["id"],
            "is_owner": True,
            "owner_id": own["user_id"],
            "sharing_accesses": [],
        },
    }
