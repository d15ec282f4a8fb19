"""What chaos brought to light, each reduced to the least that shows it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sandbox.options import BulkFailure
from tests.promises.conftest import TargetRun, record, schema, state

Run = Callable[..., TargetRun]
CREATE = "POST /contacts/bulk_create"
UPDATE = "PATCH /contacts/{id}"
LISTS = "POST /labels/add_entity_ids_to_label_names"


def contact(number: int, **values: object) -> dict[str, object]:
    return record("contacts", **{"id": number, "email": f"p{number}@a.com", **values})


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(one["email"]) for one in apollo.store.contacts())


def phones(apollo: Sandbox) -> dict[str, list[str]]:
    return {
        str(one["email"]): [number["raw_number"] for number in one["phone_numbers"]]
        for one in apollo.store.contacts()
    }


def down(endpoint: str, after: int = 0) -> Fault:
    """Apollo writes what comes and answers nothing, from now on."""
    return Fault(endpoint=endpoint, kind=FaultKind.RESET_AFTER_WRITE, times=None, after=after)


def test_a_row_that_a_list_refuses_is_rejected_once(apollo: Sandbox, sync: Run) -> None:
    apollo.inject(Fault(endpoint=LISTS, kind=FaultKind.ERROR_BEFORE_WRITE, status=422, times=None))

    done = sync([schema("contacts"), contact(1), state({"n": 1})], mode="insert", lists=["Synced"])

    assert done.reasons == ["refused_by_apollo"]
    assert done.last_state == {"n": 1}


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


STAGED = {
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": "string"},
        "mobile_phone": {"type": ["string", "null"]},
        "contact_stage_id": {"type": ["string", "null"]},
    }
}


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


def an_hour_passes(apollo: Sandbox, folder: Path) -> None:
    """For what is in Apollo and in the ledger by now."""
    for one in apollo.store.contact_by_id.values():
        one.own["created_at"] = one.own["created_at"].replace("20", "19", 1)
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("update apollo_runs set started_at = replace(started_at, '202', '192')")


def test_an_insert_leaves_the_contact_of_another_key_alone_though_an_answer_was_lost(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, after=1))
    first = contact(1, first_name="One", mobile_phone="+4915100000001")
    second = contact(2, email="p1@a.com", first_name="Two", mobile_phone="+4915100000002")

    sync([schema("contacts"), first, second], mode="insert", batch_size=1, parallel_requests=1)

    assert phones(apollo) == {"p1@a.com": ["+4915100000001"]}


@pytest.mark.parametrize("batch_size", [1, 10])
def test_an_address_that_goes_from_one_row_to_a_new_one_makes_two_contacts(
    apollo: Sandbox, sync: Run, batch_size: int
) -> None:
    sync([schema("contacts"), contact(1, email="shared@a.com", first_name="Ann")])

    sync(
        [
            schema("contacts"),
            contact(1, email="ann@a.com", first_name="Ann"),
            contact(2, email="shared@a.com", first_name="Bob"),
        ],
        batch_size=batch_size,
    )

    held = {one["email"]: one["first_name"] for one in apollo.store.contacts()}
    assert held == {"ann@a.com": "Ann", "shared@a.com": "Bob"}


def test_a_row_that_leaves_a_shared_address_leaves_the_contact_to_the_other_row(
    apollo: Sandbox, sync: Run
) -> None:
    both = [contact(1, email="shared@a.com", title="A"), contact(2, email="shared@a.com")]
    sync([schema("contacts"), *both])
    assert emails(apollo) == ["shared@a.com"]

    sync([schema("contacts"), contact(1, email="own@a.com", title="A")])

    assert emails(apollo) == ["own@a.com", "shared@a.com"]


def test_an_update_that_a_bulk_answer_leaves_out_is_sent_again(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email="rep@team.com")["id"]
    apollo.store.add_contact(email="p1@a.com")
    apollo.inject(Fault(endpoint="POST /contacts/bulk_update", kind=FaultKind.RECORDS_LEFT_OUT))

    done = sync([schema("contacts"), contact(1, owner_id=owner)])

    assert done.records == {"received": 1, "updated": 1}


def test_an_account_that_needs_no_request_is_known_to_the_contacts_of_its_domain(
    apollo: Sandbox, sync: Run
) -> None:
    stream = {
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": "string"},
            "account_domain": {"type": "string"},
        }
    }
    firm = record("accounts", id=1, domain="a.com", name="No Such Word Ltd")
    sync([schema("accounts"), firm])

    done = sync(
        [
            schema("accounts"),
            firm,
            schema("contacts", stream),
            contact(1, account_domain="a.com"),
        ]
    )

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}


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


def test_a_row_that_is_taken_for_somebody_else_puts_nobody_else_on_its_list(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_contact(
        email="ann@a.com", first_name="Ann", last_name="Lee", organization_name="Org"
    )
    namesake = {"first_name": "Ann", "last_name": "Lee", "organization_name": "Org"}

    done = sync([schema("contacts"), contact(1, **namesake, label_names=["Wave 1"])])

    assert done.reasons == ["identity_conflict"]
    assert apollo.store.contacts()[0]["label_ids"] == []


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


def test_of_two_rows_with_one_address_the_last_stands_also_when_only_the_first_changes(
    apollo: Sandbox, sync: Run
) -> None:
    def full_table(first_title: str) -> list[dict[str, object]]:
        first = contact(1, email="shared@a.com", title=first_title)
        last = contact(2, email="shared@a.com", title="Last")
        return [schema("contacts"), first, last]

    sync(full_table("First"), batch_size=1, parallel_requests=1)

    sync(full_table("Changed"), batch_size=1, parallel_requests=1)

    assert [one["title"] for one in apollo.store.contacts()] == ["Last"]


def test_rows_that_share_an_address_and_do_not_change_cost_no_request(
    apollo: Sandbox, sync: Run
) -> None:
    both = [contact(1, email="shared@a.com", title="A"), contact(2, email="shared@a.com")]
    for _ in range(2):
        sync([schema("contacts"), *both], batch_size=1, parallel_requests=1)

    again = sync([schema("contacts"), *both], batch_size=1, parallel_requests=1)

    assert again.records == {"received": 2, "unchanged": 2}


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


def test_what_a_rejected_row_left_behind_is_overwritten_by_the_row_after_it(
    apollo: Sandbox, sync: Run
) -> None:
    note = apollo.store.add_custom_field("contact", "Note", "string")
    apollo.store.workspace.fields[note["id"]]["text_field_max_length"] = 5
    apollo.store.add_contact(email="p1@a.com", first_name="Right", title="Old")
    noted = {"properties": {**STAGED["properties"], **{key: {"type": "string"} for key in NAMES}}}
    # Apollo stores the first row's name, and not its note, for which the row is rejected.
    first = contact(1, first_name="Wrong", note="far too long")
    second = contact(2, email="p1@a.com", first_name="Right", title="New")

    done = sync([schema("contacts", noted), first, second], max_rejected_percent=100)

    assert done.reasons == ["custom_field_refused"]
    (one,) = apollo.store.contacts()
    assert (one["first_name"], one["title"]) == ("Right", "New")


NAMES = ("first_name", "title", "note")
