"""Creates that were cut off or refused half way: the next run completes what they made."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sandbox.options import BulkFailure
from target_apollo.sync.creates import recovery
from tests.promises.conftest import Message, Run, contact, record, schema

CREATE = "POST /contacts/bulk_create"
UPDATE = "PATCH /contacts/{id}"


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(one["email"]) for one in apollo.store.contacts())


def cut_off(apollo: Sandbox, sync: Run, *rows: Message) -> None:
    """Creates rows by runs that end before they know it, each row in a run of its own."""
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, times=None))
    for row in rows:
        assert sync([schema("contacts"), row], max_retries=0).exit_code == 1
    apollo.clear_faults()


@pytest.fixture
def shared(apollo: Sandbox, sync: Run) -> None:
    """Two rows that were both cut off with one address, under which Apollo has one contact."""
    cut_off(apollo, sync, contact(1, email="old@a.com"), contact(2, email="old@a.com"))
    assert emails(apollo) == ["old@a.com"]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_rows_that_go_on_sharing_an_address_keep_their_one_contact(
    apollo: Sandbox, sync: Run, order: tuple[int, ...], mode: str
) -> None:
    rows = [contact(number, email="new@a.com") for number in order]

    done = sync([schema("contacts"), *rows], mode=mode)

    assert done.exit_code == 0
    assert len(apollo.store.contacts()) == 1


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_rows_that_part_have_a_contact_each(
    apollo: Sandbox, sync: Run, order: tuple[int, ...]
) -> None:
    rows = [contact(number, email=f"new{number}@a.com", title=f"T{number}") for number in order]

    done = sync([schema("contacts"), *rows])

    assert done.records["received"] == 2
    found = {one["email"]: one["title"] for one in apollo.store.contacts()}
    assert found == {"new1@a.com": "T1", "new2@a.com": "T2"}


def test_a_create_that_was_never_confirmed_is_found_under_its_former_address(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RECORDS_LEFT_OUT, times=None))
    first = sync([schema("contacts"), contact(1, email="old@a.com")])
    assert first.reasons == ["not_confirmed"]
    apollo.clear_faults()

    sync([schema("contacts"), contact(1, email="new@a.com")])

    assert emails(apollo) == ["new@a.com"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_plan_knows_what_a_cut_off_run_has_made_of_a_row(
    apollo: Sandbox, sync: Run, dry_run: bool
) -> None:
    cut_off(apollo, sync, contact(1, email="old@a.com"))
    for _ in range(2 if dry_run else 1):
        done = sync([schema("contacts"), contact(1, email="new@a.com")], dry_run=dry_run)
        assert done.records == {"received": 1, "updated": 1}
    assert emails(apollo) == ["old@a.com" if dry_run else "new@a.com"]


@pytest.mark.parametrize(
    "values",
    [
        {"title": "T", "mobile_phone": "+49301234"},
        pytest.param({"title": "T", "lead_score": "5"}, marks=pytest.mark.full),
        pytest.param({"title": "T", "linkedin_url": "linkedin.com/in/x"}, marks=pytest.mark.full),
    ],
)
def test_rows_of_a_cut_off_insert_are_not_written_again_once_the_next_one_has_completed_them(
    apollo: Sandbox, sync: Run, values: dict[str, str]
) -> None:
    apollo.store.add_custom_field("contact", "Lead Score", "string")
    columns = {"properties": {name: {} for name in ("id", "email", *values)}}
    rows = [schema("contacts", columns), *(contact(n, **values) for n in range(3))]
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, times=1))
    assert sync(rows, mode="insert", max_retries=0).exit_code == 1
    apollo.clear_faults()
    sync(rows, mode="insert")
    next(iter(apollo.store.contact_by_id.values())).own["title"] = "Sales' word"

    done = sync(rows)

    assert done.records == {"received": 3, "unchanged": 3}
    assert sorted(str(one["title"]) for one in apollo.store.contacts()) == ["Sales' word", "T", "T"]


def make_others(apollo: Sandbox, count: int) -> None:
    for number in range(count):
        apollo.store.add_contact(email=f"other{number}@b.com")


def test_who_looks_through_too_few_records_says_so(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off(apollo, sync, contact(1, email="old@a.com"))
    make_others(apollo, 250)
    monkeypatch.setattr(recovery, "_MOST_PAGES", 2)

    done = sync([schema("contacts"), contact(1, email="new@a.com")])

    assert done.records == {"received": 1, "created": 1}
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "have another e-mail or domain now (1 of them)" in warning.getMessage()
    assert "not among the newest 200 contacts" in warning.getMessage()
    assert "@" not in warning.getMessage()


def test_a_record_on_the_last_page_that_is_looked_at_is_found_without_a_word(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off(apollo, sync, contact(1, email="old@a.com"))
    make_others(apollo, 150)
    monkeypatch.setattr(recovery, "_MOST_PAGES", 2)

    sync([schema("contacts"), contact(1, email="new@a.com")])

    assert "new@a.com" in emails(apollo)
    assert "old@a.com" not in emails(apollo)
    assert [one for one in caplog.records if one.levelno == logging.WARNING] == []


# --- completed and made no second time


def phones(apollo: Sandbox) -> dict[str, list[str]]:
    return {
        str(one["email"]): [number["raw_number"] for number in one["phone_numbers"]]
        for one in apollo.store.contacts()
    }


def down(endpoint: str, after: int = 0) -> Fault:
    """Apollo writes what comes and answers nothing, from now on."""
    return Fault(endpoint=endpoint, kind=FaultKind.RESET_AFTER_WRITE, times=None, after=after)


STAGED = {
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": "string"},
        "mobile_phone": {"type": ["string", "null"]},
        "contact_stage_id": {"type": ["string", "null"]},
    }
}


def an_hour_passes(apollo: Sandbox, folder: Path) -> None:
    """For what is in Apollo and in the ledger by now."""
    for one in apollo.store.contact_by_id.values():
        one.own["created_at"] = one.own["created_at"].replace("20", "19", 1)
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("update apollo_runs set started_at = replace(started_at, '202', '192')")


def test_a_row_rejected_after_its_creation_keeps_its_contact(apollo: Sandbox, sync: Run) -> None:
    apollo.inject(Fault(endpoint=UPDATE, kind=FaultKind.ERROR_BEFORE_WRITE, status=422))
    done = sync([schema("contacts"), contact(1, mobile_phone="+4915112345678")])
    assert done.reasons == ["refused_by_apollo"]

    sync([schema("contacts"), contact(1, email="new@b.com", mobile_phone="+4915112345678")])

    # The contact that the first run made is the one whose address has changed.
    assert phones(apollo) == {"new@b.com": ["+4915112345678"]}


def test_an_insert_completes_the_good_rows_of_a_request_that_was_refused_half_way(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.set_options(bulk_failure=BulkFailure.GOOD_BEFORE_WRITTEN.value)
    rows = [contact(n, mobile_phone=f"+4915{n:08}") for n in range(1, 4)]
    bad = contact(4, contact_stage_id="0" * 24)

    done = sync([schema("contacts", STAGED), *rows, bad], mode="insert")

    assert done.records == {"received": 4, "created": 3, "rejected": 1}
    assert phones(apollo) == {f"p{n}@a.com": [f"+4915{n:08}"] for n in range(1, 4)}


def test_an_insert_that_is_cut_off_twice_is_completed_however_much_later(
    apollo: Sandbox, sync: Run, tmp_path: Path
) -> None:
    rows = [schema("contacts"), contact(1, mobile_phone="+4915112345678")]
    apollo.inject(down(CREATE))
    assert sync(rows, mode="insert", max_retries=0).exit_code == 1
    an_hour_passes(apollo, tmp_path)
    assert sync(rows, mode="insert", max_retries=0).exit_code == 1
    apollo.clear_faults()

    sync(rows, mode="insert")

    assert phones(apollo) == {"p1@a.com": ["+4915112345678"]}


def test_an_insert_leaves_the_contact_of_another_key_alone_though_an_answer_was_lost(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, after=1))
    first = contact(1, first_name="One", mobile_phone="+4915100000001")
    second = contact(2, email="p1@a.com", first_name="Two", mobile_phone="+4915100000002")

    sync([schema("contacts"), first, second], mode="insert", batch_size=1, parallel_requests=1)

    assert phones(apollo) == {"p1@a.com": ["+4915100000001"]}


def test_an_insert_completes_the_row_that_made_the_contact_and_not_its_twin(
    apollo: Sandbox, sync: Run
) -> None:
    first = contact(1, first_name="One", mobile_phone="+4915100000001")
    twin = contact(2, email="p1@a.com", first_name="Two", mobile_phone="+4915100000002")
    apollo.inject(down(CREATE))
    sync([schema("contacts"), first, twin], mode="insert", max_retries=0)
    apollo.clear_faults()

    # The first row has changed meanwhile, so a tap sends it after the other one.
    sync([schema("contacts"), twin, first], mode="insert")

    held = {one["first_name"]: phones(apollo)["p1@a.com"] for one in apollo.store.contacts()}
    assert held == {"One": ["+4915100000001"]}


@pytest.mark.parametrize(("mode", "stands"), [("upsert", "new@b.com"), ("insert", "p1@a.com")])
def test_a_create_that_was_cut_off_makes_no_second_contact_when_its_address_changes(
    apollo: Sandbox, sync: Run, mode: str, stands: str
) -> None:
    apollo.inject(down(CREATE))
    sync([schema("contacts"), contact(1, mobile_phone="+4915100000001")], mode=mode, max_retries=0)
    assert emails(apollo) == ["p1@a.com"]
    apollo.clear_faults()

    moved = contact(1, email="new@b.com", mobile_phone="+4915100000001")
    sync([schema("contacts"), moved], mode=mode)

    assert phones(apollo) == {stands: ["+4915100000001"]}


def test_an_account_that_was_cut_off_is_found_under_its_former_domain(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(down("POST /accounts/bulk_create"))
    sync([schema("accounts"), record("accounts", id=1, domain="old.com", name="A")], max_retries=0)
    apollo.clear_faults()

    sync([schema("accounts"), record("accounts", id=1, domain="new.com", name="A")])

    assert [one["domain"] for one in apollo.store.accounts()] == ["new.com"]


@pytest.mark.full
def test_a_contact_found_again_after_its_address_changed_is_known_from_then_on(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(down(CREATE))
    sync([schema("contacts"), contact(1, title="A")], max_retries=0)
    apollo.clear_faults()
    moved = [schema("contacts"), contact(1, email="new@b.com", title="B")]
    for endpoint in (UPDATE, "POST /contacts/bulk_update"):
        apollo.inject(Fault(endpoint=endpoint, kind=FaultKind.RESET_BEFORE_WRITE, times=None))
    assert sync(moved, max_retries=0).exit_code == 1
    apollo.clear_faults()

    sync(moved)

    assert emails(apollo) == ["new@b.com"]


def test_a_contact_that_was_being_updated_is_known_though_its_address_changes(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Old", created_at="2020-01-01T00:00:00.000Z")
    for endpoint in (UPDATE, "POST /contacts/bulk_update"):
        apollo.inject(Fault(endpoint=endpoint, kind=FaultKind.RESET_AFTER_WRITE, times=None))
    assert sync([schema("contacts"), contact(1, title="New")], max_retries=0).exit_code == 1
    apollo.clear_faults()

    sync([schema("contacts"), contact(1, email="new@b.com", title="New")])

    assert emails(apollo) == ["new@b.com"]


def test_what_a_cut_off_creation_left_behind_is_written_though_a_policy_protects_it(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [schema("contacts"), contact(1, mobile_phone="+4915112345678")]
    policy = {"mobile_phone": "create_only"}
    apollo.inject(Fault(endpoint=UPDATE, kind=FaultKind.RESET_BEFORE_WRITE, times=None))
    assert sync(rows, max_retries=0, field_policy=policy).exit_code == 1
    apollo.clear_faults()

    sync(rows, field_policy=policy)

    assert phones(apollo) == {"p1@a.com": ["+4915112345678"]}
