"""Contacts are linked to accounts: from the ledger, from this run, and in few requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import SEARCHES, World, one_fast
from tests.promises.conftest import CONTACT_SCHEMA, Message, Run, schema
from tests.promises.identity.people import firm, firms, person

LINKED = {"properties": {**CONTACT_SCHEMA["properties"], "account_domain": {}}}
SEARCH, CREATE_ACCOUNTS = "POST /accounts/search", "POST /accounts/bulk_create"
MANY = 600


def staff(numbers: Iterable[int], **values: Any) -> list[Message]:
    """A contact of each firm."""
    rows = [person(n, n, account_domain=f"firm{n}.com", **values) for n in numbers]
    return [schema("contacts", LINKED), *rows]


def links(world: World) -> dict[str, str | None]:
    """E-mail address of each contact -> domain of its account."""
    domains = {one["id"]: one["domain"] for one in world.apollo.store.accounts()}
    return {
        one["email"]: domains.get(one.get("account_id")) for one in world.apollo.store.contacts()
    }


def all_linked(numbers: Iterable[int]) -> dict[str, str]:
    return {f"p{n}@a.com": f"firm{n}.com" for n in numbers}


def searches(world: World) -> int:
    return sum(n for label, n in world.sent().items() if label in SEARCHES)


# --- accounts that the ledger knows


@pytest.mark.parametrize("renamed", one_fast(True, False), ids=["renamed in Apollo", "as written"])
def test_an_account_that_an_earlier_run_wrote_is_found_without_a_search(
    world: World, *, renamed: bool
) -> None:
    world.run(firms(range(3)))
    if renamed:
        for account in world.apollo.store.account_by_id.values():
            keys = world.apollo.store.keys_of_account(account)
            account.own["name"] = f"Quite Another {account.own['id'][-4:]}"
            world.apollo.store.changed_account(account, keys)

    done = world.run(staff(range(3)))

    assert done.records == {"received": 3, "created": 3}, done.log
    assert links(world) == all_linked(range(3))
    assert searches(world) == 0
    world.stays(staff(range(3)))


@pytest.mark.full
def test_rows_in_mode_update_are_linked_to_an_account_of_the_ledger(world: World) -> None:
    world.run(firms(range(3)))
    world.run([schema("contacts"), *(person(n, n) for n in range(3))])

    done = world.run(staff(range(3)), mode="update")

    assert done.records == {"received": 3, "updated": 3}, done.log
    assert links(world) == all_linked(range(3))
    assert searches(world) == 0
    world.stays(staff(range(3)), mode="update")


@pytest.mark.full
def test_an_account_that_did_not_change_is_known_to_the_contacts_of_the_run(world: World) -> None:
    world.run(firms(range(3)))

    done = world.run([*firms(range(3)), *staff(range(3))])

    assert done.records == {"received": 6, "created": 3, "unchanged": 3}, done.log
    assert links(world) == all_linked(range(3))
    assert searches(world) == 0


@pytest.mark.full
def test_contacts_that_come_before_their_accounts_are_linked(any_world: World) -> None:
    stream = [*firms(range(3))[:1], *staff(range(3)), *firms(range(3))[1:]]

    done = any_world.run(stream)

    assert done.records == {"received": 6, "created": 6}, done.log
    assert links(any_world) == all_linked(range(3))


# --- accounts that nobody knows yet


@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_a_contact_of_an_unknown_company_is_written_without_a_link(
    any_world: World, mode: str
) -> None:
    rows = staff([1])

    done = any_world.run(rows, mode=mode)

    assert (done.exit_code, done.records) == (0, {"received": 1, "created": 1}), done.log
    assert links(any_world) == {"p1@a.com": None}
    assert "account_domain" in done.log


@pytest.mark.full
def test_a_row_that_waits_for_a_link_gets_it_in_the_first_run_that_finds_it(world: World) -> None:
    world.run(staff([1, 2]))
    world.run(firms([1, 2]))

    done = world.run(staff([1, 2]))

    assert done.records == {"received": 2, "updated": 2}, done.log
    assert links(world) == all_linked([1, 2])
    world.stays(staff([1, 2]))


@pytest.mark.full
def test_a_missing_account_may_reject_its_rows(any_world: World) -> None:
    done = any_world.run(staff([1]), missing_accounts="reject")

    assert done.records == {"received": 1, "rejected": 1}, done.log
    assert any_world.apollo.store.contacts() == []


def test_missing_accounts_are_created_once_for_all_their_contacts(any_world: World) -> None:
    rows = staff(range(3))
    rows.append(person(50, 50, account_domain="https://www.Firm1.com/about"))

    done = any_world.run(rows, missing_accounts="create")

    assert done.records == {"received": 4, "created": 4}, done.log
    assert [domain for domain, _ in any_world.firms()] == ["firm0.com", "firm1.com", "firm2.com"]
    assert links(any_world) == {**all_linked(range(3)), "p50@a.com": "firm1.com"}
    assert any_world.written()[CREATE_ACCOUNTS] == 1
    any_world.stays(rows, missing_accounts="create")


@pytest.mark.full
def test_an_account_that_somebody_made_is_not_created_again(any_world: World) -> None:
    any_world.apollo.store.add_account(domain="firm1.com", name="Quite Another Name")

    any_world.run(staff([1, 2]), missing_accounts="create")

    assert links(any_world) == all_linked([1, 2])
    assert len(any_world.apollo.store.accounts()) == 2
    assert ("firm1.com", "Quite Another Name") in any_world.firms()


@pytest.mark.full
@pytest.mark.parametrize("host", one_fast("facebook.com/corner", "gmail.com"))
def test_no_account_is_created_for_a_shared_host(any_world: World, host: str) -> None:
    any_world.run(
        [schema("contacts", LINKED), person(1, 1, account_domain=host)], missing_accounts="create"
    )

    assert any_world.apollo.store.accounts() == []


@pytest.mark.full
def test_a_company_is_taken_from_the_address_where_that_is_wanted(any_world: World) -> None:
    any_world.apollo.store.add_account(domain="a.com", name="Quite Another Name")
    rows = [schema("contacts"), person(1, 1), person(2, 2, email="p2@gmail.com")]

    any_world.run(rows, link_by_email_domain=True)

    assert links(any_world) == {"p1@a.com": "a.com", "p2@gmail.com": None}
    any_world.stays(rows, link_by_email_domain=True)


@pytest.mark.full
def test_a_parent_account_is_found_by_its_domain(world: World) -> None:
    properties = {name: {} for name in ("id", "domain", "name", "parent_account_domain")}
    stream = schema("accounts", {"properties": properties})
    world.run(firms([1]))

    done = world.run([stream, firm(2, 2, parent_account_domain="firm1.com")])

    assert done.records == {"received": 1, "created": 1}, done.log
    parent = world.account("firm2.com")["parent_account_id"]
    assert parent == world.account("firm1.com")["id"]
    assert searches(world) == 0


# --- many companies


@pytest.fixture(params=["sqlite", pytest.param("none", marks=pytest.mark.full)])
def narrow(request: pytest.FixtureRequest, sync: Run) -> Iterator[World]:
    """400 requests an hour to each endpoint, and 600 accounts whose names are no help."""
    with new_sandbox(SandboxOptions(strict=True, hour_limit=400, minute_limit=400)) as apollo:
        _fill(apollo, MANY)
        settings: dict[str, Any] = {"sandbox": apollo, "max_wait_seconds": 1}
        if request.param == "none":
            settings["ledger_url"] = ""
        yield World(apollo, sync, settings, has_ledger=request.param == "sqlite")


def _fill(apollo: Sandbox, count: int) -> None:
    for number in range(count):
        apollo.store.add_account(domain=f"firm{number}.com", name=f"Works {number} Ltd")


@pytest.mark.full
def test_600_contacts_of_600_companies_are_linked_within_an_hours_searches(narrow: World) -> None:
    rows = staff(range(MANY))

    done = narrow.run(rows)

    assert (done.exit_code, done.records["created"]) == (0, MANY), done.log
    assert links(narrow) == all_linked(range(MANY))
    one_pass = MANY // 100
    assert sum(narrow.sent().values()) <= one_pass + 1 + 20
    narrow.apollo.reset_quota()
    narrow.stays(rows)


@pytest.mark.full
def test_new_contacts_of_companies_that_an_earlier_run_saw_cost_no_search(narrow: World) -> None:
    narrow.run(staff(range(0, MANY, 2)))
    narrow.apollo.reset_quota()

    done = narrow.run(staff(range(1, MANY, 2)))

    assert done.exit_code == 0, done.log
    assert links(narrow) == all_linked(range(MANY))
    if narrow.has_ledger:
        # One looks whether a creation has made duplicates.
        assert searches(narrow) <= 1


@pytest.mark.full
def test_600_missing_companies_are_created_a_hundred_a_request(sync: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=400, minute_limit=400)) as apollo:
        world = World(apollo, sync, {"sandbox": apollo})

        done = world.run(staff(range(MANY)), missing_accounts="create")

        assert (done.exit_code, done.records["created"]) == (0, MANY), done.log
        assert links(world) == all_linked(range(MANY))
        assert world.written()[CREATE_ACCOUNTS] <= MANY // 100
        assert searches(world) <= 10


@pytest.mark.full
def test_a_pass_through_the_accounts_goes_on_where_the_hour_ended_it(sync: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=400, minute_limit=400)) as apollo:
        _fill(apollo, 1500)
        world = World(apollo, sync, {"sandbox": apollo, "max_wait_seconds": 1})
        rows, most = staff(range(1500)), []
        for _ in range(6):
            apollo.reset_quota()
            apollo.set_options(hour_limit=6)
            done = world.run(rows)
            most.append(searches(world))
            assert done.exit_code in (0, 3), done.log
        apollo.reset_quota()
        apollo.set_options(hour_limit=400)
        world.run(rows)

        assert links(world) == all_linked(range(1500))
        assert sum(most) <= 15 + 6, most
