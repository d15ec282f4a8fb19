"""The endpoints of one contact, and the search for contacts."""

from __future__ import annotations

from typing import Any

from target_apollo.sandbox.checks.request_fields import CREATE_CONTACT, UPDATE_CONTACT
from target_apollo.sandbox.checks.validation import (
    check_ids,
    check_route,
    contact_to_read,
    contact_to_update,
)
from target_apollo.sandbox.data.records import (
    CREATED_ACCOUNT,
    CREATED_CONTACT,
    FOUND_CONTACT,
    SHOWN_CONTACT,
    UPDATED_CONTACT,
    Contact,
    account_object,
    contact_object,
    label_object,
)
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import FullPlan, KeywordSearch, TakenEmail
from target_apollo.sandbox.routes.contact_writing import BadEmail, write
from target_apollo.sandbox.routes.searches import asked_page, envelope, in_order, unknown_order
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import Refusal, unprocessable

SORT_FIELDS = {
    "contact_last_activity_date": "last_activity_date",
    "contact_email_last_opened_at": "created_at",
    "contact_email_last_clicked_at": "created_at",
    "contact_created_at": "created_at",
    "contact_updated_at": "updated_at",
}


def create(call: Call) -> Any:
    """POST /contacts: creates a contact, or overwrites the first match if run_dedupe is true."""
    store, options = call.store, call.options
    taken = CREATE_CONTACT | ({"owner_id"} if options.single_takes_owner else set())
    sent = {name: value for name, value in call.body.items() if name in taken}
    dedupe = sent.pop("run_dedupe", False) is True
    check_ids(call, sent)
    contact = new_contact(call)
    try:
        write(store, options, contact, sent, fresh=True)
    except BadEmail:
        sent.pop("email", None)
        write(store, options, contact, sent, fresh=True)
    match = None
    if dedupe:
        match = store.contact_by_id.get(str(sent.get("id"))) or store.contact_index.first(
            store.keys_of(contact)
        )
    if match is not None:
        overwrite(call, match, sent)
        contact = match
    else:
        check_room(call, 1)
        _set_named_labels(call, contact, sent)
        store.insert_contact(contact)
    answer = {
        "contact": contact_object(contact, CREATED_CONTACT),
        "labels": labels_of(store, contact),
    }
    # Only clients of others have seen this key, and only on a match.
    return answer if match is None else {**answer, "was_existing": True}


def update(call: Call) -> Any:
    """PATCH and PUT /contacts/{id}: overwrites what is sent; ``label_names`` replaces all lists."""
    options = call.options
    if call.endpoint.method == "PUT":
        check_route(options.put_contacts)
    contact = contact_to_update(call, call.record_id)
    taken = UPDATE_CONTACT | ({"owner_id"} if options.single_takes_owner else set())
    sent = {name: value for name, value in call.body.items() if name in taken}
    check_ids(call, sent)
    if is_taken(call, contact, sent.get("email")):
        raise unprocessable("Email has already been taken")
    # A PATCH without any field that Apollo takes leaves even updated_at as it is.
    if sent:
        overwrite(call, contact, sent)
    answer = contact_object(contact, UPDATED_CONTACT)
    # Of the answers for one contact only this one does not show in which sequences it is.
    answer.pop("contact_campaign_statuses", None)
    return {"contact": answer, "labels": labels_of(call.store, contact)}


def show(call: Call) -> Any:
    """GET /contacts/{id}."""
    return {"contact": contact_object(contact_to_read(call, call.record_id), SHOWN_CONTACT)}


