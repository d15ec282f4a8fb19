"""The bulk endpoints of contacts: bulk_create, bulk_update, update_stages, update_owners."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from target_apollo.sandbox.checks.request_fields import (
    BULK_CREATE_CONTACT,
    BULK_UPDATE_CONTACT,
    taken_fields,
)
from target_apollo.sandbox.checks.validation import check_ids, contact_to_update
from target_apollo.sandbox.data.formats import is_email
from target_apollo.sandbox.data.records import (
    CREATED_CONTACT,
    DOCUMENTED_CONTACT,
    DOCUMENTED_UPDATED_CONTACT,
    STAGED_CONTACT,
    UPDATED_CONTACT,
    Contact,
    ContactTemplate,
    contact_object,
    picked,
)
from target_apollo.sandbox.options import (
    BulkAnswers,
    InvalidEmail,
    MatchedInBulk,
)
from target_apollo.sandbox.routes import bulk
from target_apollo.sandbox.routes.contact_writing import (
    BadEmail,
    listed_emails,
    stored_email,
    write,
)
from target_apollo.sandbox.routes.contacts import check_room, is_taken, new_contact, overwrite
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import unprocessable

_NO_ARRAY = 'Please provide an array of contact attributes in the "contact_attributes" parameter.'

_UPDATED = ContactTemplate(UPDATED_CONTACT)


@lru_cache(maxsize=16)
def _created(team_id: str) -> ContactTemplate:
    return ContactTemplate({**CREATED_CONTACT, "team_id": team_id})


def bulk_create(call: Call) -> Any:
    """POST /contacts/bulk_create: at most 100; of existing ones, overwrites only placeholders."""
    store, options, body = call.store, call.options, call.body
    items = bulk.items_to_create(call, "contacts", _NO_ARRAY)
    owner_id = str(body.get("owner_id") or "")
    check_ids(call, {"owner_id": owner_id})
    items, refusal = bulk.checked_items(call, items, partial(_check_new, call))
    created: dict[str, Contact] = {}
    existing: dict[str, Contact] = {}
    dedupe = body.get("run_dedupe") is True
    overwrites = dedupe and options.matched_in_bulk is MatchedInBulk.OVERWRITTEN
    respects = dedupe and options.matched_in_bulk is not MatchedInBulk.DUPLICATED
    blank = new_contact(call, owner_id)
    for item in items:
        sent = taken_fields(item, BULK_CREATE_CONTACT)
        contact = Contact({**blank.own, "id": store.new_id()}, found_from=blank.found_from)
        try:
            write(store, options, contact, sent, fresh=True)
        except BadEmail:
            continue
        keys = store.keys_of(contact)
        match = store.contact_by_id.get(str(sent["id"])) if dedupe and "id" in sent else None
        match = match or store.contact_index.first(keys)
        if match is not None and (
            match.own.get("source") == "email_import"
            or (overwrites and match.own["id"] not in created)
        ):
            overwrite(call, match, sent)
            existing[match.own["id"]] = match
            continue
        if match is not None and respects and bulk.keeps_existing(call, match, created, existing):
            continue
        if options.max_contacts is not None:
            check_room(call, 1)
        store.insert_contact(contact, keys)
        created[contact.own["id"]] = contact
    if refusal is not None:
        raise refusal
    _append_labels(call, created, existing)
    if owner_id and options.owner_touches_existing:
        for contact_id, contact in existing.items():
            if contact_id not in created:
                contact.own.update(owner_id=owner_id, updated_at=call.stamp)
                store.changed_contact(contact, store.keys_of(contact))
    return {
        "created_contacts": _answers(call, list(created.values())),
        "existing_contacts": _answers(call, list(existing.values())),
    }


def _check_new(call: Call, item: dict[str, Any]) -> None:
    # The owner is that of the request. An item's own owner_id is ignored, so it isn't checked.
    check_ids(call, {name: value for name, value in item.items() if name != "owner_id"})
    bulk.check_custom_fields(item)
    if call.options.invalid_email is InvalidEmail.REFUSED:
        if item.get("email"):
            stored_email(item["email"], call.options)
        listed_emails(item, call.options)


def _append_labels(call: Call, created: dict[str, Contact], existing: dict[str, Contact]) -> None:
    label_ids = bulk.label_ids(call, "contacts")
    if not label_ids:
        return
    store = call.store
    touched = {**existing, **created} if call.options.labels_touch_existing else created
    for contact in touched.values():
        store.workspace.set_labels(contact.own, [*contact.own.get("label_ids", ()), *label_ids])
        store.changed_contact(contact, store.keys_of(contact))


def _answers(call: Call, contacts: list[Contact]) -> list[Any]:
    template = _created(call.store.team_id)
    return _in_answer_order(call, contacts, template, DOCUMENTED_CONTACT)


def _in_answer_order(
    call: Call, contacts: list[Contact], template: ContactTemplate, documented: tuple[str, ...]
) -> list[Any]:
    if call.options.shuffle_answers:
        call.chance.shuffle(contacts)
    if call.options.bulk_answers is BulkAnswers.DOCUMENTED:
        return [picked({**template.shape, **contact.own}, documented) for contact in contacts]
    return [template.encoded(contact) for contact in contacts]


def bulk_update(call: Call) -> Any:
    """POST /contacts/bulk_update: answers up to 100 at once; for more, or ``async``, with a job."""
    body, options = call.body, call.options
    taken = set(BULK_UPDATE_CONTACT - {"id"})
    if options.bulk_update_takes_stage:
        taken.add("contact_stage_id")
    if isinstance(body.get("contact_attributes"), list):
        items = body["contact_attributes"]
    elif isinstance(body.get("contact_ids"), list):
        same = {name: value for name, value in body.items() if name in taken}
        items = [{**same, "id": contact_id} for contact_id in body["contact_ids"]]
    else:
        raise unprocessable("Please provide either contact_ids or contact_attributes")
    plans, refusal = bulk.planned_updates(
        call, items, taken, contact_to_update, partial(_check_email, call)
    )
    for contact, sent in plans:
        overwrite(call, contact, sent)
    if refusal is not None:
        raise refusal
    contacts = list({contact.own["id"]: contact for contact, _ in plans}.values())
    if len(items) > 100 or body.get("async") is True:
        return bulk.progress_job(call, "contact_bulk_update", contacts)
    visible = set(call.names("visible_entity_ids"))
    shown = [contact for contact in contacts if not visible or contact.own["id"] in visible]
    return {"contacts": _in_answer_order(call, shown, _UPDATED, DOCUMENTED_UPDATED_CONTACT)}


def _check_email(call: Call, contact: Contact, sent: dict[str, Any]) -> None:
    email = sent.get("email")
    if email and not is_email(str(email).strip()):
        message = "Invalid email format"
    elif is_taken(call, contact, email):
        message = "Email has already been taken"
    else:
        return
    raise unprocessable(
        "Validation failed",
        error_details={"contact_id": contact.own["id"], "field": "email", "message": message},
    )


def update_stages(call: Call) -> Any:
    """POST /contacts/update_stages: one stage for many contacts, ids in the body or the query."""
    contact_ids = call.ids("contact_ids")
    stage_id = call.required("contact_stage_id")
    check_ids(call, {"contact_stage_id": stage_id})
    contacts = bulk.present(call, contact_ids, call.store.contact_by_id, contact_to_update)
    for contact in contacts:
        overwrite(call, contact, {"contact_stage_id": stage_id})
    return {"contacts": [contact_object(contact, STAGED_CONTACT) for contact in contacts]}


def update_owners(call: Call) -> Any:
    """POST /contacts/update_owners: one owner for many contacts, ids in the body or the query."""
    return bulk.update_owners(
        call, "contacts", call.store.contact_by_id, contact_to_update, overwrite
    )
