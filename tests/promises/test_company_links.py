"""Contacts are linked to accounts by a domain: from the ledger, from this run, or by one pass."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import Message, Run, contact, record, schema
from tests.promises.test_names import SEARCH, beyond_fixed, held, named

CREATE, CREATE_ACCOUNTS = "POST /contacts/bulk_create", "POST /accounts/bulk_create"
LEDGERS: list[dict[str, str]] = [{}, {"ledger_url": ""}]


def firms(apollo: Sandbox, count: int) -> dict[str, str]:
    """Accounts whose name says nothing of their domain; ids by domain."""
    return {
        f"firm{n}.com": apollo.store.add_account(domain=f"firm{n}.com", name=f"Holding {n}")["id"]
        for n in range(count)
    }


def staff(count: int, **values: Any) -> list[Message]:
    """A contact for each of so many companies."""
    people = [contact(n, account_domain=f"firm{n}.com", **values) for n in range(count)]
    return [named("account_domain"), *people]


def links(apollo: Sandbox) -> list[Any]:
    return [held(apollo, "account_id")[f"p{n}@a.com"] for n in range(len(apollo.store.contacts()))]


@pytest.mark.full
def test_a_thousand_contacts_of_a_thousand_companies_take_one_pass(
    free: Sandbox, sync: Run
) -> None:
    ids = list(firms(free, 1000).values())

    done = sync(staff(1000), sandbox=free)

    assert done.records == {"received": 1000, "created": 1000}, done.log
    assert links(free) == ids
    assert free.count(SEARCH) == 10
    assert sum(beyond_fixed(free).values()) - 10 <= 20


@pytest.mark.full
def test_the_next_run_reads_the_ledger_and_what_is_newer_only(free: Sandbox, sync: Run) -> None:
    firms(free, 250)
    sync(staff(250), sandbox=free)
    added = free.store.add_account(domain="firm250.com", name="Another")["id"]
    free.reset_log()

    done = sync(staff(251), sandbox=free)

    assert done.records == {"received": 251, "created": 1, "unchanged": 250}, done.log
    assert links(free)[250] == added
    assert free.count(SEARCH) == 1


def test_an_account_that_the_ledger_wrote_is_known_to_later_runs(
    apollo: Sandbox, sync: Run
) -> None:
    firm = record("accounts", id=1, domain="firm0.com", name="No Such Word Ltd")
    sync([schema("accounts"), firm])
    apollo.reset_log()

    done = sync(staff(1))

    assert done.records == {"received": 1, "created": 1}
    assert links(apollo) == [apollo.store.accounts()[0]["id"]]
    assert apollo.count(SEARCH) == 0


@pytest.mark.full
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_six_hundred_contacts_of_unknown_companies_are_written_with_the_common_limits(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    firms(apollo, 150)

    done = sync(staff(600), mode=mode)

    assert (done.exit_code, done.records) == (0, {"received": 600, "created": 600}), done.log
    assert apollo.count(SEARCH) == 2
    assert done.summary["unresolved"] == {"contacts": {"account_domain": 450}}


@pytest.mark.full
def test_a_pass_that_the_limits_end_goes_on_in_the_next_run(sync: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        firms(apollo, 1200)
        wanted = [f"firm{n}.com" for n in (1199, 900, 500, 10, 0)]
        people = [contact(n, account_domain=domain) for n, domain in enumerate(wanted)]
        rows = [named("account_domain"), *people]
        settings = {"sandbox": apollo, "quota_share": 0.02, "max_wait_seconds": 0}

        first = sync(rows, **settings)

        assert first.records == {"received": 5, "created": 5}, first.log
        assert apollo.count(SEARCH) == 4
        assert sum(one is not None for one in links(apollo)) == 2
        assert "the next run goes on with it" in first.log
        apollo.reset_log()
        later = sync(rows, sandbox=apollo)
        assert later.records == {"received": 5, "updated": 3, "unchanged": 2}, later.log
        assert None not in links(apollo)
        # The last page of the first run, and those after it until all are found.
        assert apollo.count(SEARCH) == 9
        apollo.reset_log()
        assert sync(rows, sandbox=apollo).records == {"received": 5, "unchanged": 5}
        assert beyond_fixed(apollo) == {}


def test_few_domains_of_a_large_team_are_searched_by_name(free: Sandbox, sync: Run) -> None:
    named_like_it = free.store.add_account(domain="firm0.com", name="firm0.com")["id"]
    for n in range(900):
        free.store.add_account(domain=f"other{n}.com", name=f"Other {n}")

    sync(staff(1), sandbox=free, ledger_url="")

    assert links(free) == [named_like_it]
    assert free.count(SEARCH) <= 3


def test_a_domain_that_two_accounts_have_takes_one_and_tells(apollo: Sandbox, sync: Run) -> None:
    ids = [apollo.store.add_account(domain="firm0.com", name=name)["id"] for name in ("A", "B")]

    done = sync(staff(4))

    assert links(apollo)[0] in ids
    (told,) = done.summary["duplicates"]["listed"]
    assert (told["kind"], sorted(told["apollo_ids"])) == ("several_accounts", sorted(ids))


def test_full_resync_takes_the_accounts_from_apollo_anew(apollo: Sandbox, sync: Run) -> None:
    firms(apollo, 4)
    sync(staff(4))
    apollo.reset_log()

    sync(staff(4), full_resync=True)

    assert apollo.count(SEARCH) == 1


# --- accounts that are missing


@pytest.mark.full
@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_missing_accounts_are_made_a_hundred_a_request(
    apollo: Sandbox, sync: Run, mode: str, ledger: dict[str, str]
) -> None:
    known = firms(apollo, 50)
    rows = [named("account_domain")]
    rows += [
        contact(n, account_domain=f"firm{n}.com", organization_name=f"Firm {n}" if n % 2 else None)
        for n in range(200)
    ]

    done = sync(rows, mode=mode, missing_accounts="create", **ledger)

    assert done.records == {"received": 200, "created": 200}, done.log
    assert done.summary["accounts_made"] == 150
    assert apollo.count(CREATE_ACCOUNTS) == 2
    accounts = {str(one["domain"]): one for one in apollo.store.accounts()}
    assert len(accounts) == 200
    assert links(apollo) == [accounts[f"firm{n}.com"]["id"] for n in range(200)]
    assert accounts["firm60.com"]["name"] == "firm60.com"
    assert accounts["firm61.com"]["name"] == "Firm 61"
    assert {accounts[domain]["id"] for domain in known} == set(known.values())
    apollo.reset_log()

    again = sync(rows, mode=mode, missing_accounts="create", **ledger)

    assert again.records["received"] == 200
    assert len(apollo.store.accounts()) == 200
    assert apollo.count(CREATE_ACCOUNTS) == 0


def test_a_missing_account_gets_its_domain_for_a_name_where_another_has_that_name(
    apollo: Sandbox, sync: Run
) -> None:
    other = apollo.store.add_account(domain="other.com", name="Acme")["id"]

    sync(staff(1, organization_name="Acme"), missing_accounts="create")

    (made,) = [one for one in apollo.store.accounts() if one["id"] != other]
    assert (made["domain"], made["name"]) == ("firm0.com", "firm0.com")
    assert links(apollo) == [made["id"]]


def test_max_creates_counts_the_accounts_that_are_made(apollo: Sandbox, sync: Run) -> None:
    done = sync(staff(10), missing_accounts="create", max_creates=4)

    assert done.exit_code == 1
    assert "max_creates" in done.log
    assert len(apollo.store.accounts()) <= 4


def test_mode_update_makes_no_accounts(apollo: Sandbox, sync: Run) -> None:
    known = apollo.store.add_contact(email="p0@a.com")["id"]

    sync(staff(1, apollo_id=known), mode="update", missing_accounts="create")

    assert apollo.store.accounts() == []


def test_a_dry_run_makes_no_accounts(apollo: Sandbox, sync: Run) -> None:
    done = sync(staff(3), missing_accounts="create", dry_run=True)

    assert done.records == {"received": 3, "created": 3}, done.log
    assert apollo.store.accounts() == []
    assert done.summary["estimate"]["requests"][CREATE_ACCOUNTS] == 1


def test_rows_of_missing_accounts_are_rejected_where_that_is_asked_for(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync(staff(1), missing_accounts="reject")

    assert done.records == {"received": 1, "rejected": 1}
    assert done.reasons == ["unknown_name"]


# --- by the domain of an address


def test_a_company_address_links_a_contact(apollo: Sandbox, sync: Run) -> None:
    ids = firms(apollo, 2)
    rows = [
        named("account_domain"),
        contact(1, email="ann@firm0.com"),
        contact(2, email="bob@firm0.com", account_domain="firm1.com"),
        contact(3, email="eve@gmail.com"),
        contact(4, email="joe@nowhere.com"),
    ]

    done = sync(rows, link_by_email_domain=True)

    assert done.records == {"received": 4, "created": 4}, done.log
    assert held(apollo, "account_id") == {
        "ann@firm0.com": ids["firm0.com"],
        "bob@firm0.com": ids["firm1.com"],
        "eve@gmail.com": None,
        "joe@nowhere.com": None,
    }
    assert "Apollo has no account of the company in 1 row by their address" in done.log
    again = sync(rows, link_by_email_domain=True)
    assert again.records == {"received": 4, "unchanged": 4}


def test_an_unknown_company_of_an_address_rejects_no_row(apollo: Sandbox, sync: Run) -> None:
    rows = [schema("contacts"), contact(1, email="ann@firm0.com")]

    done = sync(rows, link_by_email_domain=True, missing_accounts="reject")

    assert done.records == {"received": 1, "created": 1}


# --- parents of accounts


def test_an_account_is_linked_to_its_parent_by_domain(apollo: Sandbox, sync: Run) -> None:
    parent = apollo.store.add_account(domain="parent.com", name="Mother")["id"]
    properties = {"properties": {"id": {}, "domain": {}, "name": {}, "parent_account_domain": {}}}
    rows = [
        schema("accounts", properties),
        record("accounts", id=1, domain="a.com", parent_account_domain="www.parent.com"),
        record("accounts", id=2, domain="b.com", parent_account_domain="nowhere.com"),
    ]

    done = sync(rows)

    assert done.records == {"received": 2, "created": 2}, done.log
    parents = {str(one["domain"]): one["parent_account_id"] for one in apollo.store.accounts()}
    assert (parents["a.com"], parents["b.com"]) == (parent, None)
    assert sync(rows).records == {"received": 2, "unchanged": 2}
