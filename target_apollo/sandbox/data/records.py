"""Contacts and accounts as the sandbox stores them, and as each endpoint answers them.

A stored record holds only the keys that differ from a template of the endpoint's answer (``own``).
An answer is the template with these keys laid over it: two dict operations for a whole object, and
200,000 contacts fit into memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

import msgspec

from target_apollo.sandbox.data.formats import FREE_DOMAINS, blank

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


CREATED_CONTACT: dict[str, Any] = {
    **blank(_CONTACT_KEYS_NULL_OR_EMPTY),
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
    # Apollo takes an e-mail address that the customer supplies as verified.
    "email_status": "verified",
    "email_from_customer": True,
    "email_true_status": "User Managed",
    "updated_email_true_status": True,
}
"""Template of a contact as POST /contacts answers it."""


def _without(shape: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if key not in keys}


_LATER = {**CREATED_CONTACT, "queued_for_crm_push": None}

UPDATED_CONTACT = _without(_LATER, "contact_campaign_statuses")

SHOWN_CONTACT = {"disable_flag": True, **_LATER, "engagement_graph": None}

FOUND_CONTACT = {**_without(_LATER, "next_contact_id"), "contact_job_change_event": None}

STAGED_CONTACT = {**FOUND_CONTACT, "custom_field_errors": None}

CREATED_ACCOUNT: dict[str, Any] = {
    **blank(_ACCOUNT_KEYS_NULL_OR_EMPTY),
    "source": "api",
    "original_source": "api",
    "phone_status": "no_status",
    "existence_level": "full",
    "modality": "account",
    "source_display_name": "Created from API",
    "show_intent": False,
}
"""Template of an account as POST and PATCH /accounts answer it. A phone number and an address add
keys of their own."""

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
"""Keys of a contact without an e-mail address, instead of those of the template."""

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


Record = TypeVar("Record", bound="Searched")


class Searched:
    """A stored record, which searches may find, or show with its changes, late.

    How late, the option `search_lag_seconds` says.

    Attributes:
        own: Keys of the object that differ from the template.
        found_from: Epoch seconds from which a search finds it.
    """

    __slots__ = ("_former", "_former_until", "found_from", "own")

    def __init__(self, own: dict[str, Any], found_from: float) -> None:
        self.own = own
        self.found_from = found_from
        self._former: Any = None
        self._former_until = 0.0

    def row(self) -> dict[str, Any]:
        """The record as a value for the store's file: the arguments that make it again."""
        names = ("own", "found_from", *self.__slots__)
        return {name: getattr(self, name) for name in names}

    def keep_former(self, now: float, lag_seconds: float) -> None:
        """Before a change: lets searches show the record as it is for a number of seconds.

        Of changes that follow each other at once, a search shows none until the first would appear.
        """
        if lag_seconds and self._former_until <= now:
            self._former = None
            self._former = deepcopy(self)
            self._former_until = now + lag_seconds

    @staticmethod
    def found(records: Iterable[Record], now: float) -> list[Record]:
        """The records that a search finds at a time, in the same order, each as it shows them."""
        return [
            one if one._former_until <= now else one._former
            for one in records
            if one.found_from <= now
        ]


class Contact(Searched):
    """A stored contact.

    Attributes:
        emails: Additional e-mail addresses, in lower case.
        hidden: Written fields that no answer shows (website_url, outreach_id, …).
    """

    __slots__ = ("emails", "hidden")

    def __init__(
        self,
        own: dict[str, Any],
        emails: Sequence[str] = (),
        hidden: dict[str, Any] | None = None,
        found_from: float = 0.0,
    ) -> None:
        super().__init__(own, found_from)
        self.emails = tuple(emails)
        self.hidden = hidden


