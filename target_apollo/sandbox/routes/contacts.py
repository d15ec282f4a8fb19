"""The endpoints of one contact and the search, and how sent fields become a contact's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any

from target_apollo.sandbox import records, validation
from target_apollo.sandbox.call import Call
from target_apollo.sandbox.errors import unprocessable
from target_apollo.sandbox.options import (
    ClearedBy,
    InvalidEmail,
    SandboxOptions,
)
from target_apollo.sandbox.records import (
    CREATED_ACCOUNT,
    CREATED_CONTACT,
    FOUND_CONTACT,
    SHOWN_CONTACT,
    UPDATED_CONTACT,
    WITHOUT_EMAIL,
    Contact,
    account_object,
    contact_object,
    is_id,
    label_object,
)
from target_apollo.sandbox.store import Store
from target_apollo.sandbox.validation import (
    CONTACT_HIDDEN,
    CONTACT_SCALARS,
    GONE_CONTACT,
    SINGLE_PHONES,
    check_ids,
    contact_to_update,
    envelope,
    names_in,
    page_of,
    refuse_id,
)

# Once set they stay, says the reference of run_dedupe.
_KEPT_ONCE_SET = frozenset({"person_id", "salesforce_lead_id", "salesforce_contact_id"})

_PHONES = frozenset({*SINGLE_PHONES, "phone", "phone_numbers"})

_NEVER_EMPTY = frozenset({"contact_stage_id", "owner_id"})


# Many contacts share these; one text for all of them keeps a million contacts in bounds.
_SHARED = frozenset({"title", "organization_name", "present_raw_address"})


@dataclass(frozen=True)
class _Parts:
    """What a record with these field names touches: the same for every record of a request."""

    scalars: tuple[tuple[str, str], ...]
    name: bool
    address: bool
    emails: bool
    phones: bool
    custom: bool
    hidden: frozenset[str]


@lru_cache(maxsize=1024)
def _parts(names: tuple[str, ...]) -> _Parts:
    sent = frozenset(names)
    return _Parts(
        scalars=tuple((name, CONTACT_SCALARS[name]) for name in names if name in CONTACT_SCALARS),
        name=not sent.isdisjoint({"first_name", "last_name"}),
        address="present_raw_address" in sent,
        emails=not sent.isdisjoint({"email", "contact_emails"}),
        phones=not _PHONES.isdisjoint(sent),
        custom="typed_custom_fields" in sent,
        hidden=CONTACT_HIDDEN & sent,
    )


class BadEmail(Exception):
    """The record's e-mail address is malformed and the sandbox is to leave such records out."""


def write(
    store: Store,
    options: SandboxOptions,
    contact: Contact,
    sent: Mapping[str, Any],
    *,
    fresh: bool = False,
) -> None:
    """Write the sent fields into the contact; raises Refusal for a 422, BadEmail to leave it out.

    ``sent`` holds only fields that the endpoint takes. A ``fresh`` contact has nothing to be
    cleared.
    """
    own = contact.own
    parts = _parts(tuple(sent))
    for name, key in parts.scalars:
        value = sent[name]
        if value is None or value == "":
            if fresh or key in _NEVER_EMPTY or not clears(value, options):
                continue
            own.pop(key, None)
        elif key in _KEPT_ONCE_SET and own.get(key):
            continue
        else:
            text = value if type(value) is str else str(value)
            own[key] = intern(text) if key in _SHARED else text
    if sent.get("primary_title"):
        own["title"] = str(sent["primary_title"])
    if parts.name:
        first, last = own.get("first_name"), own.get("last_name")
        own["name"] = f"{first} {last}" if first and last else (first or last or "")
    elif fresh:
        own["name"] = ""
    if "linkedin_url" in own and options.rewrites_linkedin:
        own["linkedin_url"] = _stored_linkedin(own["linkedin_url"])
    if parts.address:
        raw = own.get("present_raw_address")
        own.update(records.place(raw or ""))
        own["formatted_address"] = raw
    if parts.emails or fresh:
        _write_emails(contact, sent, options, fresh=fresh)
    if parts.phones:
        _write_phones(own, sent, options)
    if parts.custom:
        records.written(
            own, sent["typed_custom_fields"], store.workspace.fields, "contact", options
        )
    for name in parts.hidden:
        contact.hidden = {**(contact.hidden or {}), name: sent[name]}


