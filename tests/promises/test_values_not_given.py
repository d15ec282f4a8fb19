"""What was kept from a record is written as soon as nothing keeps it, and once only."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.former_ledgers import TO_VERSION_9
from tests.helpers.updates import CREATE, PATCH, titles
from tests.helpers.worlds import one_fast
from tests.ledger.conftest import (
    ledger_url,
    postgresql_server,
    postgresql_url,
    sqlite_url,
)
from tests.promises.conftest import ACCOUNT_SCHEMA, Message, Run, contact, record, schema

__all__ = ["ledger_url", "postgresql_server", "postgresql_url", "sqlite_url"]

READ, SEARCH = "GET /contacts/{id}", "POST /contacts/search"
KEEPING: list[dict[str, str]] = [
    {"email": "create_only"},
    {"*": "fill_if_empty"},
    {"*": "create_only"},
    {"*": "never"},
    {"email": "fill_if_empty"},
]


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(one["email"]) for one in apollo.store.contacts())


def rows(email: str, **values: Any) -> list[Message]:
    return [schema("contacts"), contact(1, **{"email": email, "first_name": "Ann", **values})]


@pytest.fixture(params=["bulk", pytest.param("individual", marks=pytest.mark.full)])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- addresses


@pytest.mark.full
@pytest.mark.parametrize("policy", one_fast(*KEEPING), ids=str)
def test_an_address_that_a_policy_kept_is_written_after_the_policy_is_gone(
    apollo: Sandbox, sync: Run, policy: dict[str, str]
) -> None:
    sync(rows("old@a.com", title="A"))
    sync(rows("new@a.com", title="A"), field_policy=policy)
    assert emails(apollo) == ["old@a.com"]

    done = sync(rows("new@a.com", title="A"))

    assert (emails(apollo), done.records) == (["new@a.com"], {"received": 1, "updated": 1})
    apollo.reset_log()
    assert sync(rows("new@a.com", title="A")).records == {"received": 1, "unchanged": 1}
    assert apollo.count(PATCH) == 0


def test_an_address_that_a_policy_kept_is_written_with_either_ledger(
    apollo: Sandbox, sync: Run, ledger_url: str
) -> None:
    own = {"ledger_url": ledger_url}
    sync(rows("old@a.com"), **own)
    sync(rows("new@a.com"), field_policy={"email": "create_only"}, **own)

    sync(rows("new@a.com"), **own)

    assert emails(apollo) == ["new@a.com"]


@pytest.mark.full
def test_rows_change_under_a_policy_that_keeps_their_addresses_without_a_search_each_time(
    apollo: Sandbox, sync: Run
) -> None:
    policy = {"email": "create_only"}
    sync(rows("old@a.com", title="A"))
    sync(rows("new@a.com", title="B"), field_policy=policy)
    apollo.reset_log()

    sync(rows("new@a.com", title="C"), field_policy=policy)

    assert titles(apollo) == {"old@a.com": "C"}
    assert (apollo.count(SEARCH), apollo.count(READ), apollo.count(PATCH)) == (0, 0, 1)


def test_a_kept_address_that_somebody_else_has_by_now_is_not_written(
    apollo: Sandbox, sync: Run
) -> None:
    policy = {"email": "create_only"}
    sync(rows("old@a.com"))
    sync(rows("new@a.com"), field_policy=policy)
    apollo.store.add_contact(email="new@a.com", first_name="Ann")

    sync(rows("new@a.com"))

    assert emails(apollo) == ["new@a.com", "old@a.com"]


@pytest.mark.full
def test_a_row_that_returns_to_the_address_of_its_record_costs_no_search(
    apollo: Sandbox, sync: Run
) -> None:
    sync(rows("old@a.com"))
    sync(rows("new@a.com"), field_policy={"email": "create_only"})
    apollo.reset_log()

    sync(rows("old@a.com", title="B"))

    assert (titles(apollo), apollo.count(SEARCH)) == ({"old@a.com": "B"}, 0)


def test_a_domain_that_a_policy_kept_is_written_after_the_policy_is_gone(
    apollo: Sandbox, sync: Run
) -> None:
    def firm(domain: str) -> list[Message]:
        return [schema("accounts", ACCOUNT_SCHEMA), record("accounts", id=1, domain=domain)]

    sync(firm("old.com"))
    sync(firm("new.com"), field_policy={"domain": "create_only"})
    assert [one["domain"] for one in apollo.store.accounts()] == ["old.com"]

    sync(firm("new.com"))

    assert [one["domain"] for one in apollo.store.accounts()] == ["new.com"]


def test_a_row_under_newest_that_was_older_is_written_after_the_policy_is_gone(
    apollo: Sandbox, sync: Run
) -> None:
    dated = {"properties": {"id": {}, "email": {}, "first_name": {}, "updated_at": {}}}

    def dated_row(email: str) -> list[Message]:
        return [
            schema("contacts", dated),
            contact(1, email=email, first_name="Ann", updated_at="2001-01-01T00:00:00Z"),
        ]

    sync(dated_row("old@a.com"))
    next(iter(apollo.store.contact_by_id.values())).own["updated_at"] = "2099-01-01T00:00:00Z"
    sync(dated_row("new@a.com"), field_policy={"*": "newest"})
    assert emails(apollo) == ["old@a.com"]

    sync(dated_row("new@a.com"))

    assert emails(apollo) == ["new@a.com"]


@pytest.mark.full
@pytest.mark.parametrize("place", one_fast("list:Gone", "stage:Cold"))
def test_a_row_deleted_with_a_new_address_comes_back_with_it(
    apollo: Sandbox, sync: Run, place: str
) -> None:
    if place.startswith("stage"):
        place = f"stage:{apollo.store.contact_stages[-1]['name']}"
    sync(rows("old@a.com", title="A"))
    gone = rows("new@a.com", title="A", _sdc_deleted_at="2026-01-01T00:00:00Z")
    done = sync(gone, on_delete=place)
    assert (done.summary["deleted"], emails(apollo)) == ({"contacts": 1}, ["old@a.com"])

    sync(rows("new@a.com", title="A"), on_delete=place)

    assert emails(apollo) == ["new@a.com"]


@pytest.mark.full
def test_a_row_missing_in_a_whole_table_comes_back_with_a_new_address(
    apollo: Sandbox, sync: Run
) -> None:
    whole = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
    sync([schema("contacts"), contact(1, email="old@a.com", first_name="Ann"), contact(2)])
    sync([schema("contacts"), contact(2), whole], on_delete="list:Gone")

    done = sync(rows("new@a.com"), on_delete="list:Gone")

    assert emails(apollo) == ["new@a.com", "p2@a.com"]
    assert done.summary["identity"]["contacts"]["address_changed"]["count"] == 1


def test_a_key_that_means_somebody_else_after_its_row_was_missing_gets_a_record_of_its_own(
    apollo: Sandbox, sync: Run
) -> None:
    whole = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
    sync([schema("contacts"), contact(1, email="ann@a.com", first_name="Ann"), contact(2)])
    sync([schema("contacts"), contact(2), whole], on_delete="list:Gone")

    sync([schema("contacts"), contact(1, email="bob@b.com", first_name="Bob")])

    assert emails(apollo) == ["ann@a.com", "bob@b.com", "p2@a.com"]


@pytest.mark.full
def test_a_table_without_addresses_does_not_make_the_ledger_forget_them(
    apollo: Sandbox, sync: Run
) -> None:
    sync(rows("ann@a.com"))
    plain = schema("contacts", {"properties": {"id": {}, "title": {}}})
    sync([plain, record("contacts", id=1, title="B")], mode="update")

    sync([schema("contacts"), contact(1, email="bob@b.com", first_name="Bob")])

    assert emails(apollo) == ["ann@a.com", "bob@b.com"]


def test_an_insert_claims_no_address_that_its_contact_has_not(apollo: Sandbox, sync: Run) -> None:
    numbered = {"properties": {n: {} for n in ("id", "email", "first_name", "salesforce_lead_id")}}
    apollo.store.add_contact(email="crm@a.com", first_name="Ann", salesforce_lead_id="00Q1")
    apollo.store.add_contact(email="row@a.com", first_name="Ann")
    row = [schema("contacts", numbered), contact(1, email="row@a.com", salesforce_lead_id="00Q1")]
    assert sync(row, mode="insert").records == {"received": 1, "existing": 1}

    sync(row)

    assert emails(apollo) == ["crm@a.com", "row@a.com"]


# --- ledgers of version 5


def as_in_version_5(folder: Path) -> None:
    """It took every address that a row had for one that its record was given."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        for statement in TO_VERSION_9:
            ledger.execute(statement)
        ledger.execute("update apollo_links set match_hash = coalesce(row_hash, match_hash)")
        ledger.execute("alter table apollo_links drop column row_hash")
        ledger.execute("update apollo_ledger_version set version = 5")


