"""Which existing record an incoming one is taken for, in the order of Apollo's reference. Pure.

A record is known by *keys*: strings with a prefix for the rule. The keys of an incoming record,
looked up in order, give the first hit; the same keys index a stored record, so both sides agree by
construction.

Contacts (POST /contacts and bulk_create with run_dedupe): the Apollo id, CRM ids, person id, any
e-mail, then first and last name with the same company, which is the same e-mail domain (free mail
aside), organization id or organization name. Accounts (bulk_create): CRM ids always; with
run_dedupe also domain, organization id and name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from target_apollo.sandbox.records import FREE_DOMAINS

CONTACT_CRM_FIELDS = (
    "salesforce_lead_id",
    "salesforce_contact_id",
    "salesforce_id",
    "hubspot_vid",
)
_RARE = frozenset({*CONTACT_CRM_FIELDS, "merged_crm_ids", "person_id"})
ACCOUNT_CRM_FIELDS = ("salesforce_id", "hubspot_id")


def contact_keys(fields: Mapping[str, Any], emails: Sequence[str] = ()) -> list[str]:
    """Keys of a contact, strongest first; ``fields`` by the names of the contact object.

    ``emails`` are the additional addresses; all addresses are lower-cased already.
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
    """Keys of an account, strongest first; without ``dedupe`` only its CRM ids."""
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
