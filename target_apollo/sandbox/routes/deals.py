"""The endpoints of deals, which Apollo calls opportunities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.checks.custom_fields import write_custom_fields
from target_apollo.sandbox.checks.request_fields import CREATE_DEAL, UPDATE_DEAL, taken_fields
from target_apollo.sandbox.checks.validation import check_ids
from target_apollo.sandbox.data.deals import Deal, amount_of, deal_object, sorted_deals
from target_apollo.sandbox.data.formats import day_of, is_id
from target_apollo.sandbox.data.records import FOUND_ACCOUNT, account_object
from target_apollo.sandbox.routes.searches import asked_page, envelope, unknown_order
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import not_found, unprocessable

_SORT_FIELDS = ("", "amount", "is_closed", "is_won")


def stages(call: Call) -> Any:
    """GET /opportunity_stages."""
    return {"opportunity_stages": call.store.deals.stages}


def create(call: Call) -> Any:
    """POST /opportunities: always creates a deal, also if it equals an existing one."""
    sent = taken_fields(call.body, CREATE_DEAL)
    if not str(sent.get("name") or "").strip():
        raise unprocessable("Name is required")
    check_ids(call, sent)
    deals = call.store.deals
    deal = Deal(
        deals.created(call.stamp, call.user_id),
        found_from=call.now + call.options.search_lag_seconds,
    )
    deals.set_stage(deal, deal.own["opportunity_stage_id"], call.stamp)
    if sent.get("account_id"):
        deal.own["account_id"] = str(sent["account_id"])
    _write(call, deal, sent)
    deals.insert(deal)
    return {"opportunity": {**deal_object(deal), "existence_level": "none"}}


def update(call: Call) -> Any:
    """PATCH /opportunities/{id}: overwrites the sent fields; a deal's account stays as it is."""
    deal = call.store.deals.by_id.get(call.record_id)
    if deal is None:
        raise unprocessable("Opportunity does not exist.")
    sent = taken_fields(call.body, UPDATE_DEAL)
    check_ids(call, sent)
    if sent:
        deal.keep_former(call.now, call.options.search_lag_seconds)
        _write(call, deal, sent)
        deal.own["last_activity_date"] = call.stamp
        call.store.deals.changed(deal)
    return {"opportunity": deal_object(deal)}


def show(call: Call) -> Any:
    """GET /opportunities/{id}."""
    if not is_id(call.record_id):
        raise unprocessable("Parameters misconfigured. opportunity_id is not a valid ID")
    deal = call.store.deals.by_id.get(call.record_id)
    if deal is None:
        raise not_found()
    return {"opportunity": _shown(call, deal)}


def search(call: Call) -> Any:
    """GET and POST /opportunities/search: every deal; only POST has a filter, by the name."""
    page = asked_page(call)
    sort = call.text("sort_by_field")
    if sort not in _SORT_FIELDS:
        raise unknown_order()
    words = call.text("q_opportunity_name") if call.endpoint.method == "POST" else ""
    hits = [
        deal
        for deal in Deal.found(call.store.deals.by_id.values(), call.now)
        if words.lower() in str(deal.own.get("name")).lower()
    ]
    shown = [
        {**deal_object(deal), **_account(call, deal)} for deal in page.of(sorted_deals(hits, sort))
    ]
    answer = envelope("opportunities", shown, page, len(hits))
    return {"breadcrumbs": [], **answer, "salesforce_users": []}


def of_contact(call: Call) -> Any:
    """POST /contacts/{id}/opportunities: none for an unknown contact."""
    found = [
        _shown(call, deal)
        for deal in call.store.deals.by_id.values()
        if call.record_id in deal.contact_ids
    ]
    return {"opportunities": found}


def _write(call: Call, deal: Deal, sent: Mapping[str, Any]) -> None:
    options, deals = call.options, call.store.deals
    for name, value in sent.items():
        empty = value is None or value == ""
        if empty and not options.cleared_by.clears(value):
            continue
        if name == "amount":
            deal.own["amount"] = None if empty else _amount(call, str(value))
        elif name == "closed_date":
            deal.own["closed_date"] = None if empty else _closing_day(call, str(value))
        elif name == "opportunity_stage_id" and not empty:
            if value != deal.own["opportunity_stage_id"]:
                deals.set_stage(deal, str(value), call.stamp)
        elif name in ("name", "owner_id") and not empty:
            deal.own[name] = str(value)
    if "typed_custom_fields" in sent:
        fields = call.store.workspace.fields
        write_custom_fields(deal.own, sent["typed_custom_fields"], fields, "opportunity", options)
        # No answer that the reference shows for a deal has this key.
        deal.own.pop("custom_field_errors", None)


def _amount(call: Call, text: str) -> int | float | None:
    amount = amount_of(text, takes_decimals=call.options.decimal_amounts)
    if amount is None and call.options.strict:
        raise strict.refusal(call.endpoint.label, "`amount` must be plain digits")
    return amount


def _closing_day(call: Call, text: str) -> str | None:
    day = day_of(text)
    if day is None and call.options.strict:
        problem = "`closed_date` must be a date like 2026-12-31"
        raise strict.refusal(call.endpoint.label, problem)
    return None if day is None else f"{day}T00:00:00.000+00:00"


def _shown(call: Call, deal: Deal) -> dict[str, Any]:
    store = call.store
    contacts = [store.contact_by_id[one] for one in deal.contact_ids if one in store.contact_by_id]
    roles = [
        {
            "id": contact.own["id"],
            "role": None,
            "contact": {
                name: contact.own.get(name) for name in ("id", "name", "first_name", "last_name")
            },
        }
        for contact in contacts
    ]
    return {
        **deal_object(deal),
        "opportunity_contact_roles": roles,
        "num_contacts": len(roles),
        **_account(call, deal),
    }


def _account(call: Call, deal: Deal) -> dict[str, Any]:
    account = call.store.account_by_id.get(deal.own.get("account_id") or "")
    return {} if account is None else {"account": account_object(account, FOUND_ACCOUNT)}