def test_rows_of_an_earlier_ledger_cost_no_request(
    apollo: Sandbox, sync: Run, tmp_path: Path
) -> None:
    policy = {"email": "create_only"}
    sync(rows("old@a.com"))
    sync(rows("new@a.com"), field_policy=policy)
    as_in_version_5(tmp_path)
    apollo.reset_log()

    done = sync(rows("new@a.com"), field_policy=policy)

    assert done.records == {"received": 1, "unchanged": 1}
    assert (apollo.count(PATCH), apollo.count(CREATE), apollo.count(SEARCH)) == (0, 0, 0)


@pytest.mark.full
def test_a_full_resync_writes_what_an_earlier_ledger_does_not_know_to_be_missing(
    apollo: Sandbox, sync: Run, tmp_path: Path
) -> None:
    sync(rows("old@a.com"))
    sync(rows("new@a.com"), field_policy={"email": "create_only"})
    as_in_version_5(tmp_path)

    sync(rows("new@a.com"), full_resync=True)

    assert emails(apollo) == ["new@a.com"]


# --- stages


@pytest.mark.full
@pytest.mark.parametrize("by_id", one_fast(False, True))
def test_a_stage_that_was_protected_is_written_after_it_is_not(
    apollo: Sandbox, sync: Run, by_id: bool, method: str
) -> None:
    ids = {one["name"]: str(one["id"]) for one in apollo.store.contact_stages}
    ided = {"properties": {n: {} for n in ("id", "email", "contact_stage_id", "title")}}

    def staged(name: str, title: str) -> list[Message]:
        values = {"contact_stage_id": ids[name]} if by_id else {"contact_stage": name}
        return [
            schema("contacts", ided if by_id else None),
            *(contact(n, title=title, **values) for n in range(3)),
        ]

    own = {"update_method": method}
    sync(staged("Do Not Contact", "A"), **own)
    sync(staged("Interested", "B"), **own)
    assert {one["contact_stage_id"] for one in apollo.store.contacts()} == {ids["Do Not Contact"]}
    apollo.reset_log()
    again = sync(staged("Interested", "B"), **own)
    assert again.records == {"received": 3, "unchanged": 3}
    assert apollo.count(SEARCH) == 0

    done = sync(staged("Interested", "B"), protected_stages=[], **own)

    assert {one["contact_stage_id"] for one in apollo.store.contacts()} == {ids["Interested"]}
    assert done.records == {"received": 3, "updated": 3}
    last = sync(staged("Interested", "B"), protected_stages=[], **own)
    assert last.records == {"received": 3, "unchanged": 3}


