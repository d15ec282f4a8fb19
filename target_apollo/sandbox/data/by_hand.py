"""What people do in Apollo's app, and tests past the API: new records and merges. Pure functions.

Apollo's reference does not describe a merge. By its help pages the survivor keeps what it has and
takes over what identifies the other record: addresses and CRM ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.data.formats import bare_domain
from target_apollo.sandbox.data.matching import ACCOUNT_CRM_FIELDS, CONTACT_CRM_FIELDS
from target_apollo.sandbox.data.records import (
    CREATED_CONTACT,
    FOUND_ACCOUNT,
    WITHOUT_EMAIL,
    Account,
    Contact,
)
from target_apollo.sandbox.data.workspace import Workspace

_ACCOUNT_KEYS = FOUND_ACCOUNT.keys() | {
    "sanitized_phone", "raw_address", "street_address", "city", "state", "country", "postal_code",
}  # fmt: skip


def contact_fields(
    contact_id: str, workspace: Workspace, stamp: str, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The ``own`` keys of a new `Contact`.

    ``fields`` are keys of the contact object; raises ValueError for other names.
    """
    refuse_unknown("contact", fields, CREATED_CONTACT)
    name = f"{fields.get('first_name') or ''} {fields.get('last_name') or ''}".strip()
    own = {
        "id": contact_id,
        "contact_stage_id": workspace.contact_stages[0]["id"],
        "owner_id": workspace.admin_id,
        "creator_id": workspace.admin_id,
        "created_at": stamp,
        "updated_at": stamp,
        "name": name,
        **fields,
    }
    if own.get("email"):
        own["email"] = own["email"].strip().lower()
    else:
        own.update(WITHOUT_EMAIL)
    return own


def account_fields(
    account_id: str, workspace: Workspace, stamp: str, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The ``own`` keys of a new `Account`.

    ``fields`` are keys of the account object; raises ValueError for other names.
    """
    refuse_unknown("account", fields, _ACCOUNT_KEYS)
    own = {
        "id": account_id,
        "team_id": workspace.team_id,
        "account_stage_id": workspace.account_stages[0]["id"],
        "owner_id": workspace.admin_id,
        "creator_id": workspace.admin_id,
        "created_at": stamp,
        **fields,
    }
    if own.get("domain"):
        own["domain"] = bare_domain(own["domain"])
    return own


def refuse_unknown(kind: str, fields: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise ValueError for fields that the object of a kind of record does not have."""
    unknown = fields.keys() - set(known)
    if unknown:
        raise ValueError(f"The {kind} object has no {', '.join(sorted(unknown))}.")


def merge_contact(survivor: Contact, loser: Contact) -> None:
    """Give the survivor the loser's addresses and CRM ids.

    It takes over the loser's sequences too. The survivor's primary address stays; the loser's
    addresses become additional ones. A survivor without an address takes the loser's primary one.
    """
    own = survivor.own
    addresses = [own.get("email"), *survivor.emails, loser.own.get("email"), *loser.emails]
    known = list(dict.fromkeys(address for address in addresses if address))
    if known and not own.get("email"):
        for key in WITHOUT_EMAIL:
            own.pop(key, None)
        own["email"] = known[0]
    survivor.emails = tuple(known[1:])
    merged = _merged_ids(own, loser.own, CONTACT_CRM_FIELDS)
    if merged:
        own["merged_crm_ids"] = merged
    present = own.get("emailer_campaign_ids", ())
    for status in enrolment.statuses(loser):
        if status["emailer_campaign_id"] not in present:
            enrolment.join(survivor, status)


def merge_account(survivor: Account, loser: Account) -> None:
    """Give the survivor the loser's CRM ids; it keeps its name and its domain."""
    merged = _merged_ids(
        {**survivor.own, **(survivor.hidden or {})},
        {**loser.own, **(loser.hidden or {})},
        ACCOUNT_CRM_FIELDS,
    )
    if merged:
        survivor.hidden = {**(survivor.hidden or {}), "merged_crm_ids": merged}


def _merged_ids(
    survivor: Mapping[str, Any], loser: Mapping[str, Any], crm_fields: tuple[str, ...]
) -> list[str]:
    ids = [*(survivor.get("merged_crm_ids") or ())]
    ids.extend(str(loser[name]) for name in crm_fields if loser.get(name))
    ids.extend(loser.get("merged_crm_ids") or ())
    return list(dict.fromkeys(ids))