def search(call: Call) -> Any:
    """POST /contacts/search: name, title, company and e-mails hold all words."""
    page = asked_page(call)
    key = SORT_FIELDS.get(str(call.body.get("sort_by_field") or "contact_updated_at"))
    if key is None:
        raise unknown_order()
    words = str(call.body.get("q_keywords") or "").lower().split()
    stages = set(call.names("contact_stage_ids"))
    labels = set(call.names("contact_label_ids"))
    hits = Contact.found(call.store.contact_by_id.values(), call.now)
    if stages:
        hits = [one for one in hits if one.own.get("contact_stage_id") in stages]
    if labels:
        hits = [one for one in hits if not labels.isdisjoint(one.own.get("label_ids", ()))]
    if words:
        hits = _with_keywords(hits, words, call.options.keyword_search)
    in_order(call, hits, lambda contact: contact.own.get(key) or "")
    shown = []
    for contact in page.of(hits):
        answer = contact_object(contact, FOUND_CONTACT)
        account = call.store.account_by_id.get(contact.own.get("account_id", ""))
        if account is not None:
            answer["account"] = account_object(account, CREATED_ACCOUNT)
        shown.append(answer)
    return envelope("contacts", shown, page, len(hits))


def _with_keywords(
    contacts: list[Contact], words: list[str], search: KeywordSearch
) -> list[Contact]:
    if search is KeywordSearch.NOTHING:
        return []
    if search is KeywordSearch.EVERY_WORD:
        first, *others = words
        # Most contacts lack the first word.
        some = [one for one in contacts if first in _searched_text(one)]
        return [one for one in some if all(word in _searched_text(one) for word in others)]
    parts = [part for word in words for part in word.split("@") if part]
    return [one for one in contacts if any(part in _searched_text(one) for part in parts)]


def _searched_text(contact: Contact) -> str:
    """What keywords are looked for in; one text, since it is made of each contact of a team."""
    get = contact.own.get
    text = (
        f"{get('name') or ''}\n{get('title') or ''}\n{get('organization_name') or ''}\n"
        f"{get('email') or ''}"
    )
    return "\n".join([text, *contact.emails]).lower() if contact.emails else text.lower()


def is_taken(call: Call, contact: Contact, email: object) -> bool:
    """Whether the address is refused because another contact has it (option `taken_email`)."""
    if not email or call.options.taken_email is TakenEmail.ALLOWED:
        return False
    holders = call.store.contact_index.every(f"email {str(email).strip().lower()}")
    return any(holder is not contact for holder in holders)


def new_contact(call: Call, owner_id: str = "") -> Contact:
    """An empty contact that is not in the store; without ``owner_id`` the acting user owns it."""
    store = call.store
    return Contact(
        {
            "id": store.new_id(),
            "contact_stage_id": store.contact_stages[0]["id"],
            "owner_id": owner_id or call.user_id,
            "creator_id": call.user_id,
            "created_at": call.stamp,
            "updated_at": call.stamp,
        },
        found_from=call.now + call.options.search_lag_seconds,
    )


def overwrite(call: Call, contact: Contact, sent: dict[str, Any]) -> None:
    """Write fields into a stored contact, without its e-mail address where `write` drops it."""
    store = call.store
    contact.keep_former(call.now, call.options.search_lag_seconds)
    keys = store.keys_of(contact)
    try:
        write(store, call.options, contact, sent)
    except BadEmail:
        write(store, call.options, contact, {k: v for k, v in sent.items() if k != "email"})
    if "label_names" in sent:
        _set_named_labels(call, contact, sent)
    contact.own["updated_at"] = call.stamp
    store.changed_contact(contact, keys)


def _set_named_labels(call: Call, contact: Contact, sent: dict[str, Any]) -> None:
    if "label_names" not in sent:
        return
    workspace = call.store.workspace
    workspace.set_labels(
        contact.own,
        [
            workspace.label(call.stamp, "contacts", name, call.user_id)["id"]
            for name in call.names("label_names")
        ],
    )


def labels_of(store: Store, contact: Contact) -> list[dict[str, Any]]:
    """The lists of a contact, as the answers for one contact show them."""
    known = store.workspace.labels
    return [label_object(known[label_id]) for label_id in contact.own.get("label_ids", ())]


def check_room(call: Call, more: int) -> None:
    """Raise Refusal (422 or 403) if the plan has no room for ``more`` further contacts."""
    most = call.options.max_contacts
    if most is not None and len(call.store.contact_by_id) + more > most:
        error = (
            f"You have reached the limit of {most} contacts of your plan. Please upgrade your plan."
        )
        raise Refusal(
            403 if call.options.full_plan is FullPlan.FORBIDDEN else 422, {"error": error}
        )