@pytest.mark.full
def test_a_deleted_row_in_a_protected_stage_is_moved_after_it_is_not(
    apollo: Sandbox, sync: Run
) -> None:
    ids = {one["name"]: str(one["id"]) for one in apollo.store.contact_stages}
    sync([schema("contacts"), contact(1, contact_stage="Do Not Contact")])
    gone = [schema("contacts"), contact(1, _sdc_deleted_at="2026-01-01T00:00:00Z")]
    done = sync(gone, on_delete="stage:Interested")
    assert done.summary["protected"] == {"contacts": {"contact_stage_id": 1}}
    assert sync(gone, on_delete="stage:Interested").records == {"received": 1, "unchanged": 1}

    sync(gone, on_delete="stage:Interested", protected_stages=[])

    assert [one["contact_stage_id"] for one in apollo.store.contacts()] == [ids["Interested"]]


# --- names


@pytest.mark.full
def test_an_owner_who_was_unknown_is_written_once_apollo_knows_them(
    apollo: Sandbox, sync: Run, method: str
) -> None:
    own = {"unresolved": {"owner_email": "drop"}, "update_method": method}
    owned = [schema("contacts"), *(contact(n, owner_email="rep@team.com") for n in range(3))]
    sync(owned, **own)
    assert sync(owned, **own).records == {"received": 3, "unchanged": 3}

    rep = apollo.store.add_user(email="rep@team.com")["id"]
    done = sync(owned, **own)

    assert {one["owner_id"] for one in apollo.store.contacts()} == {rep}
    assert done.records == {"received": 3, "updated": 3}