def clears(value: object, options: SandboxOptions) -> bool:
    """Say whether this empty value empties a field."""
    if options.cleared_by is ClearedBy.BOTH:
        return True
    return (value is None) is (options.cleared_by is ClearedBy.NULL)


def _write_emails(
    contact: Contact, sent: Mapping[str, Any], options: SandboxOptions, *, fresh: bool
) -> None:
    own = contact.own
    others: list[str] = []
    if isinstance(sent.get("contact_emails"), list):
        listed = [entry for entry in sent["contact_emails"] if isinstance(entry, dict)]
        listed.sort(key=lambda entry: entry.get("position") or 0)
        others = [str(entry.get("email") or "").strip().lower() for entry in listed]
    email = sent.get("email")
    if fresh and "email" not in sent and others:
        email = others[0]
    if email is None or email == "":
        if fresh or ("email" in sent and clears(email, options)):
            contact.emails = ()
            own.update(WITHOUT_EMAIL)
            own.pop("free_domain", None)
        return
    email = str(email).strip().lower()
    if not records.is_email(email) and options.invalid_email is not InvalidEmail.ACCEPTED:
        if options.invalid_email is InvalidEmail.REFUSED:
            raise unprocessable("Email is invalid.")
        if options.invalid_email is InvalidEmail.DROPPED:
            raise BadEmail
        if fresh:
            own.update(WITHOUT_EMAIL)
        return
    if not fresh and own.get("email_status", "") is None:
        for key in WITHOUT_EMAIL:
            own.pop(key, None)
    own["email"] = email
    if email[email.rfind("@") + 1 :] in records.FREE_DOMAINS:
        own["free_domain"] = True
    else:
        own.pop("free_domain", None)
    if others:
        contact.emails = tuple(dict.fromkeys(other for other in others if other != email))


def _write_phones(own: dict[str, Any], sent: Mapping[str, Any], options: SandboxOptions) -> None:
    named = []
    if not SINGLE_PHONES.keys().isdisjoint(sent):
        named = [(SINGLE_PHONES[name], sent[name]) for name in SINGLE_PHONES if name in sent]
    if "phone" in sent:
        named.append(("other", sent["phone"]))
    listed = sent.get("phone_numbers")
    if not named and not listed:
        return
    # The same type is overwritten, another type is added.
    known = own.get("phone_numbers")
    numbers = {number["type"]: number for number in known} if known else {}
    plain: list[dict[str, Any]] = []
    for kind, raw in named:
        if raw is None or raw == "":
            if clears(raw, options):
                numbers.pop(kind, None)
            continue
        numbers[kind] = _phone_object(str(raw), kind)
    if isinstance(listed, list):
        plain = [
            _phone_object(str(entry["raw_number"]), str(entry.get("type") or "other"))
            for entry in listed
            if isinstance(entry, dict) and entry.get("raw_number")
        ]
    phones = [*numbers.values(), *plain] if numbers else plain
    if len(phones) > 1 or known:
        for position, number in enumerate(phones):
            number["position"] = position
    own["phone_numbers"] = phones
    own["sanitized_phone"] = phones[0]["sanitized_number"] if phones else None


def _phone_object(raw: str, kind: str) -> dict[str, Any]:
    return {
        "raw_number": raw,
        "sanitized_number": records.sanitized_phone(raw),
        "type": kind,
        "position": 0,
        "status": "no_status",
        "dnc_status": None,
        "dnc_other_info": None,
        "dialer_flags": None,
    }


def _stored_linkedin(url: str) -> str:
    path = url.partition("linkedin.com/")[2].rstrip("/")
    return f"http://www.linkedin.com/{path}" if path else url


def set_labels(store: Store, own: dict[str, Any], label_ids: list[str]) -> None:
    """Put the record on exactly these lists and keep the lists' counts right."""
    before = set(own.get("label_ids", ()))
    after = list(dict.fromkeys(label_ids))
    for label_id in before.difference(after):
        store.workspace.count_label(label_id, -1)
    for label_id in after:
        if label_id not in before:
            store.workspace.count_label(label_id, 1)
    own["label_ids"] = after


