"""How the fields of a request become a contact's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any

from target_apollo.sandbox.checks.custom_fields import write_custom_fields
from target_apollo.sandbox.checks.request_fields import (
    CONTACT_HIDDEN,
    CONTACT_SCALARS,
    SINGLE_PHONES,
)
from target_apollo.sandbox.data import formats
from target_apollo.sandbox.data.records import WITHOUT_EMAIL, Contact
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import InvalidEmail, SandboxOptions
from target_apollo.sandbox.serving.errors import unprocessable

# By the reference of run_dedupe, these fields keep their first value.
_KEPT_ONCE_SET = frozenset({"person_id", "salesforce_lead_id", "salesforce_contact_id"})

_PHONES = frozenset({*SINGLE_PHONES, "phone", "phone_numbers"})
_NEVER_EMPTY = frozenset({"contact_stage_id", "owner_id"})
# Many contacts have the same values of these fields. One string for all of them saves memory.
_SHARED = frozenset({"title", "organization_name", "present_raw_address"})


@dataclass(frozen=True)
class _Parts:
    """The parts of a contact that fields of these names write.

    All records of a request mostly have the same names, so that this is worked out once for them.
    """

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
    """The e-mail address is malformed, and such records are dropped (`InvalidEmail.DROPPED`)."""


def write(
    store: Store,
    options: SandboxOptions,
    contact: Contact,
    sent: Mapping[str, Any],
    *,
    fresh: bool = False,
) -> None:
    """Write the fields of a request into a contact.

    Args:
        store: Holds the team's custom fields.
        options: How empty values and malformed e-mail addresses are taken.
        contact: Changed in place.
        sent: Input field -> value; only fields that the endpoint takes.
        fresh: Whether the contact is new, so that empty values have nothing to clear.

    Raises:
        Refusal: 422, a value is not valid.
        BadEmail: The contact must not be written.
    """
    own = contact.own
    parts = _parts(tuple(sent))
    for name, key in parts.scalars:
        value = sent[name]
        if value is None or value == "":
            if fresh or key in _NEVER_EMPTY or not options.cleared_by.clears(value):
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
        own.update(formats.address_parts(raw or ""))
        own["formatted_address"] = raw
    if parts.emails or fresh:
        _write_emails(contact, sent, options, fresh=fresh)
    if fresh and options.fills_company and own.get("email") and not own.get("organization_name"):
        own.update(formats.company_of(own["email"]))
    if parts.phones:
        _write_phones(own, sent, options)
    if parts.custom:
        write_custom_fields(
            own, sent["typed_custom_fields"], store.workspace.fields, "contact", options
        )
    for name in parts.hidden:
        contact.hidden = {**(contact.hidden or {}), name: sent[name]}


def _write_emails(
    contact: Contact, sent: Mapping[str, Any], options: SandboxOptions, *, fresh: bool
) -> None:
    own = contact.own
    others = listed_emails(sent, options)
    email = sent.get("email")
    if email is None or email == "":
        if fresh and "email" not in sent and others:
            email = others[0]
        elif fresh or ("email" in sent and options.cleared_by.clears(email)):
            contact.emails = ()
            own.update(WITHOUT_EMAIL)
            own.pop("free_domain", None)
            return
        else:
            return
    email = stored_email(email, options)
    if email is None and fresh and others:
        # Of several addresses, one that is ignored costs no other.
        email = others[0]
    if email is None:
        if fresh:
            own.update(WITHOUT_EMAIL)
        return
    if not fresh and own.get("email_status", "") is None:
        for key in WITHOUT_EMAIL:
            own.pop(key, None)
    own["email"] = email
    if email[email.rfind("@") + 1 :] in formats.FREE_DOMAINS:
        own["free_domain"] = True
    else:
        own.pop("free_domain", None)
    contact.emails = tuple(
        dict.fromkeys(other for other in others or contact.emails if other != email)
    )


def stored_email(value: object, options: SandboxOptions) -> str | None:
    """An address as Apollo stores it; None if it is malformed and ignored.

    Raises:
        Refusal: 422, the address is malformed, and the options refuse it.
        BadEmail: The contact must not be written.
    """
    email = str(value).strip().lower()
    if formats.is_email(email) or options.invalid_email is InvalidEmail.ACCEPTED:
        return email
    if options.invalid_email is InvalidEmail.REFUSED:
        raise unprocessable("Email is invalid.")
    if options.invalid_email is InvalidEmail.DROPPED:
        raise BadEmail
    return formats.nearest_email(email) if options.invalid_email is InvalidEmail.RESPELLED else None


def listed_emails(sent: Mapping[str, Any], options: SandboxOptions) -> list[str]:
    """The addresses of ``contact_emails`` by their positions; raises as `stored_email` does."""
    listed = sent.get("contact_emails")
    if not isinstance(listed, list):
        return []
    entries = [entry for entry in listed if isinstance(entry, dict) and entry.get("email")]
    entries.sort(key=_position)
    stored = (stored_email(entry["email"], options) for entry in entries)
    return [email for email in stored if email]


def _position(entry: Mapping[str, Any]) -> float:
    position = entry.get("position")
    return position if isinstance(position, (int, float)) else 0


def _write_phones(own: dict[str, Any], sent: Mapping[str, Any], options: SandboxOptions) -> None:
    named = []
    if not SINGLE_PHONES.keys().isdisjoint(sent):
        named = [(SINGLE_PHONES[name], sent[name]) for name in SINGLE_PHONES if name in sent]
    if "phone" in sent:
        named.append(("other", sent["phone"]))
    listed = sent.get("phone_numbers")
    if not named and not listed:
        return
    # A number replaces that of the same type; a number of a new type is added.
    known = own.get("phone_numbers")
    numbers = {number["type"]: number for number in known} if known else {}
    plain: list[dict[str, Any]] = []
    for kind, raw in named:
        if raw is None or raw == "":
            if options.cleared_by.clears(raw):
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
        "sanitized_number": formats.sanitized_phone(raw),
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
