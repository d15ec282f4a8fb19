"""The endpoints of accounts, and how the fields of a request become an account's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from target_apollo.sandbox.checks import request_fields
from target_apollo.sandbox.checks.custom_fields import write_custom_fields
from target_apollo.sandbox.checks.request_fields import ACCOUNT_SCALARS, taken_fields
from target_apollo.sandbox.checks.validation import (
    account_to_read,
    account_to_update,
    check_ids,
    check_route,
)
from target_apollo.sandbox.data import matching
from target_apollo.sandbox.data.formats import address_parts, bare_domain, sanitized_phone
from target_apollo.sandbox.data.records import (
    CREATED_ACCOUNT,
    DOCUMENTED_ACCOUNT,
    FOUND_ACCOUNT,
    SHOWN_ACCOUNT,
    Account,
    account_object,
    picked,
)
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import (
    BulkAnswers,
    MatchedInBulk,
    SandboxOptions,
)
from target_apollo.sandbox.routes import bulk
from target_apollo.sandbox.routes.searches import asked_page, envelope, in_order, unknown_order
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import unprocessable

_ADDRESS = ("raw_address", "street_address", "city", "state", "country", "postal_code")


def write(store: Store, options: SandboxOptions, account: Account, sent: Mapping[str, Any]) -> None:
    """Write the fields of a request into an account.

    Args:
        store: Holds the team's custom fields.
        options: How empty values are taken.
        account: Changed in place.
        sent: Input field -> value; only fields that the endpoint takes.

    Raises:
        Refusal: 422, the custom fields are not valid.
    """
    own = account.own
    for name, value in sent.items():
        empty = value is None or value == ""
        if empty and not options.cleared_by.clears(value):
            continue
        if name == "domain":
            own["domain"] = None if empty else bare_domain(str(value))
        elif name == "phone":
            _write_phone(own, None if empty else str(value))
        elif name == "raw_address":
            _write_address(own, None if empty else str(value))
        elif name == "phone_status_cd" and not empty:
            own["phone_status"] = str(value)
        elif name == "merged_crm_ids" and isinstance(value, list):
            account.hidden = {**(account.hidden or {}), name: [str(part) for part in value]}
        elif name in ACCOUNT_SCALARS:
            if not empty:
                own[name] = str(value)
            elif name not in ("owner_id", "account_stage_id"):
                own.pop(name, None)
    if "typed_custom_fields" in sent:
        write_custom_fields(
            own, sent["typed_custom_fields"], store.workspace.fields, "account", options
        )


def _write_phone(own: dict[str, Any], raw: str | None) -> None:
    # An answer has the key sanitized_phone only if the account has a number.
    sanitized = None if raw is None else sanitized_phone(raw)
    own["phone"] = raw
    if sanitized is None:
        own.pop("sanitized_phone", None)
    else:
        own["sanitized_phone"] = sanitized


def _write_address(own: dict[str, Any], raw: str | None) -> None:
    # An answer has the keys of the address only if the account has one.
    for key in _ADDRESS:
        own.pop(key, None)
    if raw is not None:
        own.update(
            {
                "raw_address": raw,
                "street_address": raw.partition(",")[0].strip(),
                **address_parts(raw),
                "postal_code": None,
            }
        )


_NO_ARRAY = 'Please provide an array of account attributes in the "accounts" parameter.'

_BAD_SEARCH = (
    "Your search parameters are entered incorrectly. Did you try to edit the URL directly?"
)


def _created_at(account: Account) -> str:
    return str(account.own["created_at"])


def _updated_at(account: Account) -> str:
    return account.updated_at


SORT_FIELDS = {
    "account_last_activity_date": _created_at,
    "account_created_at": _created_at,
    "account_updated_at": _updated_at,
}


def create(call: Call) -> Any:
    """POST /accounts: always creates an account, also if it equals an existing one."""
    sent = taken_fields(call.body, request_fields.CREATE_ACCOUNT)
    _check_named(sent)
    check_ids(call, sent)
    account = _new_account(call)
    write(call.store, call.options, account, sent)
    call.store.insert_account(account)
    return {"account": account_object(account)}


def update(call: Call) -> Any:
    """PATCH and PUT /accounts/{id}, if `patch_accounts` and `put_accounts` accept them."""
    is_put = call.endpoint.method == "PUT"
    route = call.options.put_accounts if is_put else call.options.patch_accounts
    check_route(route)
    account = account_to_update(call, call.record_id)
    sent = taken_fields(call.body, request_fields.UPDATE_ACCOUNT)
    check_ids(call, sent)
    if sent:
        _overwrite(call, account, sent)
    return {"account": account_object(account), "labels": []}


def show(call: Call) -> Any:
    """GET /accounts/{id}."""
    account = account_to_read(call, call.record_id)
    return {
        "account": {
            **account_object(account, SHOWN_ACCOUNT),
            "num_contacts": call.store.contacts_per_account()[call.record_id],
        }
    }


def search(call: Call) -> Any:
    """POST /accounts/search: by a part of the name; Apollo has no filter by domain."""
    page = asked_page(call)
    part = str(call.body.get("q_organization_name") or "").strip().lower()
    stages = call.names("account_stage_ids")
    labels = set(call.names("account_label_ids"))
    if not call.store.workspace.account_stage_ids.issuperset(stages):
        raise unprocessable(_BAD_SEARCH)
    sort = str(call.body.get("sort_by_field") or "account_updated_at")
    if sort not in SORT_FIELDS:
        raise unknown_order()
    hits = Account.found(call.store.account_by_id.values(), call.now)
    if part:
        hits = [one for one in hits if part in str(one.own.get("name") or "").lower()]
    if stages:
        hits = [one for one in hits if one.own["account_stage_id"] in stages]
    if labels:
        hits = [one for one in hits if not labels.isdisjoint(one.own.get("label_ids", ()))]
    in_order(call, hits, SORT_FIELDS[sort])
    counts = call.store.contacts_per_account()
    shown = [
        {**account_object(account, FOUND_ACCOUNT), "num_contacts": counts[account.own["id"]]}
        for account in page.of(hits)
    ]
    return envelope("accounts", shown, page, len(hits))


def bulk_create(call: Call) -> Any:
    """POST /accounts/bulk_create: at most 100; accounts that exist are answered unchanged."""
    store, options = call.store, call.options
    items = bulk.items_to_create(call, "accounts", _NO_ARRAY)
    dedupe = call.body.get("run_dedupe") is True
    overwrites = dedupe and options.matched_in_bulk is MatchedInBulk.OVERWRITTEN
    duplicates = dedupe and options.matched_in_bulk is MatchedInBulk.DUPLICATED
    items, refusal = bulk.checked_items(call, items, partial(_check_new, call))
    created: dict[str, Account] = {}
    existing: dict[str, Account] = {}
    for item in items:
        account = _new_account(call)
        sent = taken_fields(item, request_fields.BULK_CREATE_ACCOUNT)
        write(store, options, account, sent)
        match = store.account_index.first(
            matching.account_keys({**account.own, **(account.hidden or {})}, dedupe=dedupe)
        )
        if match is not None and overwrites and match.own["id"] not in created:
            _overwrite(call, match, sent)
            existing[match.own["id"]] = match
            continue
        if (
            match is not None
            and not duplicates
            and bulk.keeps_existing(call, match, created, existing)
        ):
            continue
        store.insert_account(account)
        created[account.own["id"]] = account
    if refusal is not None:
        raise refusal
    label_ids = bulk.label_ids(call, "accounts")
    if label_ids:
        touched = {**existing, **created} if options.labels_touch_existing else created
        for account in touched.values():
            store.workspace.set_labels(account.own, [*account.own.get("label_ids", ()), *label_ids])
            store.changed_account(account, store.keys_of_account(account))
    return {
        "created_accounts": _answers(call, list(created.values())),
        "existing_accounts": _answers(call, list(existing.values())),
    }


def _check_named(sent: Mapping[str, Any]) -> None:
    if not any(str(sent.get(name) or "").strip() for name in ("name", "domain")):
        raise unprocessable("Please specify at least a name or domain.")


def _check_new(call: Call, item: dict[str, Any]) -> None:
    _check_named(item)
    check_ids(call, item)
    bulk.check_custom_fields(item)


def _answers(call: Call, accounts: list[Account]) -> list[dict[str, Any]]:
    answers = [
        {**account_object(account, CREATED_ACCOUNT), "updated_at": account.updated_at}
        for account in accounts
    ]
    if call.options.shuffle_answers:
        call.chance.shuffle(answers)
    if call.options.bulk_answers is BulkAnswers.DOCUMENTED:
        return [picked(answer, DOCUMENTED_ACCOUNT) for answer in answers]
    return answers


def bulk_update(call: Call) -> Any:
    """POST /accounts/bulk_update: name, owner and stage, and custom fields of each account."""
    body, options = call.body, call.options
    asynchronous = body.get("async") is True
    same: dict[str, Any] = {}
    if isinstance(body.get("account_attributes"), list):
        if asynchronous:
            raise unprocessable("Async processing is not permitted.")
        items = body["account_attributes"]
    elif isinstance(body.get("account_ids"), list):
        # Custom fields can be sent only for each account by itself.
        same = taken_fields(
            body, request_fields.BULK_UPDATE_ACCOUNT - {"id", "typed_custom_fields"}
        )
        items = [{**same, "id": account_id} for account_id in body["account_ids"]]
    else:
        raise unprocessable("Please provide either account_ids or account_attributes")
    plans, refusal = bulk.planned_updates(
        call,
        items,
        request_fields.BULK_UPDATE_ACCOUNT - {"id"},
        account_to_update,
    )
    for account, sent in plans:
        _overwrite(call, account, sent)
    if refusal is not None:
        raise refusal
    accounts = list({account.own["id"]: account for account, _ in plans}.values())
    if asynchronous:
        return bulk.progress_job(call, "account_bulk_update", accounts)
    answers = [
        {"id": account.own["id"], "account_stage_id": account.own["account_stage_id"]}
        for account in accounts
    ]
    if options.shuffle_answers:
        call.chance.shuffle(answers)
    return {"accounts": answers}


def update_owners(call: Call) -> Any:
    """POST /accounts/update_owners: one owner for many accounts, ids in the body or the query."""
    return bulk.update_owners(
        call, "accounts", call.store.account_by_id, account_to_update, _overwrite
    )


def _new_account(call: Call) -> Account:
    store = call.store
    return Account(
        {
            "id": store.new_id(),
            "team_id": store.team_id,
            "account_stage_id": store.account_stages[0]["id"],
            "creator_id": call.user_id,
            "owner_id": call.user_id,
            "created_at": call.stamp,
        },
        call.stamp,
        found_from=call.now + call.options.search_lag_seconds,
    )


def _overwrite(call: Call, account: Account, sent: dict[str, Any]) -> None:
    account.keep_former(call.now, call.options.search_lag_seconds)
    keys = call.store.keys_of_account(account)
    write(call.store, call.options, account, sent)
    account.updated_at = call.stamp
    call.store.changed_account(account, keys)
