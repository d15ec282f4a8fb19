"""The endpoints of sequences, which Apollo calls emailer campaigns, and of mailboxes."""

from __future__ import annotations

from typing import Any

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.checks.request_fields import SEQUENCE_FLAGS
from target_apollo.sandbox.checks.validation import check_ids, refuse_id
from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.data.enrolment import Leaving
from target_apollo.sandbox.data.formats import is_id, moment_of, offset_time
from target_apollo.sandbox.data.records import STAGED_CONTACT, Contact, contact_object
from target_apollo.sandbox.data.sequences import Sequence, sequence_object
from target_apollo.sandbox.routes.searches import asked_page
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import unprocessable

_JOB = "sequence_remove_stop_contacts"


def search(call: Call) -> Any:
    """POST /emailer_campaigns/search: the name holds all words."""
    page = asked_page(call)
    name = call.text("q_name")
    hits = [
        sequence
        for sequence in reversed(call.store.sequences.by_id.values())
        if all(word in sequence.own["name"].lower() for word in name.lower().split())
    ]
    crumb = {"label": "Name", "signal_field_name": "q_name", "value": name, "display_name": name}
    return {
        "pagination": page.pagination(len(hits)),
        "breadcrumbs": [crumb] if name else [],
        "emailer_campaigns": [sequence_object(sequence) for sequence in page.of(hits)],
        "num_fetch_result": None,
    }


def email_accounts(call: Call) -> Any:
    """GET /email_accounts: every mailbox, without pages."""
    return {"email_accounts": list(call.store.sequences.mailboxes.values())}


def add_contacts(call: Call) -> Any:
    """POST /emailer_campaigns/{id}/add_contact_ids: 200 also if nobody joins.

    ``skipped_contact_ids`` says why a contact did not join. Several ids in one text are ignored,
    and the answer does not mention them.
    """
    store, sequences = call.store, call.store.sequences
    _check_required(call)
    sequence = sequences.by_id.get(call.record_id)
    if sequence is None:
        raise refuse_id(call, call.record_id)
    if call.options.strict:
        _refuse_what_is_ignored(call)
    mailbox = _mailbox(call)
    check_ids(call, {"owner_id": call.text("user_id")})
    flags = {name for name in SEQUENCE_FLAGS if _is_true(call, name)}
    companies = sequences.companies_in(call.record_id)
    joined: list[Contact] = []
    skipped: dict[str, str] = {}
    for contact_id in _contact_ids(call):
        contact = store.contact_by_id.get(contact_id)
        if contact is None:
            skipped[contact_id] = enrolment.NOT_FOUND
            continue
        reason = enrolment.skip_reason(
            contact, call.record_id, companies, sequences.held_back.get(contact_id), flags
        )
        if reason is None and not call.options.removed_may_rejoin:
            reason = enrolment.ALREADY_IN if contact_id in sequence.removed else None
        if reason is not None:
            skipped[contact_id] = reason
            continue
        _join(call, sequence, contact, mailbox)
        joined.append(contact)
        companies |= enrolment.companies_of(contact)
    return {
        "contacts": [contact_object(contact, STAGED_CONTACT) for contact in joined],
        "skipped_contact_ids": skipped,
        "emailer_campaign": sequence_object(sequence),
        "emailer_steps": [],
        "emailer_touches": [],
        "team": {"id": store.team_id, "sequences_finder_empty": False},
        "signals_hash": None,
    }


def _check_required(call: Call) -> None:
    if not _sent_any(call, "contact_ids") and not _sent_any(call, "label_names"):
        raise unprocessable("Please specify either contact_ids or label_names.")
    mailboxes = _sent_any(call, "send_email_from_email_account_id")
    if not call.text("emailer_campaign_id") or not mailboxes:
        raise unprocessable(
            "Please specify a emailer_campaign_id and send_email_from_email_account_id."
        )


def _sent_any(call: Call, name: str) -> bool:
    return any((call.body.get(name), call.query.get(name), call.query.get(f"{name}[]")))


def _refuse_what_is_ignored(call: Call) -> None:
    label = call.endpoint.label
    if call.text("emailer_campaign_id") != call.record_id:
        raise strict.refusal(label, "`emailer_campaign_id` is another sequence than the path's")
    for value in call.query.get("contact_ids[]", ()):
        if not is_id(value):
            raise strict.refusal(label, "`contact_ids[]` has a value that is not one id")
    for name in SEQUENCE_FLAGS:
        if call.parameter(name) not in (None, "true", "false"):
            raise strict.refusal(label, f"`{name}` must be true or false")
    status, unpaused = call.text("status"), call.text("auto_unpause_at")
    if status not in ("", "active", "paused"):
        raise strict.refusal(label, "`status` must be active or paused")
    if unpaused and status != "paused":
        raise strict.refusal(label, "`auto_unpause_at` needs `status=paused`")
    if unpaused and moment_of(unpaused) is None:
        raise strict.refusal(label, "`auto_unpause_at` must be a time of ISO 8601")