SORT_FIELDS = {
    "contact_last_activity_date": "last_activity_date",
    "contact_email_last_opened_at": "created_at",
    "contact_email_last_clicked_at": "created_at",
    "contact_created_at": "created_at",
    "contact_updated_at": "updated_at",
}


def create(call: Call) -> Any:
    """POST /contacts: a new one, or with run_dedupe the first match, overwritten in place."""
    store, options = call.store, call.options
    taken = validation.CREATE_CONTACT | ({"owner_id"} if options.single_takes_owner else set())
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
    return {
        "contact": contact_object(contact, CREATED_CONTACT),
        "labels": labels_of(store, contact),
    }


def update(call: Call) -> Any:
    """PATCH /contacts/{id}: the sent fields, with ``label_names`` replacing the contact's lists."""
    options = call.options
    contact = contact_to_update(call, call.record_id)
    taken = validation.UPDATE_CONTACT | ({"owner_id"} if options.single_takes_owner else set())
    sent = {name: value for name, value in call.body.items() if name in taken}
    check_ids(call, sent)
    # A PATCH of nothing that is taken does not even move updated_at.
    if sent:
        overwrite(call, contact, sent)
    return {
        "contact": contact_object(contact, UPDATED_CONTACT),
        "labels": labels_of(call.store, contact),
    }


def show(call: Call) -> Any:
    """GET /contacts/{id}."""
    if not is_id(call.record_id):
        raise refuse_id(call, call.record_id)
    contact = call.store.contact_by_id.get(call.record_id)
    if contact is None:
        deleted = call.record_id in call.store.deleted_contacts
        raise unprocessable("This contact has been deleted." if deleted else GONE_CONTACT)
    return {"contact": contact_object(contact, SHOWN_CONTACT)}


def search(call: Call) -> Any:
    """POST /contacts/search: every word of q_keywords in name, title, company or e-mail."""
    page, size = page_of(call)
    words = str(call.body.get("q_keywords") or "").lower().split()
    stages = set(names_in(call.body.get("contact_stage_ids")))
    labels = set(names_in(call.body.get("contact_label_ids")))
    now = call.now
    hits = [
        contact
        for contact in call.store.contact_by_id.values()
        if contact.found_from <= now
        and (not stages or contact.own.get("contact_stage_id") in stages)
        and (not labels or labels.intersection(contact.own.get("label_ids", ())))
        and (not words or _has_words(contact.own, words))
    ]
    key = SORT_FIELDS.get(str(call.body.get("sort_by_field") or "contact_updated_at"))
    if key is None:
        raise unprocessable("Invalid sort criteria", skip_alert_dialog=True)
    hits.sort(
        key=lambda contact: (contact.own.get(key) or "", contact.own["id"]),
        reverse=call.body.get("sort_ascending") is not True,
    )
    shown = []
    for contact in hits[(page - 1) * size : page * size]:
        answer = contact_object(contact, FOUND_CONTACT)
        account = call.store.account_by_id.get(contact.own.get("account_id", ""))
        if account is not None:
            answer["account"] = account_object(account, CREATED_ACCOUNT)
        shown.append(answer)
    return envelope("contacts", shown, page, size, len(hits))


def _has_words(own: dict[str, Any], words: list[str]) -> bool:
    text = " ".join(
        str(own.get(key) or "") for key in ("name", "title", "organization_name", "email")
    ).lower()
    return all(word in text for word in words)


def new_contact(call: Call, owner_id: str = "") -> Contact:
    """A blank contact of the acting user, not yet in the store."""
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
    """Write the sent fields over a stored contact; a malformed e-mail costs no other field."""
    store = call.store
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
    set_labels(
        call.store,
        contact.own,
        [
            workspace.label(call.stamp, "contacts", name, call.user_id)["id"]
            for name in names_in(sent["label_names"])
        ],
    )


def labels_of(store: Store, contact: Contact) -> list[dict[str, Any]]:
    """The lists of a contact as its single answers carry them."""
    known = store.workspace.labels
    return [label_object(known[label_id]) for label_id in contact.own.get("label_ids", ())]


def check_room(call: Call, more: int) -> None:
    """Raise Refusal (422) when the plan can't store so many contacts more."""
    most = call.options.max_contacts
    if most is not None and len(call.store.contact_by_id) + more > most:
        raise unprocessable(
            f"You have reached the limit of {most} contacts of your plan. Please upgrade your plan."
        )
