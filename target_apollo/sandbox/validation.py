"""Strict mode: what Apollo ignores silently is refused, naming field and endpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from target_apollo.sandbox import fields
from target_apollo.sandbox.errors import Refusal, unprocessable
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.values import is_id


@dataclass(frozen=True)
class Taken:
    """What an endpoint takes: body fields, fields of the records in a list, query parameters."""

    body: frozenset[str] = frozenset()
    records: Mapping[str, frozenset[str]] = field(default_factory=dict)
    query: frozenset[str] = frozenset()
    modality: str = ""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LISTING = Taken(_set("entity_ids label_names modality async"))
TAKEN: dict[str, Taken] = {
    "POST /contacts": Taken(fields.CREATE_CONTACT, modality="contact"),
    "PATCH /contacts/{id}": Taken(fields.UPDATE_CONTACT, modality="contact"),
    "POST /contacts/search": Taken(
        _set(
            "q_keywords contact_stage_ids contact_label_ids sort_by_field sort_ascending page "
            "per_page"
        )
    ),
    "POST /contacts/bulk_create": Taken(
        fields.BULK_CREATE_CONTACTS, {"contacts": fields.BULK_CREATE_CONTACT}, modality="contact"
    ),
    "POST /contacts/bulk_update": Taken(
        fields.BULK_UPDATE_CONTACTS,
        {"contact_attributes": fields.BULK_UPDATE_CONTACT},
        modality="contact",
    ),
    "POST /contacts/update_stages": Taken(
        _set("contact_ids contact_stage_id"), query=_set("contact_ids[] contact_stage_id")
    ),
    "POST /contacts/update_owners": Taken(
        _set("contact_ids owner_id"), query=_set("contact_ids[] owner_id")
    ),
    "POST /accounts": Taken(fields.CREATE_ACCOUNT, modality="account"),
    "PATCH /accounts/{id}": Taken(fields.UPDATE_ACCOUNT, modality="account"),
    "PUT /accounts/{id}": Taken(fields.UPDATE_ACCOUNT, modality="account"),
    "POST /accounts/search": Taken(
        _set(
            "q_organization_name account_stage_ids account_label_ids sort_by_field sort_ascending "
            "page per_page"
        )
    ),
    "POST /accounts/bulk_create": Taken(
        fields.BULK_CREATE_ACCOUNTS, {"accounts": fields.BULK_CREATE_ACCOUNT}, modality="account"
    ),
    "POST /accounts/bulk_update": Taken(
        fields.BULK_UPDATE_ACCOUNTS,
        {"account_attributes": fields.BULK_UPDATE_ACCOUNT},
        modality="account",
    ),
    "POST /accounts/update_owners": Taken(
        _set("account_ids owner_id"), query=_set("account_ids[] owner_id")
    ),
    "POST /labels": Taken(_set("name modality book_of_business")),
    "PATCH /labels/{id}": Taken(_set("name book_of_business")),
    "POST /labels/add_entity_ids_to_label_names": _LISTING,
    "POST /labels/remove_entity_ids_from_label_names": _LISTING,
    "POST /fields": Taken(_set("label modality type meta")),
    "GET /fields": Taken(query=_set("source")),
    "GET /users/search": Taken(query=_set("page per_page")),
    "GET /users/api_profile": Taken(query=_set("include_credit_usage")),
}
_NOTHING = Taken()
_SPECIAL = (
    fields.LISTS_OF_TEXT
    | fields.LISTS_OF_OBJECTS
    | fields.BOOLEANS
    | fields.NUMBERS
    | fields.OBJECTS
)
_TEXTUAL = (str, type(None))


def check(
    label: str,
    body: Mapping[str, Any],
    query: Mapping[str, list[str]],
    custom_fields: Mapping[str, Mapping[str, Any]],
    options: SandboxOptions,
) -> None:
    """Raise Refusal (422) for the first thing that the endpoint does not take."""
    taken = TAKEN.get(label, _NOTHING)
    for name in query:
        if name not in taken.query:
            raise _refusal(label, f"the query parameter `{name}` is not documented")
    extra = _by_options(label, options)
    _check_record(label, body, taken.body | extra, taken.modality, custom_fields, "")
    for list_name, names in taken.records.items():
        records = body.get(list_name)
        if not isinstance(records, list):
            continue
        allowed = names | extra
        for place, record in enumerate(records):
            if isinstance(record, dict):
                _check_record(
                    label, record, allowed, taken.modality, custom_fields, f"{list_name}[{place}]."
                )


def _by_options(label: str, options: SandboxOptions) -> frozenset[str]:
    if options.single_takes_owner and label in ("POST /contacts", "PATCH /contacts/{id}"):
        return frozenset({"owner_id"})
    if options.bulk_update_takes_stage and label == "POST /contacts/bulk_update":
        return frozenset({"contact_stage_id"})
    return frozenset()


def _check_record(
    label: str,
    record: Mapping[str, Any],
    allowed: frozenset[str],
    modality: str,
    custom_fields: Mapping[str, Mapping[str, Any]],
    where: str,
) -> None:
    if not record.keys() <= allowed:
        name = min(record.keys() - allowed)
        hint = _HINTS.get((label, name), "")
        raise _refusal(label, f"`{where}{name}` is not taken there{hint}")
    for name, value in record.items():
        if type(value) is str and name not in _SPECIAL:
            continue
        problem = _type_problem(name, value)
        if problem:
            raise _refusal(label, f"`{where}{name}` {problem}")
    custom = record.get("typed_custom_fields")
    if custom:
        _check_custom(label, custom, modality, custom_fields, f"{where}typed_custom_fields")


_HINTS = {
    ("POST /contacts/bulk_create", "owner_id"): ": the owner is an argument of the whole request",
}


def _type_problem(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in fields.LISTS_OF_TEXT:
        good = isinstance(value, list) and all(isinstance(part, str) for part in value)
        return "" if good else "must be a list of text"
    if name in fields.LISTS_OF_OBJECTS:
        good = isinstance(value, list) and all(isinstance(part, dict) for part in value)
        # A list that is none is what Apollo itself refuses.
        return "" if good or not isinstance(value, list) else "must be a list of objects"
    if name in fields.BOOLEANS:
        return "" if isinstance(value, bool) else "must be true or false"
    if name in fields.NUMBERS:
        good = isinstance(value, int) and not isinstance(value, bool)
        return "" if good else "must be a whole number"
    if name in fields.OBJECTS:
        return ""
    return "" if isinstance(value, _TEXTUAL) else "must be text"


def _check_custom(
    label: str,
    custom: Any,
    modality: str,
    known: Mapping[str, Mapping[str, Any]],
    where: str,
) -> None:
    if not isinstance(custom, dict):
        raise unprocessable("There is something wrong with your request.")
    for field_id, value in custom.items():
        if not is_id(field_id):
            raise _refusal(label, f"`{where}` has the key `{field_id}`, which is no bare field id")
        if field_id not in known or known[field_id]["modality"] != modality:
            raise _refusal(label, f"`{where}` has `{field_id}`, which is no {modality} field")
        if not isinstance(value, _TEXTUAL):
            raise _refusal(label, f"`{where}.{field_id}` must be text")


def check_body_type(label: str, content_type: str, *, is_object: bool) -> None:
    """Raise Refusal (422) for a body that Apollo would take for empty."""
    if not content_type.startswith("application/json"):
        raise _refusal(label, "the body is sent without `content-type: application/json`")
    if not is_object:
        raise _refusal(label, "the body is no JSON object")


def _refusal(label: str, problem: str) -> Refusal:
    return unprocessable(f"sandbox strict: {problem} ({label}).")