def _mailbox(call: Call) -> dict[str, Any]:
    """The mailbox that sends; of several, the first one."""
    known = call.store.sequences.mailboxes
    name = "send_email_from_email_account_id"
    sent = call.body.get(name) or call.query.get(name) or call.query.get(f"{name}[]", [])
    mailboxes = []
    for mailbox_id in map(str, sent) if isinstance(sent, list) else [str(sent)]:
        if mailbox_id not in known:
            raise refuse_id(call, mailbox_id)
        mailboxes.append(known[mailbox_id])
    inactive = [mailbox["email"] for mailbox in mailboxes if not mailbox["active"]]
    if inactive:
        raise unprocessable(f"These mailboxes are no longer active. {', '.join(inactive)}")
    return mailboxes[0]


def _contact_ids(call: Call) -> list[str]:
    ids = [one for one in call.listed("contact_ids") if is_id(one)]
    names = {("contacts", name) for name in call.listed("label_names")}
    labels = call.store.workspace.labels
    wanted = {one for one, label in labels.items() if (label["modality"], label["name"]) in names}
    if wanted:
        ids.extend(
            contact_id
            for contact_id, contact in call.store.contact_by_id.items()
            if wanted.intersection(contact.own.get("label_ids", ()))
        )
    return list(dict.fromkeys(ids))


def _is_true(call: Call, name: str) -> bool:
    return call.body.get(name) is True or call.parameter(name) == "true"


def _join(call: Call, sequence: Sequence, contact: Contact, mailbox: dict[str, Any]) -> None:
    status: dict[str, Any] = {
        "id": call.store.new_id(),
        "emailer_campaign_id": sequence.own["id"],
        "send_email_from_user_id": mailbox["user_id"],
        "status": "active",
        "added_at": offset_time(call.stamp),
        "added_by_user_id": call.text("user_id") or call.user_id,
        "send_email_from_email_address": mailbox["email"],
        "send_email_from_email_account_id": mailbox["id"],
    }
    if not sequence.is_running:
        status.update(status="paused", inactive_reason="Sequence inactive")
    if call.text("status") == "paused":
        unpaused = call.text("auto_unpause_at") or None
        status.update(status="paused", paused_at=offset_time(call.stamp), auto_unpause_at=unpaused)
    _change(call, contact)
    enrolment.join(contact, status)


def remove_or_stop(call: Call) -> Any:
    """POST /emailer_campaigns/remove_or_stop_contact_ids: 200 also if a sequence is unknown."""
    store, sequences = call.store, call.store.sequences
    sequence_ids = call.ids("emailer_campaign_ids")
    contact_ids = call.ids("contact_ids")
    try:
        how = Leaving(call.required("mode"))
    except ValueError:
        raise unprocessable("Parameters misconfigured. mode is not valid") from None
    contacts = [store.contact_by_id[one] for one in contact_ids if one in store.contact_by_id]
    for contact in contacts:
        _change(call, contact)
        left = enrolment.leave(contact, sequence_ids, how, offset_time(call.stamp))
        for sequence_id in left if how is Leaving.REMOVE else ():
            sequences.remember_removed(sequence_id, contact.own["id"])
    if call.options.stops_by_job:
        return {"entity_progress_job": _job(call, sequence_ids, contacts, how)}
    return {
        "contacts": [contact_object(contact, STAGED_CONTACT) for contact in contacts],
        "emailer_campaigns": [{"id": one} for one in sequence_ids if one in sequences.by_id],
        "num_contacts": len(contacts),
        "contact_statuses": {
            **dict.fromkeys(("active", "paused", "finished", "bounced"), "loading"),
            **dict.fromkeys(("hard_bounced", "spam_blocked", "not_sent"), "loading"),
            "failed": 0,
        },
        "emailer_steps": [],
    }


def _job(
    call: Call, sequence_ids: list[str], contacts: list[Contact], how: Leaving
) -> dict[str, Any]:
    return {
        "id": call.store.new_id(),
        "user_id": call.user_id,
        "job_type": _JOB,
        "entity_ids": [contact.own["id"] for contact in contacts],
        "params": {"sequence_ids": sequence_ids, "mode": how.value, "stop_reason": None},
        "progress": 0,
        "batch_size": 999,
    }


def _change(call: Call, contact: Contact) -> None:
    contact.keep_former(call.now, call.options.search_lag_seconds)
    call.store.keep("contacts", contact.own["id"], contact)
