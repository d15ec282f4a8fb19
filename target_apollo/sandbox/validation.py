"""Strict mode: what Apollo ignores silently is refused, naming field and endpoint. Pure.

Checks that several endpoints share: ids of records, users and stages, and lists of them.

Which fields each endpoint takes; others are ignored, or refused in strict mode.

Source: the request schemas of Apollo's OpenAPI document. Where its prose names a field that the
schema lacks (matching of POST /contacts and bulk_create), the field is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from target_apollo.sandbox.call import Call
from target_apollo.sandbox.errors import Refusal, bad_id, record_not_found, unprocessable
from target_apollo.sandbox.options import SandboxOptions, UnknownId
from target_apollo.sandbox.records import Account, Contact, is_id

GONE_CONTACT = "Oops! This contact does not exist in Apollo."


def refuse_id(call: Call, value: object) -> Refusal:
    """422 for this id, named or not as the options say."""
    return bad_id(value, names_value=call.options.bad_id_names_value)


def contact_to_update(call: Call, contact_id: object) -> Contact:
    """The contact of this id; raises Refusal for a malformed, unknown or deleted one."""
    if not is_id(contact_id):
        raise refuse_id(call, contact_id)
    contact = call.store.contact_by_id.get(str(contact_id))
    if contact is not None:
        return contact
    if contact_id in call.store.deleted_contacts:
        raise unprocessable(
            "Cannot update contact as it is deleted.", deleted_contact_ids=[contact_id]
        )
    if call.options.unknown_id is UnknownId.NOT_FOUND:
        raise record_not_found("contact", str(contact_id))
    if call.endpoint.method == "PATCH":
        raise unprocessable(GONE_CONTACT)
    raise refuse_id(call, contact_id)


def account_to_update(call: Call, account_id: object) -> Account:
    """The account of this id; raises Refusal for a malformed or unknown one."""
    if not is_id(account_id):
        raise refuse_id(call, account_id)
    account = call.store.account_by_id.get(str(account_id))
    if account is not None:
        return account
    if call.options.unknown_id is UnknownId.NOT_FOUND:
        raise record_not_found("account", str(account_id))
    raise refuse_id(call, account_id)


_CHECKED = frozenset(
    {"owner_id", "contact_stage_id", "account_stage_id", "account_id", "parent_account_id"}
)


def check_ids(call: Call, sent: Mapping[str, Any]) -> None:
    """Raise Refusal (422) for an owner, stage, account or parent that the team does not have."""
    if _CHECKED.isdisjoint(sent):
        return
    store = call.store
    for name, known in (
        ("owner_id", store.workspace.users),
        ("contact_stage_id", store.workspace.contact_stage_ids),
        ("account_stage_id", store.workspace.account_stage_ids),
        ("account_id", store.account_by_id),
        ("parent_account_id", store.account_by_id),
    ):
        value = sent.get(name)
        if value and value not in known:
            raise refuse_id(call, value)


def ids_of(call: Call, name: str) -> list[str]:
    """Ids of the JSON body or of repeated ``name[]`` in the query; raises Refusal without any."""
    ids = call.body.get(name)
    if not isinstance(ids, list):
        ids = call.query.get(f"{name}[]") or call.query.get(name) or []
    if not ids:
        raise unprocessable(f"Required parameter '{name}' missing")
    return [str(value) for value in ids]


def text_of(call: Call, name: str) -> str:
    """A required value of the JSON body or the query; raises Refusal without it."""
    value = call.body.get(name) or first(call.query, name)
    if not value:
        raise unprocessable(f"Required parameter '{name}' missing")
    return str(value)


def first(query: Mapping[str, list[str]], name: str) -> str | None:
    """The first value of a query parameter, or None."""
    values = query.get(name)
    return values[0] if values else None


def page_of(call: Call) -> tuple[int, int]:
    """``(page, per_page)`` of a search; raises Refusal beyond the 50,000 reachable records."""
    page, size = (
        _whole(call.body.get(name) or first(call.query, name), default)
        for name, default in (("page", 1), ("per_page", 25))
    )
    page, size = max(page, 1), min(max(size, 1), 100)
    if page * size > 50_000:
        raise unprocessable("Page * per page number is over threshold.")
    return page, size


def _whole(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def names_in(value: Any) -> list[str]:
    """The non-empty texts of a list of names; other things are left out."""
    if not isinstance(value, list):
        return []
    return list(
        dict.fromkeys(name.strip() for name in value if isinstance(name, str) and name.strip())
    )


def envelope(key: str, records: list[Any], page: int, size: int, total: int) -> dict[str, Any]:
    """The answer of a search."""
    return {
        key: records,
        "breadcrumbs": [],
        "partial_results_only": False,
        "has_join": False,
        "disable_eu_prospecting": False,
        "partial_results_limit": 10_000,
        "pagination": {
            "page": page,
            "per_page": size,
            "total_entries": total,
            "total_pages": -(-total // size),
        },
        "num_fetch_result": None,
    }


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SINGLE_PHONES = {
    "direct_phone": "work_direct",
    "corporate_phone": "work_hq",
    "mobile_phone": "mobile",
    "home_phone": "home",
    "other_phone": "other",
}

"""Input field of a single contact -> type of the phone number."""

# Matched on when sent, says the prose; no schema lists them.
_MATCHED = _names("id person_id salesforce_lead_id salesforce_contact_id hubspot_vid")

UPDATE_CONTACT = _names(
    "first_name last_name organization_name title account_id email website_url label_names "
    "contact_stage_id present_raw_address typed_custom_fields"
) | frozenset(SINGLE_PHONES)

CREATE_CONTACT = UPDATE_CONTACT | {"run_dedupe"} | _MATCHED

BULK_CREATE_CONTACT = (
    _names(
        "first_name last_name email title primary_title organization_name phone "
        "present_raw_address linkedin_url facebook_url twitter_url photo_url account_id "
        "organization_id contact_stage_id "
        "salesforce_id hubspot_id salesforce_lead_id salesforce_contact_id salesforce_account_id "
        "outreach_id salesloft_id phone_status_cd typed_custom_fields contact_emails phone_numbers "
        "contact_role_type_ids"
    )
    | _MATCHED
)

BULK_CREATE_CONTACTS = _names("contacts append_label_names owner_id run_dedupe")

BULK_UPDATE_CONTACT = _names(
    "id first_name last_name email title organization_name owner_id account_id present_raw_address "
    "linkedin_url typed_custom_fields"
)

BULK_UPDATE_CONTACTS = (BULK_UPDATE_CONTACT - {"id"}) | _names(
    "contact_ids contact_attributes async visible_entity_ids"
)

CREATE_ACCOUNT = _names(
    "name domain owner_id account_stage_id phone raw_address typed_custom_fields"
)

UPDATE_ACCOUNT = CREATE_ACCOUNT

BULK_CREATE_ACCOUNT = _names(
    "name domain owner_id phone phone_status_cd raw_address linkedin_url facebook_url twitter_url "
    "salesforce_id hubspot_id merged_crm_ids organization_id parent_account_id account_stage_id "
    "typed_custom_fields"
)

BULK_CREATE_ACCOUNTS = _names("accounts append_label_names run_dedupe")

BULK_UPDATE_ACCOUNT = _names("id name owner_id account_stage_id typed_custom_fields")

BULK_UPDATE_ACCOUNTS = _names("account_ids account_attributes name owner_id account_stage_id async")

CONTACT_SCALARS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "title": "title",
    "organization_name": "organization_name",
    "linkedin_url": "linkedin_url",
    "facebook_url": "facebook_url",
    "twitter_url": "twitter_url",
    "photo_url": "photo_url",
    "account_id": "account_id",
    "organization_id": "organization_id",
    "person_id": "person_id",
    "contact_stage_id": "contact_stage_id",
    "owner_id": "owner_id",
    "salesforce_id": "salesforce_id",
    "salesforce_lead_id": "salesforce_lead_id",
    "salesforce_contact_id": "salesforce_contact_id",
    "salesforce_account_id": "salesforce_account_id",
    "hubspot_id": "hubspot_vid",
    "hubspot_vid": "hubspot_vid",
    "present_raw_address": "present_raw_address",
}

"""Input field -> key of the contact object, where the value is taken over as text."""

CONTACT_HIDDEN = _names(
    "website_url outreach_id salesloft_id phone_status_cd contact_role_type_ids"
)

"""Taken, and shown by no answer."""

ACCOUNT_SCALARS = {
    name: name
    for name in [
        "name",
        "owner_id",
        "account_stage_id",
        "linkedin_url",
        "facebook_url",
        "twitter_url",
        "salesforce_id",
        "hubspot_id",
        "organization_id",
        "parent_account_id",
    ]
}

"""Input field -> key of the account object."""

LISTS_OF_TEXT = _names(
    "label_names append_label_names merged_crm_ids contact_role_type_ids contact_ids account_ids "
    "visible_entity_ids entity_ids contact_stage_ids contact_label_ids account_stage_ids "
    "account_label_ids"
)

LISTS_OF_OBJECTS = _names(
    "contacts accounts contact_attributes account_attributes contact_emails phone_numbers fields"
)

BOOLEANS = _names("run_dedupe async sort_ascending book_of_business")

NUMBERS = _names("page per_page position")

#: How fields are typed; every other one is text.
OBJECTS = _names("typed_custom_fields meta")


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
    "POST /contacts": Taken(CREATE_CONTACT, modality="contact"),
    "PATCH /contacts/{id}": Taken(UPDATE_CONTACT, modality="contact"),
    "POST /contacts/search": Taken(
        _set(
            "q_keywords contact_stage_ids contact_label_ids sort_by_field sort_ascending page "
            "per_page"
        )
    ),
    "POST /contacts/bulk_create": Taken(
        BULK_CREATE_CONTACTS, {"contacts": BULK_CREATE_CONTACT}, modality="contact"
    ),
    "POST /contacts/bulk_update": Taken(
        BULK_UPDATE_CONTACTS,
        {"contact_attributes": BULK_UPDATE_CONTACT},
        modality="contact",
    ),
    "POST /contacts/update_stages": Taken(
        _set("contact_ids contact_stage_id"), query=_set("contact_ids[] contact_stage_id")
    ),
    "POST /contacts/update_owners": Taken(
        _set("contact_ids owner_id"), query=_set("contact_ids[] owner_id")
    ),
    "POST /accounts": Taken(CREATE_ACCOUNT, modality="account"),
    "PATCH /accounts/{id}": Taken(UPDATE_ACCOUNT, modality="account"),
    "PUT /accounts/{id}": Taken(UPDATE_ACCOUNT, modality="account"),
    "POST /accounts/search": Taken(
        _set(
            "q_organization_name account_stage_ids account_label_ids sort_by_field sort_ascending "
            "page per_page"
        )
    ),
    "POST /accounts/bulk_create": Taken(
        BULK_CREATE_ACCOUNTS, {"accounts": BULK_CREATE_ACCOUNT}, modality="account"
    ),
    "POST /accounts/bulk_update": Taken(
        BULK_UPDATE_ACCOUNTS,
        {"account_attributes": BULK_UPDATE_ACCOUNT},
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

_SPECIAL = LISTS_OF_TEXT | LISTS_OF_OBJECTS | BOOLEANS | NUMBERS | OBJECTS

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
    if name in LISTS_OF_TEXT:
        good = isinstance(value, list) and all(isinstance(part, str) for part in value)
        return "" if good else "must be a list of text"
    if name in LISTS_OF_OBJECTS:
        good = isinstance(value, list) and all(isinstance(part, dict) for part in value)
        # A list that is none is what Apollo itself refuses.
        return "" if good or not isinstance(value, list) else "must be a list of objects"
    if name in BOOLEANS:
        return "" if isinstance(value, bool) else "must be true or false"
    if name in NUMBERS:
        good = isinstance(value, int) and not isinstance(value, bool)
        return "" if good else "must be a whole number"
    if name in OBJECTS:
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
