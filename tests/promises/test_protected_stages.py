"""No sync moves a record out of a protected stage, by whatever route."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.apollo.client import ApolloClient
from target_apollo.sandbox import Sandbox
from tests.helpers.updates import STAGES
from tests.promises.conftest import Message, Run, contact, record, schema
from tests.promises.test_names import held

SEARCH, READ = "POST /contacts/search", "GET /contacts/{id}"
ROUTES: list[dict[str, Any]] = [
    {"update_method": "individual"},
    {"update_method": "bulk"},
    {"update_method": "individual", "ledger_url": ""},
    {"update_method": "bulk", "ledger_url": ""},
]
GONE = {"_sdc_deleted_at": "2026-01-01T00:00:00Z"}


def stage(apollo: Sandbox, name: str) -> str:
    return str(next(one["id"] for one in apollo.store.contact_stages if one["name"] == name))


def put_into(apollo: Sandbox, name: str, *emails: str) -> None:
    """What a rep does in Apollo."""
    for one in apollo.store.contact_by_id.values():
        if one.own["email"] in emails:
            one.own["contact_stage_id"] = stage(apollo, name)


def rows(count: int, **values: Any) -> list[Message]:
    return [schema("contacts"), *(contact(n, **values) for n in range(count))]


@pytest.mark.parametrize("settings", ROUTES)
@pytest.mark.parametrize("count", [1, 3])
def test_a_contact_stays_in_do_not_contact(
    apollo: Sandbox, sync: Run, settings: dict[str, Any], count: int
) -> None:
    sync(rows(count, contact_stage="New", title="Old"), **settings)
    put_into(apollo, "Do Not Contact", "p0@a.com")

    done = sync(rows(count, contact_stage="Interested", title="New"), **settings)

    assert done.records == {"received": count, "updated": count}, done.log
    assert set(held(apollo, "title").values()) == {"New"}
    stages = held(apollo, "contact_stage_id")
    assert stages.pop("p0@a.com") == stage(apollo, "Do Not Contact")
    assert set(stages.values()) == ({stage(apollo, "Interested")} if count > 1 else set())
    assert done.summary["protected"] == {"contacts": {"contact_stage_id": 1}}


def test_a_row_that_would_change_nothing_else_is_skipped_and_costs_no_more(
    apollo: Sandbox, sync: Run
) -> None:
    sync(rows(1, contact_stage="New"))
    put_into(apollo, "Do Not Contact", "p0@a.com")
    changed = rows(1, contact_stage="Interested")

    done = sync([changed[0], contact(0, contact_stage="Interested", email=None)], mode="update")
    assert done.records == {"received": 1, "skipped": 1}, done.log

    again = sync([changed[0], contact(0, contact_stage="Interested", email=None)], mode="update")
    assert again.records == {"received": 1, "unchanged": 1}


@pytest.mark.full
def test_many_stage_changes_cost_one_search(free: Sandbox, sync: Run) -> None:
    sync(rows(1000, contact_stage="New"), sandbox=free)
    put_into(free, "Do Not Contact", "p7@a.com", "p8@a.com")
    free.reset_log()

    done = sync(rows(1000, contact_stage="Interested", title="CTO"), sandbox=free)

    assert done.records == {"received": 1000, "updated": 1000}, done.log
    assert (free.count(SEARCH), free.count(READ)) == (1, 0)
    protected = [
        email
        for email, held_ in held(free, "contact_stage_id").items()
        if held_ == stage(free, "Do Not Contact")
    ]
    assert sorted(protected) == ["p7@a.com", "p8@a.com"]


def test_where_more_are_protected_than_change_those_are_read(apollo: Sandbox, sync: Run) -> None:
    for n in range(350):
        apollo.store.add_contact(
            email=f"old{n}@b.com", contact_stage_id=stage(apollo, "Do Not Contact")
        )
    sync(rows(3, contact_stage="New"))
    put_into(apollo, "Do Not Contact", "p1@a.com")
    apollo.reset_log()

    sync(rows(3, contact_stage="Interested"))

    assert (apollo.count(SEARCH), apollo.count(READ)) == (1, 3)
    assert held(apollo, "contact_stage_id")["p1@a.com"] == stage(apollo, "Do Not Contact")


@pytest.mark.parametrize("mode", ["update", "upsert"])
def test_a_move_into_a_protected_stage_is_made_without_a_question(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    sync(rows(2, contact_stage="New"))
    apollo.reset_log()

    sync(rows(2, contact_stage="Do Not Contact"), mode=mode)

    assert set(held(apollo, "contact_stage_id").values()) == {stage(apollo, "Do Not Contact")}
    assert (apollo.count(SEARCH), apollo.count(READ)) == (0, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_deleted_rows_move_nobody_out_of_it(apollo: Sandbox, sync: Run, count: int) -> None:
    sync(rows(count, contact_stage="New"))
    put_into(apollo, "Do Not Contact", "p0@a.com")
    properties = {**schema("contacts")["schema"]["properties"], "_sdc_deleted_at": {}}
    gone = [schema("contacts", {"properties": properties})]
    gone += [record("contacts", id=n, **GONE) for n in range(count)]

    done = sync(gone, on_delete="stage:Bad Data")

    outcomes = {"skipped": 1, "updated": count - 1} if count > 1 else {"skipped": 1}
    assert done.records == {"received": count, **outcomes}, done.log
    stages = held(apollo, "contact_stage_id")
    assert stages.pop("p0@a.com") == stage(apollo, "Do Not Contact")
    assert set(stages.values()) == ({stage(apollo, "Bad Data")} if count > 1 else set())


def test_rows_that_a_whole_table_no_longer_holds_move_nobody_out_of_it(
    apollo: Sandbox, sync: Run
) -> None:
    sync(rows(30))
    put_into(apollo, "Do Not Contact", "p0@a.com")
    whole = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
    left = [schema("contacts"), *(contact(n) for n in range(2, 30)), whole]

    done = sync(left, on_delete="stage:Bad Data")

    stages = held(apollo, "contact_stage_id")
    assert stages["p0@a.com"] == stage(apollo, "Do Not Contact")
    assert stages["p1@a.com"] == stage(apollo, "Bad Data")
    assert done.summary["protected"] == {"contacts": {"contact_stage_id": 1}}
    apollo.reset_log()
    sync(left, on_delete="stage:Bad Data")
    assert apollo.count(STAGES) == 0


def test_a_stage_that_a_policy_keeps_anyway_costs_no_question(apollo: Sandbox, sync: Run) -> None:
    policy = {"contact_stage": "create_only"}
    sync(rows(3, contact_stage="New", title="Old"), field_policy=policy)
    apollo.reset_log()

    sync(rows(3, contact_stage="Replied", title="New"), field_policy=policy)

    assert set(held(apollo, "title").values()) == {"New"}
    assert set(held(apollo, "contact_stage_id").values()) == {stage(apollo, "New")}
    assert (apollo.count(SEARCH), apollo.count(READ)) == (0, 0)


def test_a_dry_run_counts_what_stays(apollo: Sandbox, sync: Run) -> None:
    sync(rows(3, contact_stage="New"))
    put_into(apollo, "Do Not Contact", "p0@a.com")

    done = sync(rows(3, contact_stage="Replied"), dry_run=True)

    assert done.records == {"received": 3, "updated": 2, "skipped": 1}, done.log
    assert done.summary["protected"] == {"contacts": {"contact_stage_id": 1}}
    assert stage(apollo, "Replied") not in held(apollo, "contact_stage_id").values()


def test_stages_of_one_s_own_are_protected(apollo: Sandbox, sync: Run) -> None:
    sync(rows(2, contact_stage="Replied"))

    sync(rows(2, contact_stage="New"), protected_stages=["replied"])

    assert set(held(apollo, "contact_stage_id").values()) == {stage(apollo, "Replied")}


def test_an_empty_setting_protects_none(apollo: Sandbox, sync: Run) -> None:
    sync(rows(2, contact_stage="Do Not Contact"))

    sync(rows(2, contact_stage="New"), protected_stages=[])

    assert set(held(apollo, "contact_stage_id").values()) == {stage(apollo, "New")}


def test_a_stage_that_there_is_not_ends_the_run(apollo: Sandbox, sync: Run) -> None:
    sync(rows(2, contact_stage="New"))

    done = sync(rows(2, contact_stage="Replied"), protected_stages=["Never Evr"])

    assert done.exit_code == 2
    assert "The setting 'protected_stages' names 'Never Evr'" in done.log
    assert set(held(apollo, "contact_stage_id").values()) == {stage(apollo, "New")}


def test_a_team_without_the_stage_is_synced_as_ever(apollo: Sandbox, sync: Run) -> None:
    for one in apollo.store.contact_stages:
        if one["name"] == "Do Not Contact":
            one["name"] = one["display_name"] = "Leave Alone"
    sync(rows(2, contact_stage="New"))
    apollo.reset_log()

    done = sync(rows(2, contact_stage="Replied"))

    assert done.records == {"received": 2, "updated": 2}
    assert (apollo.count(SEARCH), apollo.count(READ)) == (0, 0)


def test_an_account_stays_in_a_protected_stage(apollo: Sandbox, sync: Run) -> None:
    first, second = (one["name"] for one in apollo.store.account_stages[:2])
    properties = {"properties": {"id": {}, "domain": {}, "account_stage": {}, "name": {}}}

    def firms(name: str) -> list[Message]:
        firm = record("accounts", id=1, domain="a.com", name="A", account_stage=name)
        return [schema("accounts", properties), firm]

    sync(firms(first))
    held_before = [one["account_stage_id"] for one in apollo.store.accounts()]

    done = sync(firms(second), protected_stages=[first])

    assert done.records in ({"received": 1, "skipped": 1}, {"received": 1, "updated": 1})
    assert [one["account_stage_id"] for one in apollo.store.accounts()] == held_before


#: More contacts than a page of a search has.
SEVERAL_PAGES = 150
EVERYONE = [f"p{number}@a.com" for number in range(SEVERAL_PAGES)]


def moved_out(apollo: Sandbox, name: str) -> list[str]:
    kept = stage(apollo, name)
    return [at for at, held_in in held(apollo, "contact_stage_id").items() if held_in != kept]


def test_contacts_of_several_pages_stay_where_a_search_without_order_would_miss_some(
    apollo: Sandbox, sync: Run
) -> None:
    sync(rows(SEVERAL_PAGES, contact_stage="New", title="Old"), update_method="bulk")
    put_into(apollo, "Do Not Contact", *EVERYONE)
    apollo.set_options(unsorted_moves=True)

    done = sync(rows(SEVERAL_PAGES, contact_stage="Interested", title="New"), update_method="bulk")

    assert done.records == {"received": SEVERAL_PAGES, "updated": SEVERAL_PAGES}
    assert moved_out(apollo, "Do Not Contact") == []


@pytest.mark.parametrize("leaves_first_page", [True, False])
def test_a_search_that_others_move_records_of_begins_again(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch, leaves_first_page: bool
) -> None:
    sync(rows(SEVERAL_PAGES, contact_stage="New", title="Old"), update_method="bulk")
    first, *others = EVERYONE
    put_into(apollo, "Do Not Contact", *(EVERYONE if leaves_first_page else others))
    asked, pages = ApolloClient.in_stages, list[int]()

    def while_a_rep_works(self: ApolloClient, of: Any, stage_ids: Any, page: int) -> Any:
        answer = asked(self, of, stage_ids, page)
        if not pages:
            put_into(apollo, "New" if leaves_first_page else "Do Not Contact", first)
        pages.append(page)
        return answer

    monkeypatch.setattr(ApolloClient, "in_stages", while_a_rep_works)
    sync(rows(SEVERAL_PAGES, contact_stage="Interested", title="New"), update_method="bulk")

    assert pages == [1, 2, 1, 2]
    left = {first} if leaves_first_page else set()
    assert {*moved_out(apollo, "Do Not Contact")} == left
