"""Owners, stages and accounts that rows name: looked up late, and only for rows that need it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, Message, Run, contact, record, schema

ADA, ROBIN = "ada@team.example", "robin@team.example"
USERS, SEARCH = "GET /users/search", "POST /accounts/search"
#: What every run asks: who it is, and which custom fields there are.
FIXED = {"GET /users/api_profile", "GET /fields", "POST /usage_stats/api_usage_stats"}


def named(*names: str) -> Message:
    """The schema of contacts with further properties, of any type."""
    known = CONTACT_SCHEMA["properties"]
    return schema("contacts", {"properties": {**known, **{name: {} for name in names}}})


def beyond_fixed(apollo: Sandbox) -> dict[str, int]:
    asked = Counter(request.endpoint for request in apollo.requests)
    return {name: n for name, n in asked.items() if name not in FIXED}


def leave(apollo: Sandbox, email: str) -> None:
    """What an admin does when somebody leaves the team."""
    for user in apollo.store.workspace.users.values():
        if user["email"] == email:
            user["deleted"] = True


def held(apollo: Sandbox, name: str) -> dict[str, Any]:
    return {str(one["email"]): one.get(name) for one in apollo.store.contacts()}


# --- a row that did not change


@pytest.mark.full
def test_an_owner_who_leaves_costs_unchanged_rows_nothing(free: Sandbox, sync: Run) -> None:
    free.store.add_user(email=ADA)
    rows = [schema("contacts"), *(contact(n, owner_email=ADA) for n in range(3000))]
    assert sync(rows, sandbox=free).records == {"received": 3000, "created": 3000}
    leave(free, ADA)
    free.reset_log()

    done = sync(rows, sandbox=free)

    assert (done.exit_code, done.records) == (0, {"received": 3000, "unchanged": 3000}), done.log
    assert beyond_fixed(free) == {}


def test_new_rows_of_an_owner_who_left_are_rejected_and_unchanged_ones_are_not(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_user(email=ADA)
    known = contact(1, owner_email=ADA)
    sync([schema("contacts"), known])
    leave(apollo, ADA)

    done = sync([schema("contacts"), known, contact(2, owner_email=ADA), contact(3)])

    assert done.records == {"received": 3, "created": 1, "unchanged": 1, "rejected": 1}
    assert done.reasons == ["unknown_name"]


@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_a_known_row_needs_none_of_its_names(apollo: Sandbox, sync: Run, mode: str) -> None:
    apollo.store.add_user(email=ADA)
    apollo.store.add_account(domain="firm1.com", name="firm1 Ltd")
    names = {"owner_email": ADA, "contact_stage": "Replied", "account_domain": "firm1.com"}
    rows = [named("account_domain"), contact(1, **names)]
    sync(rows, mode=mode)
    apollo.reset_log()

    done = sync(rows, mode=mode)

    outcome = "unchanged" if mode == "upsert" else "existing"
    assert done.records == {"received": 1, outcome: 1}
    assert beyond_fixed(apollo) == {}


def test_a_row_with_another_name_is_written(apollo: Sandbox, sync: Run) -> None:
    first, second = (apollo.store.add_user(email=one)["id"] for one in (ADA, ROBIN))
    sync([schema("contacts"), contact(1, owner_email=ADA), contact(2, owner_email=ADA)])
    assert set(held(apollo, "owner_id").values()) == {first}

    done = sync([schema("contacts"), contact(1, owner_email=ROBIN), contact(2, owner_email=ADA)])

    assert done.records == {"received": 2, "updated": 1, "unchanged": 1}
    assert held(apollo, "owner_id") == {"p1@a.com": second, "p2@a.com": first}


def test_a_name_in_another_case_is_no_change(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_user(email=ADA)
    sync([schema("contacts"), contact(1, owner_email=ADA, contact_stage="Replied")])
    apollo.reset_log()

    done = sync([schema("contacts"), contact(1, owner_email=ADA.upper(), contact_stage="REPLIED")])

    assert done.records == {"received": 1, "unchanged": 1}
    assert beyond_fixed(apollo) == {}


# --- ledgers of earlier versions, which hold hashes of ids


def test_a_row_whose_ids_an_earlier_version_wrote_is_unchanged(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email=ADA)["id"]
    sync([schema("contacts"), *(contact(n, owner_id=owner) for n in range(3))])
    rows = [schema("contacts"), *(contact(n, owner_email=ADA) for n in range(3))]
    apollo.reset_log()

    assert sync(rows).records == {"received": 3, "unchanged": 3}
    assert beyond_fixed(apollo) == {USERS: 1}
    apollo.reset_log()

    assert sync(rows).records == {"received": 3, "unchanged": 3}
    assert beyond_fixed(apollo) == {}


def test_it_is_unchanged_though_its_owner_has_left_since(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email=ADA)["id"]
    sync([schema("contacts"), contact(1, owner_id=owner)])
    leave(apollo, ADA)

    done = sync([schema("contacts"), contact(1, owner_email=ADA)])

    assert done.records == {"received": 1, "unchanged": 1}, done.log


def test_it_is_written_after_another_row_of_its_record(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email=ADA)["id"]
    shared = {"email": "one@a.com", "owner_id": owner}
    sync([schema("contacts"), contact(1, title="A", **shared), contact(2, title="B", **shared)])
    named_ = {"email": "one@a.com", "owner_email": ADA}

    sync([schema("contacts"), contact(1, title="C", **named_), contact(2, title="B", **named_)])

    assert held(apollo, "title") == {"one@a.com": "B"}


def test_a_changed_row_of_an_earlier_version_is_written(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email=ADA)["id"]
    sync([schema("contacts"), contact(1, owner_id=owner, title="Old")])

    done = sync([schema("contacts"), contact(1, owner_email=ADA, title="New")])

    assert done.records == {"received": 1, "updated": 1}
    assert held(apollo, "title") == {"p1@a.com": "New"}


def test_policies_are_followed_for_names_too(apollo: Sandbox, sync: Run) -> None:
    first, _ = (apollo.store.add_user(email=one)["id"] for one in (ADA, ROBIN))
    apollo.store.add_contact(email="p1@a.com", owner_id=first)
    rows = [schema("contacts"), contact(1, owner_email=ROBIN)]
    policy = {"owner_id": "fill_if_empty"}

    assert sync(rows, field_policy=policy).records == {"received": 1, "skipped": 1}
    assert sync(rows, field_policy=policy).records == {"received": 1, "unchanged": 1}
    assert held(apollo, "owner_id") == {"p1@a.com": first}
    assert sync(rows).records == {"received": 1, "updated": 1}


# --- without a ledger


def test_without_a_ledger_every_row_is_resolved(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email=ADA)["id"]
    rows = [schema("contacts"), *(contact(n, owner_email=ADA) for n in range(4))]

    assert sync(rows, ledger_url="").records == {"received": 4, "created": 4}
    assert set(held(apollo, "owner_id").values()) == {owner}
    assert sync(rows, ledger_url="").records == {"received": 4, "unchanged": 4}


def test_rows_of_one_key_in_a_batch_take_the_last_name_or_id(apollo: Sandbox, sync: Run) -> None:
    first, second = (apollo.store.add_user(email=one)["id"] for one in (ADA, ROBIN))
    rows = [
        contact(1, owner_email=ADA),
        contact(1, owner_id=second),
        contact(2, owner_id=second),
        contact(2, owner_email=ADA),
    ]

    sync([schema("contacts"), *rows])

    assert held(apollo, "owner_id") == {"p1@a.com": second, "p2@a.com": first}


def test_an_account_whose_stage_an_earlier_version_wrote_is_known_to_its_contacts(
    apollo: Sandbox, sync: Run
) -> None:
    properties = {"properties": {"id": {}, "domain": {}, "account_stage": {}, "name": {}}}
    stage = apollo.store.account_stages[0]
    firm = {"id": 1, "domain": "firm1.com", "name": "Nothing Like It"}
    staged = {"properties": {"id": {}, "domain": {}, "account_stage_id": {}, "name": {}}}
    sync([schema("accounts", staged), record("accounts", account_stage_id=stage["id"], **firm)])
    apollo.reset_log()

    done = sync(
        [
            schema("accounts", properties),
            record("accounts", account_stage=stage["name"], **firm),
            named("account_domain"),
            contact(1, account_domain="firm1.com"),
        ]
    )

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}, done.log
    assert apollo.count(SEARCH) == 0
    assert apollo.count("POST /accounts/bulk_create") == 0


# --- what Apollo does not know


def with_tier(apollo: Sandbox) -> Message:
    apollo.store.add_custom_field("contact", "Tier", "picklist", ["Gold"])
    return named("tier", "account_domain")


UNKNOWN = [
    ("owner_email", "nobody@team.example", "owner_id"),
    ("contact_stage", "Nowhere", "contact_stage_id"),
    ("account_domain", "nowhere.com", "account_id"),
    ("tier", "Tin", "typed_custom_fields"),
]


@pytest.mark.parametrize("ledger", [{}, {"ledger_url": ""}])
@pytest.mark.parametrize(("name", "value", "field"), UNKNOWN)
def test_a_row_is_written_without_what_it_may_lack(
    apollo: Sandbox, sync: Run, name: str, value: str, field: str, ledger: dict[str, str]
) -> None:
    rows = [with_tier(apollo), contact(1, title="CTO", **{name: value})]

    done = sync(rows, unresolved={name: "drop"}, **ledger)

    assert done.records == {"received": 1, "created": 1}, done.log
    assert held(apollo, "title") == {"p1@a.com": "CTO"}
    assert done.summary["unresolved"] == {"contacts": {name: 1}}
    assert f"what stands in '{name}' is unknown to Apollo in 1 row" in done.log
    assert value not in done.log
    again = sync(rows, unresolved={name: "drop"}, **ledger)
    assert again.records == {"received": 1, "unchanged": 1}, again.log


@pytest.mark.parametrize(("name", "value", "field"), UNKNOWN)
def test_a_row_is_rejected_where_that_is_asked_for(
    apollo: Sandbox, sync: Run, name: str, value: str, field: str
) -> None:
    rows = [with_tier(apollo), contact(1, **{name: value})]

    done = sync(rows, unresolved={name: "reject"})

    assert done.records == {"received": 1, "rejected": 1}
    assert done.reasons == ["unknown_name"]
    assert done.summary["unresolved"] == {}


@pytest.mark.parametrize(("name", "value", "field"), UNKNOWN)
def test_links_are_left_out_and_all_else_is_rejected_without_the_setting(
    apollo: Sandbox, sync: Run, name: str, value: str, field: str
) -> None:
    done = sync([with_tier(apollo), contact(1, **{name: value})])

    outcome = "created" if name == "account_domain" else "rejected"
    assert done.records == {"received": 1, outcome: 1}


@pytest.mark.full
def test_a_row_gets_what_it_waits_for_in_the_first_run_that_finds_it(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [
        named("account_domain"),
        contact(1, account_domain="firm1.com", owner_email=ADA),
        contact(2, owner_email=ADA),
    ]
    settings = {"unresolved": {"owner_email": "drop"}}
    sync(rows, **settings)
    assert set(held(apollo, "account_id").values()) == {None}

    owner = apollo.store.add_user(email=ADA)["id"]
    assert sync(rows, **settings).records == {"received": 2, "updated": 2}
    assert set(held(apollo, "owner_id").values()) == {owner}

    account = apollo.store.add_account(domain="firm1.com", name="firm1 Ltd")["id"]
    done = sync(rows, **settings)
    assert done.records == {"received": 2, "updated": 1, "unchanged": 1}
    assert held(apollo, "account_id") == {"p1@a.com": account, "p2@a.com": None}
    apollo.reset_log()

    assert sync(rows, **settings).records == {"received": 2, "unchanged": 2}
    assert beyond_fixed(apollo) == {}


def test_what_a_row_lacks_is_not_emptied_in_apollo(apollo: Sandbox, sync: Run) -> None:
    account = apollo.store.add_account(domain="other.com", name="Other")["id"]
    apollo.store.add_contact(email="p1@a.com", account_id=account, title="Old")
    rows = [
        named("account_domain", "account_id"),
        contact(1, account_domain="nowhere.com", account_id=None, title="New"),
    ]

    done = sync(rows, null_policy="clear")

    assert done.records == {"received": 1, "updated": 1}
    assert held(apollo, "account_id") == {"p1@a.com": account}


def test_a_row_that_waits_and_changes_is_written(apollo: Sandbox, sync: Run) -> None:
    for title in ("Old", "New"):
        sync([named("account_domain"), contact(1, account_domain="nowhere.com", title=title)])
    assert held(apollo, "title") == {"p1@a.com": "New"}


# --- the default owner


@pytest.mark.parametrize("ledger", [{}, {"ledger_url": ""}])
def test_rows_of_an_unknown_owner_get_the_default_one(
    apollo: Sandbox, sync: Run, ledger: dict[str, str]
) -> None:
    ada, robin = (apollo.store.add_user(email=one)["id"] for one in (ADA, ROBIN))
    leave(apollo, ADA)
    rows = [
        schema("contacts"),
        contact(1, owner_email=ADA),
        contact(2, owner_email="nobody@team.example"),
        contact(3, owner_email=ROBIN),
    ]

    done = sync(rows, default_owner=ROBIN.upper(), **ledger)

    assert done.records == {"received": 3, "created": 3}, done.log
    assert set(held(apollo, "owner_id").values()) == {robin}
    assert (
        "nobody in the team in 2 rows; they have the owner of the setting default_owner" in done.log
    )
    assert sync(rows, default_owner=ROBIN, **ledger).records == {"received": 3, "unchanged": 3}
    for user in apollo.store.workspace.users.values():
        user["deleted"] = False
    again = sync(rows, default_owner=ROBIN, **ledger)
    assert again.records == {"received": 3, "updated": 1, "unchanged": 2}
    assert held(apollo, "owner_id")["p1@a.com"] == ada


def test_a_default_owner_whom_nobody_knows_ends_the_run_before_it_writes(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [schema("contacts"), contact(1), contact(2, owner_email=ADA)]

    done = sync(rows, default_owner="nobody@team.example")

    assert done.exit_code == 2
    assert "The setting 'default_owner' can't be followed" in done.log
    assert "nobody@" not in done.log
    assert apollo.store.contacts() == []