class Account(Searched):
    """A stored account.

    Attributes:
        updated_at: Time of the last write, which only bulk_create answers show.
        hidden: Written fields that no answer shows (merged_crm_ids).
    """

    __slots__ = ("hidden", "updated_at")

    def __init__(
        self,
        own: dict[str, Any],
        updated_at: str,
        hidden: dict[str, Any] | None = None,
        found_from: float = 0.0,
    ) -> None:
        super().__init__(own, found_from)
        self.updated_at = updated_at
        self.hidden = hidden


def contact_object(contact: Contact, shape: dict[str, Any] = CREATED_CONTACT) -> dict[str, Any]:
    """The whole contact object, by the template of an endpoint's answer."""
    own = contact.own
    answer = {**shape, **own}
    email = own.get("email")
    if email:
        answer["contact_emails"] = [email_object(email, 0)]
        if contact.emails:
            answer["contact_emails"].extend(
                email_object(other, position) for position, other in enumerate(contact.emails, 1)
            )
    return answer


def email_object(email: str, position: int) -> dict[str, Any]:
    """An entry of a contact's ``contact_emails``."""
    # Apollo shows these two digests of an address; nothing depends on their strength.
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
    """The whole account object, by the template of an endpoint's answer."""
    return {**shape, **account.own}


def picked(answer: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The fields of ``answer`` named in ``keys``, without those that are None."""
    return {key: answer[key] for key in keys if answer.get(key) is not None}


def label_object(label: dict[str, Any]) -> dict[str, Any]:
    """A list with the seven keys that contact answers and the list endpoints show."""
    return {
        key: label[key]
        for key in (
            "id", "modality", "cached_count", "name", "created_at", "updated_at", "user_id",
        )
    }  # fmt: skip


_encode = msgspec.json.Encoder().encode
_EMAILS = "contact_emails"
# Each set of keys takes 2 kB. Clients that send random fields must not fill the memory.
_MOST_KEY_SETS = 4096


def _email_pattern() -> bytes:
    varying = ("email_md5", "email_sha256", "email", "free_domain")
    pattern = _encode({**email_object("a@b.example", 0), **dict.fromkeys(varying, "%b")})
    # The digests stay in quotes. The address comes with its quotes; true and false have none.
    for name in varying[2:]:
        pattern = pattern.replace(f'"{name}":"%b"'.encode(), f'"{name}":%b'.encode())
    return b',"contact_emails":[' + pattern + b"]"


_EMAIL_PATTERN = _email_pattern()


class ContactTemplate:
    """Encodes contacts for bulk answers. Nine tenths of each answer are the same for all contacts.

    The JSON of the constant part is made once for each set of own keys, so that only the own keys
    are encoded for each contact. The result equals that of `contact_object`, except for the order
    of the keys.
    """

    def __init__(self, shape: dict[str, Any]) -> None:
        self.shape = shape
        self._constants: dict[tuple[str, ...], bytes] = {}

    def encoded(self, contact: Contact) -> msgspec.Raw:
        """The contact as JSON, to be embedded in an answer that is encoded later."""
        own = contact.own
        email = own.get("email")
        if not email or contact.emails or _EMAILS in own:
            return msgspec.Raw(_encode(contact_object(contact, self.shape)))
        names = tuple(own)
        constant = self._constants.get(names)
        if constant is None:
            constant = self._constant_part(names)
        raw = email.encode()
        emails = _EMAIL_PATTERN % (
            hashlib.md5(raw, usedforsecurity=False).hexdigest().encode(),
            hashlib.sha256(raw).hexdigest().encode(),
            _encode(email),
            b"true" if email[email.rfind("@") + 1 :] in FREE_DOMAINS else b"false",
        )
        return msgspec.Raw(b"".join((_encode(own)[:-1], emails, constant)))

    def _constant_part(self, names: tuple[str, ...]) -> bytes:
        taken = {*names, _EMAILS}
        constant = {key: value for key, value in self.shape.items() if key not in taken}
        if len(self._constants) >= _MOST_KEY_SETS:
            self._constants.clear()
        encoded = self._constants[names] = b"," + _encode(constant)[1:]
        return encoded
