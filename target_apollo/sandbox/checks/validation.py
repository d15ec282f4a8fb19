"""Reading of requests that several endpoints share: ids, required values, pages, lists of names."""

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
        raise refuse_id(call, account_id)
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
        if value and value not in known:
            raise refuse_id(call, value)


def check_route(route: UpdateRoute) -> None:
    """Raise Refusal (404 or 405) for an updating route that the options take away."""
    if route is UpdateRoute.NOT_FOUND:
        raise not_found()
    if route is UpdateRoute.NOT_ALLOWED:
        raise not_allowed()


def ids_of(call: Call, name: str) -> list[str]:
    """The ids under ``name`` in the JSON body, or under ``name[]`` in the query.

    Raises:
        Refusal: 422, there are none.
    """
    ids = call.body.get(name)
    if not isinstance(ids, list):
        ids = call.query.get(f"{name}[]") or call.query.get(name) or []
    if not ids:
        raise unprocessable(f"Required parameter '{name}' missing")
    return [str(value) for value in ids]


def text_of(call: Call, name: str) -> str:
    """A required value of the JSON body or the query; raises Refusal (422) if it is missing."""
    value = call.body.get(name) or first(call.query, name)
    if not value:
        raise unprocessable(f"Required parameter '{name}' missing")
    return str(value)


def sent_value(call: Call, name: str) -> str:
    """A value of the JSON body or else the query, as text; empty if it is missing."""
    return str(call.body.get(name) or first(call.query, name) or "")


def first(query: Mapping[str, list[str]], name: str) -> str | None:
    """The first value of a query parameter, or None."""
    values = query.get(name)
    return values[0] if values else None


def page_of(call: Call) -> tuple[int, int]:
    """``(page, per_page)`` of a search, the page from 1.

    Raises:
        Refusal: 422, the page lies beyond the 50,000 records that a search reaches.
    """
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
    """The names in a list, trimmed and without repeats; other values are ignored."""
    if not isinstance(value, list):
        return []
    return list(
        dict.fromkeys(name.strip() for name in value if isinstance(name, str) and name.strip())
    )


def envelope(key: str, records: list[Any], page: int, size: int, total: int) -> dict[str, Any]:
    """The answer to a search: one page of records under ``key``, and the pagination."""
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
