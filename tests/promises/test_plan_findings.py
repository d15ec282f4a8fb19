"""What a plan finds beside the counts: duplicates, sampled changes, and what it could not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sync.dry_run import lookups
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import CONTACT_SCHEMA, Message, TargetRun, record, schema

Sync = Callable[..., TargetRun]


def contact(number: int, **values: Any) -> Message:
    return record("contacts", **{"id": number, "email": f"p{number}@firm{number}.com"} | values)


def account(number: int, **values: Any) -> Message:
    return record("accounts", **{"id": number, "domain": f"firm{number}.com"} | values)


def kinds(run: TargetRun) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for group in run.summary["duplicates"]["listed"]:
        found.setdefault(group["kind"], []).append(group["keys"])
    return found


def diffs(run: TargetRun) -> list[tuple[str, str | None, str | None]]:
    return [(diff["field"], diff["apollo"], diff["new"]) for diff in run.summary["diffs"]]


# --- duplicates


@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_that_share_an_address_or_a_domain_are_told_with_their_kind(
    sync: Sync, *, dry_run: bool
) -> None:
    rows = [
        schema("accounts"),
        account(1, domain="one.com"),
        account(2, domain="https://www.one.com/about"),
        schema("contacts"),
        contact(1, email="one@one.com"),
        contact(2, email="One@one.com"),
        contact(3),
    ]

    run = sync(rows, dry_run=dry_run)

    assert kinds(run) == {"same_domain": [["1", "2"]], "same_email": [["1", "2"]]}
    assert run.summary["duplicates"]["found"] == 2


def test_a_dry_run_finds_duplicates_that_are_far_apart(sync: Sync) -> None:
    rows = [schema("contacts"), *[contact(n, email=f"p{n % 5}@firm.com") for n in range(10)]]

    run = sync(rows, dry_run=True, batch_size=1, parallel_requests=1)

    assert run.summary["duplicates"]["found"] == 5
    assert ["0", "5"] in kinds(run)["same_email"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_free_mail_domain_is_no_companys(sync: Sync, *, dry_run: bool) -> None:
    run = sync([schema("accounts"), account(1, domain="gmail.com"), account(2)], dry_run=dry_run)

    assert kinds(run) == {"free_mail_domain": [["1"]]}


def test_a_plan_tells_of_several_accounts_of_one_domain(apollo: Sandbox, sync: Sync) -> None:
    ids = [
        apollo.store.add_account(domain="firm1.com", name=name)["id"]
        for name in ("Firm 1", "Firm 1 Inc")
    ]

    run = sync([schema("accounts"), account(1, name="Firm 1")], dry_run=True)

    assert run.summary["duplicates"]["listed"] == [
        {
            "stream": "accounts",
            "keys": ["firm1.com"],
            "kind": "several_accounts",
            "apollo_ids": ids,
        }
    ]


def test_a_run_tells_of_several_accounts_that_a_contacts_domain_meets(
    apollo: Sandbox, sync: Sync
) -> None:
    for name in ("firm1.com", "firm1.com Inc"):
        apollo.store.add_account(domain="firm1.com", name=name)
    properties = {"properties": {**CONTACT_SCHEMA["properties"], "account_domain": {}}}

    run = sync([schema("contacts", properties), contact(1, account_domain="firm1.com")])

    assert kinds(run) == {"several_accounts": [["firm1.com"]]}


# --- samples of changes


def test_changes_are_shown_field_by_field(apollo: Sandbox, sync: Sync) -> None:
    known = apollo.store.add_contact(email="p1@firm1.com", title="CTO", first_name="Ann")
    rows = [
        schema("contacts"),
        contact(1, title="CEO", first_name="Ann", last_name="Lee", mobile_phone="+1 555 0100"),
        contact(2, title="New"),
    ]

    run = sync(rows, dry_run=True, sample_diffs=10)

    assert diffs(run) == [
        ("title", "CTO", "CEO"),
        ("last_name", None, "Lee"),
        ("mobile_phone", None, "+1 555 0100"),
    ]
    assert {(diff["key"], diff["apollo_id"]) for diff in run.summary["diffs"]} == {
        ("1", known["id"])
    }


def test_no_more_changes_are_shown_than_asked_for(apollo: Sandbox, sync: Sync) -> None:
    for number in range(5):
        apollo.store.add_contact(email=f"p{number}@firm{number}.com", title="CTO")
    rows = [schema("contacts"), *[contact(number, title="CEO") for number in range(5)]]

    assert len(diffs(sync(rows, dry_run=True, sample_diffs=3))) == 3


def test_a_record_known_by_its_id_is_read_for_the_sample(apollo: Sandbox, sync: Sync) -> None:
    sync([schema("contacts"), *[contact(number, title="CTO") for number in range(30)]])
    apollo.reset_log()
    rows = [schema("contacts"), *[contact(number, title="CEO") for number in range(30)]]

    run = sync(rows, dry_run=True, sample_diffs=2, update_method="individual")

    assert diffs(run) == [("title", "CTO", "CEO")] * 2
    assert apollo.log.count("GET /contacts/{id}") <= 2
    assert "GET /contacts/{id}" not in run.summary["estimate"]["requests"]


def test_sampled_values_never_reach_the_log(apollo: Sandbox, sync: Sync) -> None:
    apollo.store.add_contact(email="p1@firm1.com", title="Chief of something secret")
    rows = [schema("contacts"), contact(1, title="Head of something secret")]

    run = sync(rows, dry_run=True, sample_diffs=5)

    assert diffs(run) == [("title", "Chief of something secret", "Head of something secret")]
    assert "secret" not in run.log


def test_no_values_are_kept_unless_asked_for(apollo: Sandbox, sync: Sync) -> None:
    apollo.store.add_contact(email="p1@firm1.com", title="CTO")
    rows = [schema("contacts"), contact(1, title="CEO")]

    assert "diffs" not in sync(rows, dry_run=True).summary
    assert "diffs" not in sync(rows, sample_diffs=5).summary


# --- what is not known


def test_rows_beyond_the_bound_of_look_ups_are_told_of(
    apollo: Sandbox, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "MOST_LOOKUPS", 5)
    monkeypatch.setattr(lookups, "PER_PAGE", 2)
    for number in range(1000):
        apollo.store.add_contact(email=f"other{number}@firm.com")
    apollo.store.add_contact(email="p2@firm2.com", title="CTO")
    rows = [schema("contacts"), *[contact(number, title="CEO") for number in range(20)]]

    run = sync(rows, dry_run=True)

    assert apollo.log.count("POST /contacts/search") == 5
    assert (run.records["created"], run.records["updated"]) == (19, 1)
    assert run.summary["estimate"]["not_looked_up"] == {"contacts": 16}
    assert "16 rows of contacts counted as created or updated may exist or be gone" in run.log


def test_a_key_that_may_not_search_plans_without_looking_up(sync: Sync) -> None:
    entries = ["users/api_profile", "fields/index", "contacts/bulk_create"]
    keys = {"narrow": [f"api/v1/{entry}" for entry in entries]}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as sandbox:
        run = sync([schema("contacts"), contact(1)], dry_run=True, sandbox=sandbox)

    assert run.exit_code == 0
    assert run.records == {"received": 1, "created": 1}
    assert run.summary["estimate"]["not_looked_up"] == {"contacts": 1}
    assert "POST /contacts/search" in run.summary["estimate"]["not_looked_up_because"]


# --- time


@pytest.mark.full
def test_the_plan_says_what_fits_the_minute_the_hour_and_the_day(
    apollo: Sandbox, sync: Sync
) -> None:
    for number in range(250):
        apollo.store.add_contact(email=f"p{number}@firm{number}.com", title="CTO")
    rows = [schema("contacts"), *[contact(number, title="CEO") for number in range(250)]]

    run = sync(rows, dry_run=True, update_method="individual")

    updates = run.summary["estimate"]["endpoints"]["PATCH /contacts/{id}"]
    assert updates["requests"] == 250
    assert updates["minute"] == {"left": 200, "fits": False}
    assert updates["hour"] == {"left": 400, "fits": True}
    assert updates["day"] == {"left": 2000, "fits": True}
    assert run.summary["estimate"]["limits_from"] == "statistics"
    assert 60 <= run.summary["estimate"]["seconds"] <= 62
    assert not run.summary["estimate"]["takes_several_runs"]
    assert "more than what is left of this minute at some endpoint" in run.log


def test_where_statistics_are_forbidden_the_look_ups_tell_the_limits(sync: Sync) -> None:
    entries = ["users/api_profile", "fields/index", "contacts/bulk_create", "contacts/search"]
    keys = {"narrow": [f"api/v1/{entry}" for entry in entries]}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as sandbox:
        run = sync([schema("contacts"), contact(1)], dry_run=True, sandbox=sandbox)

    assert run.summary["estimate"]["limits_from"] == "look-ups"
    creates = run.summary["estimate"]["endpoints"]["POST /contacts/bulk_create"]
    assert creates["minute"] == {"left": 200, "fits": True}
    assert "each is taken to have the limits that the look-ups showed" in run.log


def test_a_run_notes_what_it_planned_beside_what_it_sent(apollo: Sandbox, sync: Sync) -> None:
    for number in range(30):
        apollo.store.add_contact(email=f"p{number}@firm{number}.com", title="CTO")
    rows = [schema("contacts"), *[contact(number, title="CEO") for number in range(150)]]

    run = sync(rows)

    planned = run.summary["estimate"]["requests"]
    sent = run.summary["api"]["requests"]
    assert planned == {endpoint: sent[endpoint] for endpoint in planned}
    assert set(planned) == {"POST /contacts/bulk_create", "POST /contacts/bulk_update"}


@pytest.mark.full
def test_a_plan_foresees_when_updates_turn_to_bulk_for_want_of_quota(sync: Sync) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=12)) as sandbox:
        for number in range(20):
            sandbox.store.add_contact(email=f"p{number}@firm{number}.com", title="CTO")
        rows = [schema("contacts"), *[contact(number, title="CEO") for number in range(20)]]
        settings = {"sandbox": sandbox, "batch_size": 10, "parallel_requests": 1}

        planned = sync(rows, **settings, dry_run=True).summary["estimate"]["requests"]
        done = sync(rows, **settings).summary["api"]["requests"]

    assert planned["PATCH /contacts/{id}"] == done["PATCH /contacts/{id}"] == 10
    assert planned["POST /contacts/bulk_update"] == done["POST /contacts/bulk_update"] == 1
