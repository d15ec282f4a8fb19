"""Keys of records that a test or a seed adds to a store without the checks of the API. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from target_apollo.sandbox.data.formats import bare_domain
from target_apollo.sandbox.data.records import CREATED_CONTACT, FOUND_ACCOUNT, WITHOUT_EMAIL
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
