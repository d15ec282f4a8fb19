"""The answer of bulk_create, decoded as far as it is looked at.

A created record is answered with some eighty properties, and most are what was sent a moment ago.
Of it only those are kept by which its row is recognised and confirmed; skipping the others takes
half the time of decoding, and of a run that creates records that is a tenth. Records that were
there before are compared with their rows, and so kept whole.
"""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import TypedDict

from target_apollo.apollo.bodies import JSON, decode_body


class _Address(TypedDict, total=False):
    email: Any


class CreatedRecord(TypedDict, total=False):
    """What is kept of a contact or an account that bulk_create has made."""

    id: Any
    email: Any
    contact_emails: list[_Address] | None
    first_name: Any
    last_name: Any
    domain: Any
    name: Any
    salesforce_id: Any
    salesforce_lead_id: Any
    salesforce_contact_id: Any
    hubspot_id: Any
    hubspot_vid: Any
    custom_field_errors: Any
    created_at: Any
    updated_at: Any


class _CreatedContacts(TypedDict):
    created_contacts: list[CreatedRecord]
    existing_contacts: list[JSON]


class _CreatedAccounts(TypedDict):
    created_accounts: list[CreatedRecord]
    existing_accounts: list[JSON]


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "contacts": msgspec.json.Decoder(_CreatedContacts),
    "accounts": msgspec.json.Decoder(_CreatedAccounts),
}


def decode_created_contacts(content: bytes) -> Any:
    """Return the answer of POST /contacts/bulk_create; see `_decode`."""
    return _decode("contacts", content)


def decode_created_accounts(content: bytes) -> Any:
    """Return the answer of POST /accounts/bulk_create; see `_decode`."""
    return _decode("accounts", content)


def _decode(name: str, content: bytes) -> Any:
    """Decode created records in part; an answer of any other form whole, for `Body` to judge it.

    Raises ValueError where it is no JSON.
    """
    try:
        return _DECODERS[name].decode(content)
    except (ValueError, RecursionError):
        return decode_body(content)
