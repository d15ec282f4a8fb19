"""The shapes of Apollo's contacts and accounts: every key that the live API answers, per endpoint.

A stored record holds only what differs from the template (``own``); an answer is the template with
that laid over it, which keeps 200,000 contacts small and makes a whole object in two dict
operations.

How Apollo writes ids, times, phone numbers, domains and places.

Values of custom fields: what is stored, dropped in silence or reported as an error. Pure.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Any

from target_apollo.sandbox.errors import unprocessable
from target_apollo.sandbox.options import CustomFieldErrors, SandboxOptions

_NO_DIGIT = re.compile(r"\D+")

_NO_ASCII_DIGITS = bytes(code for code in range(128) if not chr(code).isdigit())

_ID = re.compile(r"[0-9a-f]{24}\Z")

_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;.]+(?:\.[^@\s<>,;.]+)+\Z")

FREE_DOMAINS = frozenset(
    [
        "aol.com",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "web.de",
        "yahoo.com",
        "yandex.com",
        "zoho.com",
    ]
)


def id_source() -> Callable[[], str]:
    """Return a maker of ids: 24 hex digits of time, randomness and a counter, as MongoDB does."""
    machine = secrets.token_hex(5)
    counter = itertools.count(secrets.randbelow(1 << 22))

    def new_id() -> str:
        return f"{int(time.time()):08x}{machine}{next(counter) & 0xFFFFFF:06x}"

    return new_id


def is_id(value: object) -> bool:
    """Say whether this is an Apollo id: 24 hex digits."""
    return isinstance(value, str) and _ID.match(value) is not None


def is_email(value: str) -> bool:
    """Say whether this has the form of an e-mail address."""
    return _EMAIL.match(value) is not None


def timestamp(now: float) -> str:
    """``2026-05-18T11:16:41.359Z``, from seconds since the epoch."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def bare_domain(value: str) -> str:
    """The domain in lower case without scheme, ``www.``, port and path."""
    host = value.strip().lower().partition("://")[2] or value.strip().lower()
    host = host.partition("/")[0].partition(":")[0]
    return host.removeprefix("www.")


def sanitized_phone(raw: str) -> str | None:
    """A number in E.164 form; one without a country is taken for American. None without digits."""
    if raw.isascii():
        digits = raw.encode().translate(None, _NO_ASCII_DIGITS).decode()
    else:
        digits = _NO_DIGIT.sub("", raw)
    if not digits:
        return None
    if raw.lstrip().startswith("+"):
        return f"+{digits}"
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+1{digits}" if len(digits) == 10 else f"+{digits}"


@lru_cache(maxsize=4096)
def place(raw: str) -> Mapping[str, str | None]:
    """City, state and country of an address, read off its commas."""
    parts = [part.strip() for part in raw.split(",") if part.strip()]
    return {
        "city": parts[-3] if len(parts) > 2 else (parts[0] if len(parts) > 1 else None),
        "state": parts[-2] if len(parts) > 2 else None,
        "country": parts[-1] if parts else None,
    }


_CONTACT_KEYS_NULL_OR_EMPTY = """
contact_roles[] id first_name last_name name linkedin_url title contact_stage_id owner_id
creator_id person_id email_needs_tickling organization_name source original_source organization_id
headline photo_url present_raw_address linkedin_uid extrapolated_email_confidence salesforce_id
salesforce_lead_id salesforce_contact_id salesforce_account_id crm_owner_id created_at
emailer_campaign_ids[] direct_dial_status direct_dial_enrichment_failed_at email_status
email_source account_id last_activity_date hubspot_vid hubspot_company_id crm_id merged_crm_ids
updated_at queued_for_crm_push suggested_from_rule_engine_config_id email_unsubscribed
person_deleted call_opted_out godmode_apollo_creator sanitized_phone street_address city state
country postal_code formatted_address time_zone label_ids[] has_pending_email_arcgate_request
has_email_arcgate_request existence_level email email_from_customer typed_custom_fields{}
custom_field_errors{} crm_record_url email_status_unavailable_reason email_true_status
updated_email_true_status source_display_name twitter_url facebook_url contact_campaign_statuses[]
contact_emails[] next_contact_id intent_strength show_intent phone_numbers[] account_phone_note
free_domain email_domain_catchall
"""

_ACCOUNT_KEYS_NULL_OR_EMPTY = """
id domain name team_id organization_id account_stage_id source original_source creator_id owner_id
created_at phone phone_status hubspot_id salesforce_id crm_owner_id parent_account_id linkedin_url
suggested_from_rule_engine_config_id godmode_apollo_creator account_playbook_statuses[]
existence_level label_ids[] typed_custom_fields{} custom_field_errors{} modality
source_display_name crm_record_url twitter_url facebook_url intent_strength show_intent
organization_headcount_six_month_growth organization_headcount_twelve_month_growth
organization_headcount_twenty_four_month_growth
"""


