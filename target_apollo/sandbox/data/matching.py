"""Deduplication: which stored record matches a new one, by the rules of Apollo's reference.

Each rule gives a record *match keys*: strings with a prefix for the rule, strongest rule first.
`KeyIndex` finds stored records by them. A new record matches the first stored record that has one
of its keys.

Contacts (POST /contacts and bulk_create with run_dedupe): the Apollo id, CRM ids, person id, any
e-mail address, then first and last name at the same company. The company is the domain of the
e-mail address (unless it is free mail), the organization id or the organization name.
Accounts (bulk_create): CRM ids always; with run_dedupe also domain, organization id and name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from target_apollo.sandbox.data.formats import FREE_DOMAINS

CONTACT_CRM_FIELDS = (
    "salesforce_lead_id",
    "salesforce_contact_id",
    "salesforce_id",
    "hubspot_vid",
)
_RARE = frozenset({*CONTACT_CRM_FIELDS, "merged_crm_ids", "person_id"})
ACCOUNT_CRM_FIELDS = ("salesforce_id", "hubspot_id")


def contact_keys(fields: Mapping[str, Any], emails: Sequence[str] = ()) -> list[str]:
    """Match keys of a contact, strongest first.

    Args:
        fields: Keys of the contact object, the e-mail address in lower case.
        emails: Its additional addresses, in lower case.
    """
    keys: list[str] = []
    get = fields.get
    if not _RARE.isdisjoint(fields):
        for name in CONTACT_CRM_FIELDS:
            value = get(name)
            if value:
                keys.append(f"crm {value}")
        merged = get("merged_crm_ids")
        if merged:
            keys.extend(f"crm {value}" for value in merged)
        person = get("person_id")
        if person:
            keys.append(f"person {person}")
    email = get("email")
    if email:
        keys.append(f"email {email}")
    if emails:
        keys.extend(f"email {other}" for other in emails)
    first, last = get("first_name"), get("last_name")
    if first and last:
        name = f"{first} {last}".lower()
        if email:
            domain = email[email.rfind("@") + 1 :]
            if domain not in FREE_DOMAINS:
                keys.append(f"name {name} at {domain}")
        organization = get("organization_id")
        if organization:
            keys.append(f"name {name} in {organization}")
        company = get("organization_name")
        if company:
            keys.append(f"name {name} of {company.lower()}")
    return keys


def account_keys(fields: Mapping[str, Any], *, dedupe: bool = True) -> list[str]:
    """Match keys of an account, strongest first; without ``dedupe`` only those of its CRM ids."""
    keys: list[str] = []
    for name in ACCOUNT_CRM_FIELDS:
        value = fields.get(name)
        if value:
            keys.append(f"crm {value}")
    keys.extend(f"crm {value}" for value in fields.get("merged_crm_ids") or ())
    if not dedupe:
        return keys
    if fields.get("domain"):
        keys.append(f"domain {fields['domain']}")
    if fields.get("organization_id"):
        keys.append(f"organization {fields['organization_id']}")
    if fields.get("name"):
        keys.append(f"name {fields['name'].lower()}")
    return keys


Indexed = TypeVar("Indexed")


class KeyIndex(Generic[Indexed]):
    """Match key -> the records that have it, oldest first. Almost every key has one record.

    It keeps the 64-bit hash of each key, in a third of the memory of its text. The chance that two
    of the four million keys of a million contacts share a hash is less than one in a million.
    """

    __slots__ = ("_only", "_several")

    def __init__(self) -> None:
        self._only: dict[int, Indexed] = {}
        self._several: dict[int, list[Indexed]] = {}

    def first(self, keys: Iterable[str]) -> Indexed | None:
        """The oldest record of the first of these keys that any record has; None if none has."""
        only = self._only
        for key in keys:
            record = only.get(hash(key))
            if record is not None:
                return record
        return None

    def every(self, key: str) -> list[Indexed]:
        """All records of a key, oldest first."""
        code = hash(key)
        only = self._only.get(code)
        if only is None:
            return []
        return [only, *self._several.get(code, ())]

    def add(self, keys: Iterable[str], record: Indexed) -> None:
        """Add a record under its match keys."""
        only = self._only
        for key in keys:
            code = hash(key)
            present = only.setdefault(code, record)
            if present is not record:
                self._several.setdefault(code, []).append(record)

    def remove(self, keys: Iterable[str], record: Indexed) -> None:
        """Remove a record from under its match keys."""
        for code in map(hash, keys):
            others = self._several.get(code)
            if self._only.get(code) is record:
                if others:
                    self._only[code] = others.pop(0)
                else:
                    del self._only[code]
            elif others and record in others:
                others.remove(record)
            if others is not None and not others:
                del self._several[code]
