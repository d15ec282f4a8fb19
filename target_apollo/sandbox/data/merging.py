"""What a merge in Apollo's interface makes of the record that stays. Pure functions.

Apollo's reference does not describe the merge itself. By its help pages the survivor keeps what it
has and takes over what identifies the other record: addresses and CRM ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.data import enrolment
from target_apollo.sandbox.data.matching import ACCOUNT_CRM_FIELDS, CONTACT_CRM_FIELDS
from target_apollo.sandbox.data.records import WITHOUT_EMAIL, Account, Contact


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