def _blank(keys: str) -> dict[str, Any]:
    empty: dict[str, Any] = {}
    for key in keys.split():
        if key.endswith("[]"):
            empty[key[:-2]] = []
        elif key.endswith("{}"):
            empty[key[:-2]] = {}
        else:
            empty[key] = None
    return empty


CREATED_CONTACT: dict[str, Any] = {
    **_blank(_CONTACT_KEYS_NULL_OR_EMPTY),
    "email_needs_tickling": False,
    "source": "api",
    "original_source": "api",
    "has_pending_email_arcgate_request": False,
    "has_email_arcgate_request": False,
    "existence_level": "full",
    "source_display_name": "Created from API",
    "show_intent": False,
    "free_domain": False,
    "email_domain_catchall": False,
    "queued_for_crm_push": True,
    # An address which the customer supplies counts as verified at once.
    "email_status": "verified",
    "email_from_customer": True,
    "email_true_status": "User Managed",
    "updated_email_true_status": True,
}

"""A contact as POST /contacts answers it."""


def _without(shape: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if key not in keys}


_LATER = {**CREATED_CONTACT, "queued_for_crm_push": None}

UPDATED_CONTACT = _without(_LATER, "contact_campaign_statuses")

SHOWN_CONTACT = {"disable_flag": True, **_LATER, "engagement_graph": None}

FOUND_CONTACT = {**_without(_LATER, "next_contact_id"), "contact_job_change_event": None}

STAGED_CONTACT = {**FOUND_CONTACT, "custom_field_errors": None}

CREATED_ACCOUNT: dict[str, Any] = {
    **_blank(_ACCOUNT_KEYS_NULL_OR_EMPTY),
    "source": "api",
    "original_source": "api",
    "phone_status": "no_status",
    "existence_level": "full",
    "modality": "account",
    "source_display_name": "Created from API",
    "show_intent": False,
}

"""An account as POST and PATCH /accounts answer it; phone and address add keys of their own."""

FOUND_ACCOUNT = {
    **CREATED_ACCOUNT,
    "contact_emailer_campaign_ids": [],
    "contact_campaign_status_tally": {},
    "num_contacts": 0,
}

SHOWN_ACCOUNT = {
    **FOUND_ACCOUNT,
    "engagement_graph": None,
    "account_queues": [],
    "disable_flag": True,
}

WITHOUT_EMAIL: dict[str, Any] = {
    "email": None,
    "email_status": None,
    "email_from_customer": None,
    "email_true_status": None,
    "updated_email_true_status": None,
}

"""What a contact without an address has instead of the template's values."""

DOCUMENTED_CONTACT = (
    "id",
    "first_name",
    "last_name",
    "email",
    "title",
    "organization_name",
    "linkedin_url",
    "team_id",
    "owner_id",
    "contact_stage_id",
    "created_at",
    "updated_at",
)

DOCUMENTED_UPDATED_CONTACT = (
    "id",
    "first_name",
    "last_name",
    "email",
    "title",
    "organization_name",
    "owner_id",
    "account_id",
    "present_raw_address",
    "linkedin_url",
    "updated_at",
)

DOCUMENTED_ACCOUNT = (
    "id",
    "name",
    "domain",
    "team_id",
    "owner_id",
    "account_stage_id",
    "phone",
    "linkedin_url",
    "created_at",
    "updated_at",
)


class Contact:
    """A stored contact.

    ``own``: keys of the contact object that differ from the template. ``emails``: additional
    addresses. ``hidden``: written fields that no answer shows (website_url, outreach_id, …).
    ``found_from``: seconds since the epoch from which a search may find it.
    """

    __slots__ = ("emails", "found_from", "hidden", "own")

    def __init__(
        self,
        own: dict[str, Any],
        emails: tuple[str, ...] = (),
        hidden: dict[str, Any] | None = None,
        found_from: float = 0.0,
    ) -> None:
        self.own = own
        self.emails = emails
        self.hidden = hidden
        self.found_from = found_from

    def row(self) -> dict[str, Any]:
        """The contact as a file keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Contact:
        """The contact that a file kept."""
        return cls(row["own"], tuple(row["emails"]), row["hidden"], row["found_from"])


class Account:
    """A stored account; ``updated_at`` and ``hidden`` are shown by bulk answers or not at all."""

    __slots__ = ("found_from", "hidden", "own", "updated_at")

    def __init__(
        self,
        own: dict[str, Any],
        updated_at: str,
        hidden: dict[str, Any] | None = None,
        found_from: float = 0.0,
    ) -> None:
        self.own = own
        self.updated_at = updated_at
        self.hidden = hidden
        self.found_from = found_from

    def row(self) -> dict[str, Any]:
        """The account as a file keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Account:
        """The account that a file kept."""
        return cls(row["own"], row["updated_at"], row["hidden"], row["found_from"])


