"""The tables of contacts and of accounts: searched, narrowed and in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from target_apollo.sandbox.data.records import Account, Contact
from target_apollo.sandbox.page.choice import Choice, View, address
from target_apollo.sandbox.page.names import Names
from target_apollo.sandbox.page.runs import Run, run_of
from target_apollo.sandbox.page.tables import (
    Cell,
    Look,
    Slice,
    Table,
    Text,
    cell,
    holds,
    plural,
    shown,
    sliced,
    table_of,
)
from target_apollo.sandbox.state import Sandbox

Record = TypeVar("Record", Contact, Account)

_SEARCHED_OF_CONTACTS = (
    "name", "email", "title", "organization_name", "id", "linkedin_url", "present_raw_address",
)  # fmt: skip
_SEARCHED_OF_ACCOUNTS = ("name", "domain", "id", "phone", "linkedin_url", "raw_address")

_CONTACT_HEADS = (
    "Contact", "Company", "Owner and stage", "Lists", "Custom fields", "Came from",
)  # fmt: skip
_ACCOUNT_HEADS = (
    "Account", "Contacts", "Owner and stage", "Lists", "Custom fields", "Came from",
)  # fmt: skip


def contacts_table(sandbox: Sandbox, choice: Choice, names: Names) -> Table:
    """The contacts, newest first. The caller holds the store's lock."""
    some = _some(sandbox, choice, sandbox.store.contact_by_id, _text_of_contact)
    rows = (_contact_row(names, contact) for contact in some.items)
    return table_of("Contacts", _CONTACT_HEADS, some, rows, _none(choice, "contact"))


def accounts_table(sandbox: Sandbox, choice: Choice, names: Names) -> Table:
    """The accounts, newest first. The caller holds the store's lock."""
    store = sandbox.store
    some = _some(sandbox, choice, store.account_by_id, _text_of_account)
    counts = store.contacts_per_account() if some.items else {}
    rows = (_account_row(names, account, counts[account.own["id"]]) for account in some.items)
    return table_of("Accounts", _ACCOUNT_HEADS, some, rows, _none(choice, "account"))


def narrowed_to(sandbox: Sandbox, choice: Choice) -> Callable[[Mapping[str, Any]], bool] | None:
    """Whether a record belongs to what the choice narrows its table by; None if by nothing."""
    by, of = choice.by, choice.of
    if by in ("request", "run"):
        return _of_requests(sandbox, by, of)
    if by == "list":
        return lambda own: of in own.get("label_ids", ())
    if by == "sequence":
        return lambda own: of in own.get("emailer_campaign_ids", ())
    if by in ("account", "contact"):
        return lambda own: own.get(f"{by}_id") == of
    return None


def _of_requests(sandbox: Sandbox, by: str, of: str) -> Callable[[Mapping[str, Any]], bool]:
    touched, kept = sandbox.store.origins.touched, sandbox.requests
    if by == "run":
        run = run_of(kept, of)
    else:
        run = next((Run([seen]) for seen in kept if str(seen.number) == of), None)
    numbers = frozenset[int]() if run is None else run.numbers
    return lambda own: touched(own["id"], numbers)


def _some(
    sandbox: Sandbox,
    choice: Choice,
    records: Mapping[str, Record],
    text_of: Callable[[Record], str],
) -> Slice[Record]:
    words = choice.search.lower().split()
    belongs = narrowed_to(sandbox, choice)
    newest: Iterator[Record] = reversed(records.values())  # type: ignore[call-overload] # a dict
    if belongs is None and not words:
        return sliced(newest, len(records), choice.part)
    found = (
        record
        for record in newest
        if (belongs is None or belongs(record.own)) and holds(text_of(record), words)
    )
    return sliced(found, None, choice.part)


def _text_of_contact(contact: Contact) -> str:
    own = contact.own
    return "\n".join([*contact.emails, *(str(own.get(key, "")) for key in _SEARCHED_OF_CONTACTS)])


def _text_of_account(account: Account) -> str:
    return "\n".join([str(account.own.get(key, "")) for key in _SEARCHED_OF_ACCOUNTS])


def _contact_row(names: Names, contact: Contact) -> list[Cell]:
    own = contact.own
    email, contact_id = own.get("email"), own["id"]
    title = shown(own.get("title"))
    account = names.account(own.get("account_id"))
    company = shown(own.get("organization_name"))
    return [
        cell(
            Text(shown(own.get("name") or email or contact_id), href=_at(View.CONTACTS, own)),
            Text(shown(email), Look.SOFT) if own.get("name") else None,
        ),
        cell(
            account or company,
            Text(company, Look.SOFT) if account and company != account.text else None,
            Text(title, Look.SOFT),
        ),
        cell(names.user(own.get("owner_id")), names.stage(own.get("contact_stage_id"))),
        cell(*names.lists(own.get("label_ids", ()), View.CONTACTS)),
        names.custom_cell(own.get("typed_custom_fields") or {}),
        names.origin(contact_id),
    ]


def _account_row(names: Names, account: Account, contacts: int) -> list[Cell]:
    own = account.own
    domain, account_id = own.get("domain"), own["id"]
    of_it = Text(plural(contacts, "contact"), href=address(View.CONTACTS, account=account_id))
    return [
        cell(
            Text(shown(own.get("name") or domain or account_id), href=_at(View.ACCOUNTS, own)),
            Text(shown(domain), Look.SOFT) if own.get("name") else None,
        ),
        cell(of_it if contacts else None),
        cell(names.user(own.get("owner_id")), names.stage(own.get("account_stage_id"))),
        cell(*names.lists(own.get("label_ids", ()), View.ACCOUNTS)),
        names.custom_cell(own.get("typed_custom_fields") or {}),
        names.origin(account_id),
    ]


def _at(view: View, own: Mapping[str, Any]) -> str:
    return address(view, own["id"])


def _none(choice: Choice, kind: str) -> str:
    if choice.search or choice.by:
        return f"No {kind} is like that."
    return f"There is no {kind} yet."