# --- creations that were cut off


def cut_off(apollo: Sandbox, sync: Run, messages: list[Message], **settings: Any) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, times=None))
    assert sync(messages, max_retries=0, **settings).exit_code == 1
    apollo.clear_faults()


@pytest.mark.parametrize("first", one_fast("upsert", "insert"))
def test_an_insert_claims_nothing_of_a_row_that_changed_since_its_creation_was_cut_off(
    apollo: Sandbox, sync: Run, first: str
) -> None:
    cut_off(apollo, sync, rows("a@a.com", title="A"), mode=first)

    sync(rows("a@a.com", title="B"), mode="insert")
    assert titles(apollo) == {"a@a.com": "A"}

    done = sync(rows("a@a.com", title="B"))

    assert titles(apollo) == {"a@a.com": "B"}, done.records


def test_an_insert_claims_no_new_address_for_what_was_created_under_the_former(
    apollo: Sandbox, sync: Run
) -> None:
    cut_off(apollo, sync, rows("old@a.com"), mode="upsert")
    sync(rows("new@a.com"), mode="insert")
    assert emails(apollo) == ["old@a.com"]

    sync(rows("new@a.com"))

    assert emails(apollo) == ["new@a.com"]


@pytest.mark.full
def test_an_insert_creates_nothing_where_an_update_was_cut_off(apollo: Sandbox, sync: Run) -> None:
    sync(rows("a@a.com", title="A"))
    apollo.inject(Fault(endpoint=PATCH, kind=FaultKind.ERROR_BEFORE_WRITE, status=500, times=None))
    assert sync(rows("a@a.com", title="B"), max_retries=0).exit_code == 1
    apollo.clear_faults()

    done = sync(rows("a@a.com", title="B"), mode="insert")
    assert done.records == {"received": 1, "existing": 1}

    sync(rows("a@a.com", title="B"))

    assert titles(apollo) == {"a@a.com": "B"}


def test_an_insert_that_finds_all_as_it_was_sent_needs_no_update_later(
    apollo: Sandbox, sync: Run
) -> None:
    cut_off(apollo, sync, rows("a@a.com", title="A"))
    done = sync(rows("a@a.com", title="A"), mode="insert")
    assert done.records == {"received": 1, "created": 1}

    assert sync(rows("a@a.com", title="A")).records == {"received": 1, "unchanged": 1}


def test_a_cut_off_update_of_a_young_contact_does_not_lift_its_policies(
    apollo: Sandbox, sync: Run
) -> None:
    sync(rows("a@a.com", title="A", last_name="L"))
    next(iter(apollo.store.contact_by_id.values())).own["title"] = "Sales' word"
    policy = {"title": "create_only"}
    apollo.inject(Fault(endpoint=PATCH, kind=FaultKind.ERROR_BEFORE_WRITE, status=500, times=None))
    changed = rows("a@a.com", title="B", last_name="M")
    assert sync(changed, max_retries=0, field_policy=policy).exit_code == 1
    apollo.clear_faults()

    sync(changed, field_policy=policy)

    assert titles(apollo) == {"a@a.com": "Sales' word"}


def test_an_update_completes_what_a_cut_off_upsert_created(apollo: Sandbox, sync: Run) -> None:
    cut_off(apollo, sync, rows("a@a.com", title="A"))

    sync(rows("a@a.com", title="B"), mode="update")

    assert titles(apollo) == {"a@a.com": "B"}
