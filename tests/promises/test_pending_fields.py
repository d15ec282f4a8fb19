"""Fast first, slow after: no creation waits for fields that need a request for each record.

An hour's limit is nearly used up in these tests, so that such fields wait in the ledger.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from target_apollo.ledger import Ledger
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import DATED, Message, Run, TargetRun, contact, schema, state
from tests.promises.test_state_at_limits import leave

PATCH = "PATCH /contacts/{id}"
CREATE = "POST /contacts/bulk_create"
NONE_LEFT = {"contacts_update": 0}


def site(number: int) -> str:
    return f"https://firm{number}.com"


def with_sites(count: int, **values: Any) -> list[Message]:
    rows = [contact(n, website_url=site(n), **values) for n in range(1, count + 1)]
    return [schema("contacts"), *rows, state({"n": count})]


def sites(apollo: Sandbox) -> list[str | None]:
    return [one.get("website_url") for one in apollo.store.contacts()]


def waiting(folder: Path) -> dict[str, Any]:
    """Values that wait in the ledger, by the key of their row."""
    with Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
        (team,) = {run.connection for run in ledger.runs(9)}
        return {one.source_key: dict(one.body) for one in ledger.pending_fields(team, 9_999)}


def edit(apollo: Sandbox, apollo_id: str, **values: str) -> None:
    """Somebody changes a contact in Apollo."""
    apollo.reset_quota()
    asked = urllib.request.Request(
        f"{apollo.url}/contacts/{apollo_id}",
        json.dumps(values).encode(),
        {"x-api-key": apollo.api_key, "content-type": "application/json"},
        method="PATCH",
    )
    with urllib.request.urlopen(asked):
        pass


@pytest.fixture
def run(apollo: Sandbox, sync: Run) -> Callable[..., TargetRun]:
    """A run in an hour in which little is left."""

    def one(
        messages: list[Message], settings: dict[str, Any] | None = None, **left: int
    ) -> TargetRun:
        leave(apollo, **left)
        # One after another, so that what is left goes to the oldest rows.
        given = {"max_wait_seconds": 0, "parallel_requests": 1, **(settings or {})}
        return sync(messages, **given)

    return one


Runs = Callable[..., TargetRun]


# --- what a user sees


@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_all_rows_are_created_though_their_slow_fields_do_not_fit(
    apollo: Sandbox, run: Runs, tmp_path: Path, mode: str
) -> None:
    done = run(with_sites(30), {"mode": mode}, contacts_update=10)

    assert (done.exit_code, done.last_state) == (0, {"n": 30})
    assert done.records == {"received": 30, "created": 30}
    assert [one for one in sites(apollo) if one] == [site(n) for n in range(1, 11)]
    assert done.summary["to_follow"] == {"contacts": 20}
    assert done.summary["followed"] == {"contacts": 10}
    assert done.summary["follow_from"]
    assert "20 fields to follow in later runs, from 20" in done.log.splitlines()[-1]
    assert len(waiting(tmp_path)) == 20


def test_the_next_runs_send_what_waits_the_oldest_first(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    run(with_sites(30), **NONE_LEFT)

    second = run([schema("contacts")], contacts_update=20)
    assert [one for one in sites(apollo) if one] == [site(n) for n in range(1, 21)]
    assert second.summary["to_follow"] == {"contacts": 10}

    third = run([], contacts_update=20)
    assert sites(apollo) == [site(n) for n in range(1, 31)]
    assert (third.exit_code, third.summary["to_follow"], waiting(tmp_path)) == (0, {}, {})
    assert apollo.count(PATCH) == 30


def test_rows_of_the_run_itself_come_first(apollo: Sandbox, run: Runs) -> None:
    run(with_sites(10), **NONE_LEFT)

    run([schema("contacts"), contact(99, website_url=site(99))], contacts_update=4)

    assert [one for one in sites(apollo) if one] == [site(1), site(2), site(3), site(99)]


@pytest.mark.full
def test_unchanged_rows_keep_what_waits(apollo: Sandbox, run: Runs) -> None:
    run(with_sites(10), **NONE_LEFT)

    again = run(with_sites(10), **NONE_LEFT)
    assert (again.records["unchanged"], again.summary["to_follow"]) == (10, {"contacts": 10})

    run(with_sites(10), contacts_update=10)
    assert sites(apollo) == [site(n) for n in range(1, 11)]


@pytest.mark.full
def test_a_newer_row_takes_the_place_of_what_waits(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    run(with_sites(2), **NONE_LEFT)

    run([schema("contacts"), contact(1, website_url="https://new.com")], **NONE_LEFT)
    assert waiting(tmp_path)["1"] == {"website_url": "https://new.com"}

    run([], contacts_update=5)
    assert sites(apollo) == ["https://new.com", site(2)]
    assert apollo.count(PATCH) == 2


@pytest.mark.full
def test_a_newer_row_that_is_sent_at_once_leaves_nothing_old_to_be_sent(
    apollo: Sandbox, run: Runs
) -> None:
    run(with_sites(2), **NONE_LEFT)

    run([schema("contacts"), contact(1, website_url="https://new.com")], contacts_update=1)
    run([], contacts_update=5)

    assert sites(apollo) == ["https://new.com", site(2)]


def test_a_newer_row_of_another_key_takes_its_place_too(apollo: Sandbox, run: Runs) -> None:
    run(with_sites(1), **NONE_LEFT)

    run(
        [schema("contacts"), contact(7, email="p1@a.com", website_url="https://new.com")],
        **NONE_LEFT,
    )
    run([], contacts_update=5)

    assert sites(apollo) == ["https://new.com"]


def test_of_two_rows_of_one_record_the_last_one_is_sent(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    rows = [contact(1, website_url=site(1)), contact(7, email="p1@a.com", website_url=site(7))]

    run([schema("contacts"), *rows], **NONE_LEFT)

    assert waiting(tmp_path) == {"7": {"website_url": site(7)}}


def test_a_changed_row_keeps_what_waits_and_its_other_values_are_written(
    apollo: Sandbox, run: Runs
) -> None:
    run(with_sites(3), **NONE_LEFT)

    done = run(with_sites(3, title="New"), **NONE_LEFT)

    assert (done.exit_code, done.records["updated"]) == (0, 3)
    assert [one["title"] for one in apollo.store.contacts()] == ["New"] * 3
    assert done.summary["to_follow"] == {"contacts": 3}


@pytest.mark.full
def test_what_was_sent_later_counts_as_held(apollo: Sandbox, run: Runs) -> None:
    run(with_sites(30), **NONE_LEFT)
    run([], contacts_update=30)

    done = run(with_sites(30, title="New"), **NONE_LEFT)

    assert (done.records["updated"], done.summary["to_follow"]) == (30, {})
    assert apollo.count(PATCH) == 30


def test_values_of_existing_records_wait_where_an_hour_does_not_take_them(
    apollo: Sandbox, run: Runs
) -> None:
    for n in range(1, 31):
        apollo.store.add_contact(email=f"p{n}@a.com", title="Old")

    done = run(with_sites(30, title="New"), **NONE_LEFT)

    assert (done.exit_code, done.records["updated"]) == (0, 30)
    assert [one["title"] for one in apollo.store.contacts()] == ["New"] * 30
    assert done.summary["to_follow"] == {"contacts": 30}


@pytest.mark.full
def test_what_waits_is_sent_though_creations_meet_their_limit(apollo: Sandbox, run: Runs) -> None:
    run(with_sites(5), **NONE_LEFT)

    done = run(
        [schema("contacts"), *(contact(n) for n in range(100, 400))],
        contacts_update=5,
        contacts_bulk_create=1,
    )

    assert done.exit_code == 3
    assert [one for one in sites(apollo) if one] == [site(n) for n in range(1, 6)]


def test_without_a_ledger_the_run_stops_and_says_what_that_costs(
    apollo: Sandbox, run: Runs
) -> None:
    done = run(with_sites(30), {"ledger_url": ""}, contacts_update=10)

    assert done.exit_code == 3
    assert done.log.count("these fields follow") == 1
    assert [one for one in sites(apollo) if one] == [site(n) for n in range(1, 11)]


@pytest.mark.full
def test_a_dry_run_tells_of_the_requests_that_may_follow(apollo: Sandbox, run: Runs) -> None:
    run(with_sites(3), **NONE_LEFT)

    done = run(
        [schema("contacts"), *(contact(n, website_url=site(n)) for n in range(50, 57))],
        {"dry_run": True},
        **NONE_LEFT,
    )

    assert done.summary["estimate"]["requests"][PATCH] == 10
    assert done.summary["estimate"]["may_follow"] == {PATCH: 10}
    assert done.summary["estimate"]["takes_several_runs"] is False
    assert "10 requests to PATCH /contacts/{id} are for fields that no row waits for" in done.log
    assert apollo.count(PATCH) == 0


# --- records that are gone, values that Apollo refuses


def test_what_waits_for_a_record_that_is_gone_is_dropped_and_said(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    run(with_sites(2), **NONE_LEFT)
    gone = apollo.store.contacts()[0]["id"]
    apollo.store.delete_contact(gone)

    done = run([], contacts_update=5)

    assert (done.exit_code, waiting(tmp_path)) == (0, {})
    assert "waited to be sent to records that are gone from Apollo" in done.log
    assert done.summary["not_followed"] == {"contacts": 1}
    assert sites(apollo) == [site(2)]


def test_the_row_of_a_merged_record_gives_its_values_to_the_other_when_it_comes_again(
    apollo: Sandbox, run: Runs
) -> None:
    run(with_sites(1), **NONE_LEFT)
    apollo.store.delete_contact(apollo.store.contacts()[0]["id"])
    apollo.store.add_contact(email="p1@a.com")
    run([], contacts_update=5)

    run(with_sites(1), contacts_update=5)

    assert sites(apollo) == [site(1)]


@pytest.mark.full
def test_a_value_that_apollo_refuses_is_said_and_rejected_when_its_row_comes_again(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    run(with_sites(2), **NONE_LEFT)
    refused = Fault(PATCH, FaultKind.ERROR_BEFORE_WRITE, status=422, times=1)
    apollo.inject(refused)

    done = run([], contacts_update=5)

    assert "Apollo did not take website_url" in done.log
    assert (done.summary["not_followed"], waiting(tmp_path)) == ({"contacts": 1}, {})

    apollo.inject(Fault(PATCH, FaultKind.ERROR_BEFORE_WRITE, status=422, times=1))
    again = run(with_sites(2), contacts_update=5)
    assert again.records == {"received": 2, "unchanged": 1, "rejected": 1}


# --- what the ledger holds


@pytest.mark.full
def test_no_value_stays_in_the_ledger_after_it_was_sent(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    run(with_sites(60), **NONE_LEFT)
    assert b"firm60.com" in in_ledger(tmp_path)

    run([], contacts_update=60)

    assert b"firm" not in in_ledger(tmp_path)


def in_ledger(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("ledger.db*"))


# --- what people own


def test_a_value_that_somebody_filled_in_meanwhile_stays(apollo: Sandbox, run: Runs) -> None:
    rows = [
        schema("contacts"),
        contact(1, mobile_phone="+14155550101"),
        contact(2, mobile_phone="+14155550102"),
    ]
    own = {"field_policy": {"mobile_phone": "create_only"}}
    run(rows, own, **NONE_LEFT)
    first = apollo.store.contacts()[0]
    edit(apollo, first["id"], mobile_phone="+14155559999")

    done = run([], own, contacts_update=5)

    phones = [one["phone_numbers"][0]["raw_number"] for one in apollo.store.contacts()]
    assert phones == ["+14155559999", "+14155550102"]
    assert "what is there stays" in done.log


# --- other runs, kills


def test_what_another_run_may_be_writing_is_left_to_it(
    apollo: Sandbox, run: Runs, tmp_path: Path
) -> None:
    run(with_sites(1), **NONE_LEFT)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        (team,) = {one.connection for one in ledger.runs(9)}
        with ledger.lock(team, "contacts", "another"):
            done = run([], contacts_update=5)
    assert (done.exit_code, done.summary["to_follow"]) == (0, {"contacts": 1})
    assert sites(apollo) == [None]


def test_a_run_leaves_the_fields_of_other_streams_to_their_own_runs(
    apollo: Sandbox, run: Runs
) -> None:
    run(with_sites(1), **NONE_LEFT)

    done = run([schema("other-contacts")], contacts_update=5)
    assert (done.summary["to_follow"], sites(apollo)) == ({"contacts": 1}, [None])


def test_a_lost_answer_loses_nothing(apollo: Sandbox, run: Runs, tmp_path: Path) -> None:
    run(with_sites(3), **NONE_LEFT)
    apollo.inject(Fault(PATCH, FaultKind.RESET_AFTER_WRITE, times=None))

    done = run([], {"max_retries": 0}, contacts_update=9)
    assert (done.exit_code, len(waiting(tmp_path))) == (1, 3)

    apollo.clear_faults()
    assert run([], contacts_update=9).exit_code == 0
    assert sites(apollo) == [site(1), site(2), site(3)]


@pytest.mark.full
def test_under_newest_a_row_is_not_older_than_the_fields_that_followed_it(
    apollo: Sandbox, run: Runs
) -> None:
    own = {"field_policy": {"title": "newest"}}
    first = contact(1, website_url=site(1), title="Old", updated_at="2020-01-01T00:00:00Z")
    run([schema("contacts", DATED), first], own, **NONE_LEFT)
    changed_at = datetime.now(timezone.utc).isoformat()
    time.sleep(0.01)
    run([], own, contacts_update=5)

    second = contact(1, website_url=site(1), title="New", updated_at=changed_at)
    run([schema("contacts", DATED), second], own, contacts_update=5)

    (there,) = apollo.store.contacts()
    assert (there["title"], there["website_url"]) == ("New", site(1))
