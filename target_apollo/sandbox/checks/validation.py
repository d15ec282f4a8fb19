"""The checks that several endpoints share: ids of records, owners and stages, and their routes."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from target_apollo.sandbox.data.formats import is_id
from target_apollo.sandbox.data.records import Account, Contact
from target_apollo.sandbox.options import GoneInBulk, UnknownId, UpdateRoute
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import (
    Refusal,
    bad_id,
    not_allowed,
    not_found,
    record_not_found,
    unprocessable,
)

# Of contacts the reference has all of these words. Of accounts it shows only the answers to
# malformed ids, which name the parameter instead of a value; for accounts that are missing or
# deleted the sandbox takes the words of contacts, as the nearest.


def refuse_id(call: Call, value: object) -> Refusal:
    """The 422 for a malformed or unknown id; the options say whether it names the id."""
    return bad_id(value, names_value=call.options.bad_id_names_value)


def contact_to_read(call: Call, contact_id: str) -> Contact:
    """The contact of this id; raises Refusal for a malformed, unknown or deleted one."""
    if not is_id(contact_id):
        raise refuse_id(call, contact_id)
    contact = call.store.contact_by_id.get(contact_id)
    if contact is None:
        raise _unreadable(call, "contact", contact_id, call.store.deleted_contacts)
    return contact


def account_to_read(call: Call, account_id: str) -> Account:
    """The account of this id; raises Refusal for a malformed, unknown or deleted one."""
    if not is_id(account_id):
        raise unprocessable("Parameters misconfigured. id is not a valid ID")
    account = call.store.account_by_id.get(account_id)
    if account is None:
        raise _unreadable(call, "account", account_id, call.store.deleted_accounts)
    return account


def contact_to_update(call: Call, contact_id: object) -> Contact:
    """The contact of this id; raises Refusal for a malformed, unknown or deleted one."""
    if not is_id(contact_id):
        raise refuse_id(call, contact_id)
    contact = call.store.contact_by_id.get(str(contact_id))
    if contact is None:
        raise _not_updatable(call, "contact", str(contact_id), call.store.deleted_contacts)
    return contact


def account_to_update(call: Call, account_id: object) -> Account:
    """The account of this id; raises Refusal for a malformed, unknown or deleted one."""
    if not is_id(account_id):
        # Of the id in a path the refusal has the parameter's name in place of the value.
        raise refuse_id(call, "account_id" if call.record_id else account_id)
    account = call.store.account_by_id.get(str(account_id))
    if account is None:
        raise _not_updatable(call, "account", str(account_id), call.store.deleted_accounts)
    return account


def _unreadable(call: Call, kind: str, record_id: str, deleted: Container[str]) -> Refusal:
    if record_id in deleted:
        return unprocessable(f"This {kind} has been deleted.")
    return _missing(call, kind, record_id)


def _not_updatable(call: Call, kind: str, record_id: str, deleted: Container[str]) -> Refusal:
    in_bulk = call.endpoint.path.endswith("/bulk_update")
    if in_bulk and call.options.gone_in_bulk is GoneInBulk.NOT_FOUND:
        return unprocessable(
            "Validation failed",
            error_details={
                f"{kind}_id": record_id,
                "field": "id",
                "message": f"{kind.capitalize()} not found",
            },
        )
    if record_id in deleted:
        return unprocessable(
            f"Cannot update {kind} as it is deleted.", **{f"deleted_{kind}_ids": [record_id]}
        )
    if in_bulk and call.options.unknown_id is UnknownId.UNPROCESSABLE:
        return refuse_id(call, record_id)
    return _missing(call, kind, record_id)


def _missing(call: Call, kind: str, record_id: str) -> Refusal:
    if call.options.unknown_id is UnknownId.NOT_FOUND:
        return record_not_found(kind, record_id)
    return unprocessable(f"Oops! This {kind} does not exist in Apollo.")


_CHECKED = frozenset(
    {
        "owner_id", "contact_stage_id", "account_stage_id", "opportunity_stage_id", "account_id",
        "parent_account_id",
    }
)  # fmt: skip


def check_ids(call: Call, sent: Mapping[str, Any]) -> None:
    """Raise Refusal (422) for an owner, stage, account or parent that the team does not have."""
    if _CHECKED.isdisjoint(sent):
        return
    store = call.store
    for name, known in (
        ("owner_id", store.workspace.users),
        ("contact_stage_id", store.workspace.contact_stage_ids),
        ("account_stage_id", store.workspace.account_stage_ids),
        ("opportunity_stage_id", store.deals.stage_ids),
        ("account_id", store.account_by_id),
        ("parent_account_id", store.account_by_id),
    ):
        value = sent.get(name)
        if value in (None, ""):
            continue
        if not isinstance(value, str) or value not in known:
            raise refuse_id(call, value)


def check_route(route: UpdateRoute) -> None:
    """Raise Refusal (404 or 405) for an updating route that the options take away."""
    if route is UpdateRoute.NOT_FOUND:
        raise not_found()
    if route is UpdateRoute.NOT_ALLOWED:
        raise not_allowed()
