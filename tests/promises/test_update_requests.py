"""How many requests updates of existing records take."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.updates import (
    BULK,
    BULK_ACCOUNTS,
    CREATE,
    LISTS,
    PATCH,
    STAGES,
    USAGE,
    by_email,
    there,
    writes,
)
from tests.promises.conftest import Run, contact, record, schema, state

#: Rows from which `auto` goes in bulk.
MANY = 20


@pytest.mark.parametrize("method", ["auto", "bulk"])
def test_a_thousand_changed_contacts_take_twenty_requests(
    free: Sandbox, sync: Run, method: str
) -> None:
    reps = [free.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(5)]
    there(free, 1000)
    rows = [
        contact(n, title=f"T{n}", first_name=f"F{n}", organization_name="Org", owner_id=reps[n % 5])
        for n in range(1000)
    ]

    done = sync(
        [schema("contacts"), *rows, state({"n": 1000})],
        sandbox=free,
        update_method=method,
        ledger_url="",
    )

    assert done.records == {"received": 1000, "updated": 1000}, done.log
    made = writes(free)
    looked_up = made.pop(CREATE) + made.pop(USAGE)
    assert looked_up <= 16
    assert sum(made.values()) <= 20, made
    held = by_email(free)
    assert all(
        (held[f"p{n}@a.com"]["title"], held[f"p{n}@a.com"]["owner_id"]) == (f"T{n}", reps[n % 5])
        for n in range(1000)
    )


@pytest.mark.full
def test_a_thousand_new_contacts_of_five_owners_and_a_list_take_twenty_requests(
    free: Sandbox, sync: Run
) -> None:
    reps = [free.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(5)]
    rows = [contact(n, owner_id=reps[n % 5], label_names=["Wave 1"]) for n in range(1000)]

    done = sync([schema("contacts"), *rows], sandbox=free)

    assert done.records == {"received": 1000, "created": 1000}, done.log
    made = writes(free)
    assert sum(made.values()) - made[USAGE] <= 20, made
    assert all(len(one["label_ids"]) == 1 for one in free.store.contacts())
    assert Counter(one["owner_id"] for one in free.store.contacts()) == dict.fromkeys(reps, 200)


def test_individual_takes_a_request_a_contact(apollo: Sandbox, sync: Run) -> None:
    there(apollo, MANY + 5)

    sync([schema("contacts"), *(contact(n, title="new") for n in range(MANY + 5))],
         update_method="individual")  # fmt: skip

    assert (apollo.count(PATCH), apollo.count(BULK)) == (MANY + 5, 0)


def test_auto_updates_few_contacts_one_by_one(apollo: Sandbox, sync: Run) -> None:
    there(apollo, MANY - 1)

    sync([schema("contacts"), *(contact(n, title="new") for n in range(MANY - 1))])

    assert (apollo.count(PATCH), apollo.count(BULK)) == (MANY - 1, 0)


def test_auto_goes_in_bulk_when_the_hour_has_fewer_requests_left(sync: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=5)) as apollo:
        there(apollo, 8)
        # Two of the five are used up by the first flush, which tells how many are left.
        done = sync(
            [schema("contacts"), *(contact(n, title="new") for n in range(8))],
            sandbox=apollo,
            batch_size=2,
            parallel_requests=1,
        )

        assert done.records == {"received": 8, "updated": 8}
        assert apollo.count(PATCH) <= 4
        assert apollo.count(BULK) >= 1


def test_the_stream_has_a_method_of_its_own(apollo: Sandbox, sync: Run) -> None:
    there(apollo, 3)

    sync(
        [schema("contacts"), *(contact(n, title="new") for n in range(3))],
        streams={"contacts": {"update_method": "bulk"}},
    )

    assert (apollo.count(PATCH), apollo.count(BULK)) == (0, 1)


def test_mode_update_goes_in_bulk_too(apollo: Sandbox, sync: Run) -> None:
    known = there(apollo, 30)

    done = sync(
        [schema("contacts"),
         *(contact(n, apollo_id=one["id"], title=f"T{n}") for n, one in enumerate(known))],
        mode="update",
        ledger_url="",
    )  # fmt: skip

    assert done.records == {"received": 30, "updated": 30}
    assert writes(apollo).keys() & {PATCH, BULK} == {BULK}
    assert by_email(apollo)["p7@a.com"]["title"] == "T7"


def test_stages_and_lists_go_with_others_of_their_kind(apollo: Sandbox, sync: Run) -> None:
    there(apollo, 30)
    stages = [one["name"] for one in apollo.store.contact_stages[:2]]
    rows = [
        contact(n, title="new", contact_stage=stages[n % 2], label_names=["A"] if n % 3 else ["B"])
        for n in range(30)
    ]

    done = sync([schema("contacts"), *rows], update_method="bulk")

    assert done.records == {"received": 30, "updated": 30}
    made = writes(apollo)
    assert (made[BULK], made[STAGES], made[LISTS], made.get(PATCH, 0)) == (1, 1, 2, 0)
    ids = {one["name"]: one["id"] for one in apollo.store.contact_stages}
    held = by_email(apollo)
    assert all(held[f"p{n}@a.com"]["contact_stage_id"] == ids[stages[n % 2]] for n in range(30))
    assert all(len(one["label_ids"]) == 1 for one in held.values())


@pytest.mark.full
def test_only_rows_with_another_phone_take_a_request_of_their_own(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [contact(n, title="old", mobile_phone=f"+4915{n:08}") for n in range(30)]
    sync([schema("contacts"), *rows])
    apollo.reset_log()
    rows = [
        contact(n, title="new", mobile_phone=f"+49{16 if n < 2 else 15}{n:08}") for n in range(30)
    ]

    done = sync([schema("contacts"), *rows], update_method="bulk")

    assert done.records == {"received": 30, "updated": 30}
    assert (apollo.count(BULK), apollo.count(PATCH)) == (1, 2)
    numbers = {one["phone_numbers"][0]["raw_number"] for one in apollo.store.contacts()}
    assert numbers == {f"+49{16 if n < 2 else 15}{n:08}" for n in range(30)}


def test_a_row_with_another_phone_takes_one_request_where_its_record_is_known(
    apollo: Sandbox, sync: Run
) -> None:
    there(apollo, 3)

    sync(
        [schema("contacts"), contact(0, title="new", mobile_phone="+4915112345678")],
        update_method="bulk",
        ledger_url="",
    )

    assert (apollo.count(BULK), apollo.count(PATCH)) == (0, 1)
    assert by_email(apollo)["p0@a.com"]["title"] == "new"


def test_accounts_go_in_bulk_as_far_as_apollo_takes_them(apollo: Sandbox, sync: Run) -> None:
    rep = apollo.store.add_user(email="rep@team.com")["id"]
    for n in range(25):
        apollo.store.add_account(domain=f"d{n}.com", name=f"Old {n}")
    rows = [
        record("accounts", id=n, domain=f"d{n}.com", name=f"New {n}", owner_id=rep)
        for n in range(25)
    ]
    rows[3]["record"]["phone_number"] = "+49301"

    done = sync([schema("accounts"), *rows], ledger_url="")

    assert done.records == {"received": 25, "updated": 25}
    made = writes(apollo)
    assert made[BULK_ACCOUNTS] == 1
    assert sum(count for label, count in made.items() if label.endswith("/{id}")) <= 2
    assert {(a["domain"], a["name"], a["owner_id"]) for a in apollo.store.accounts()} == {
        (f"d{n}.com", f"New {n}", rep) for n in range(25)
    }
    assert [a["domain"] for a in apollo.store.accounts() if a["phone"]] == ["d3.com"]


def test_accounts_that_the_ledger_knows_go_in_bulk_as_long_as_their_domain_stands(
    apollo: Sandbox, sync: Run
) -> None:
    def firms(name: str) -> list[dict[str, Any]]:
        return [record("accounts", id=n, domain=f"d{n}.com", name=f"{name} {n}") for n in range(30)]

    sync([schema("accounts"), *firms("Old")])

    done = sync([schema("accounts"), *firms("New")])

    assert done.records == {"received": 30, "updated": 30}
    assert done.summary["api"]["requests"].get(BULK_ACCOUNTS) == 1
    assert "PATCH /accounts/{id}" not in done.summary["api"]["requests"]
    assert {one["name"] for one in apollo.store.accounts()} == {f"New {n}" for n in range(30)}