def contact_object(contact: Contact, shape: dict[str, Any] = CREATED_CONTACT) -> dict[str, Any]:
    """The contact as an answer of this shape has it."""
    own = contact.own
    answer = {**shape, **own}
    email = own.get("email")
    if email:
        answer["contact_emails"] = [email_object(email, 0)]
        if contact.emails:
            answer["contact_emails"].extend(
                email_object(other, place) for place, other in enumerate(contact.emails, 1)
            )
    return answer


def email_object(email: str, position: int) -> dict[str, Any]:
    """An entry of ``contact_emails``."""
    # Apollo publishes these two digests of an address; they protect nothing.
    raw = email.encode()
    return {
        "email_md5": hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        "email_sha256": hashlib.sha256(raw).hexdigest(),
        "email_status": "verified",
        "extrapolated_email_confidence": None,
        "position": position,
        "email": email,
        "free_domain": email[email.rfind("@") + 1 :] in FREE_DOMAINS,
        "source": "User Managed",
        "third_party_vendor_name": None,
        "vendor_validation_statuses": [],
        "email_needs_tickling": False,
        "email_true_status": "User Managed",
        "email_status_unavailable_reason": None,
    }


def account_object(account: Account, shape: dict[str, Any] = CREATED_ACCOUNT) -> dict[str, Any]:
    """The account as an answer of this shape has it."""
    return {**shape, **account.own}


def picked(answer: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Only the fields that the reference documents for a bulk answer, the empty ones left out."""
    return {key: answer[key] for key in keys if answer.get(key) is not None}


def label_object(label: dict[str, Any]) -> dict[str, Any]:
    """The seven keys of a list which contact answers and the list endpoints give."""
    return {
        key: label[key]
        for key in (
            "id", "modality", "cached_count", "name", "created_at", "updated_at", "user_id",
        )
    }  # fmt: skip


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z")


def written(
    own: dict[str, Any],
    sent: Any,
    known: Mapping[str, Mapping[str, Any]],
    modality: str,
    options: SandboxOptions,
) -> None:
    """Write ``typed_custom_fields`` into a record's own keys.

    Keys are bare field ids; a prefixed, unknown or other modality's id is dropped silently, as
    Apollo does. An empty value takes the field out. Raises Refusal (422) for anything but an
    object.
    """
    if sent is None:
        return
    if not isinstance(sent, dict):
        raise unprocessable("There is something wrong with your request.")
    values = dict(own.get("typed_custom_fields", ()))
    errors: dict[str, str] = {}
    for field_id, value in sent.items():
        field = known.get(field_id)
        if field is None or field["modality"] != modality:
            continue
        if value is None or value == "":
            values.pop(field_id, None)
            continue
        if not isinstance(value, str):
            if options.custom_values_must_be_strings:
                raise unprocessable("There is something wrong with your request.")
            value = _text(value)
        problem = _problem(field, value)
        if problem is None:
            values[field_id] = value
        else:
            errors[field_id] = problem
    if values or "typed_custom_fields" in own:
        own["typed_custom_fields"] = values
    own.pop("custom_field_errors", None)
    if errors and options.custom_field_errors is CustomFieldErrors.MAPPING:
        own["custom_field_errors"] = errors
    elif errors and options.custom_field_errors is CustomFieldErrors.LIST:
        own["custom_field_errors"] = [
            {"field_id": field_id, "message": message} for field_id, message in errors.items()
        ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_text(part) for part in value)
    return str(value)


def _problem(field: Mapping[str, Any], value: str) -> str | None:
    kind = field["type"]
    if kind == "number":
        return None if _NUMBER.match(value) else "is not a number"
    if kind == "boolean":
        return None if value.lower() in ("true", "false") else "is not true or false"
    if kind == "date":
        return None if _parses(date.fromisoformat, value) else "is not a date"
    if kind == "datetime":
        stamp = value[:-1] + "+00:00" if value.endswith("Z") else value
        return None if _parses(datetime.fromisoformat, stamp) else "is not a time"
    if kind in ("picklist", "multipicklist"):
        options = {option["id"] for option in field["picklist_values"]}
        chosen = [value] if kind == "picklist" else value.split(",")
        return None if all(part.strip() in options for part in chosen) else "is not an option"
    longest = field.get("text_field_max_length")
    return "is too long" if longest and len(value) > longest else None


def _parses(parse: Any, value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True
