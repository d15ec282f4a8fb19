"""What Apollo answers to updates of many records: each row is confirmed, or has its reject."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.options import BulkFailure, UnknownId
from tests.helpers.fault_mix import LOST
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.updates import BULK, PATCH, STAGES, by_email, refusal, there
from tests.promises.conftest import Run, contact, record, schema, state

# --- refusals


@pytest.mark.parametrize("failure", list(BulkFailure))
@pytest.mark.parametrize("names_value", [True, False])
def test_a_bulk_update_that_is_refused_costs_the_bad_row_only(
    sync: Run, failure: BulkFailure, names_value: bool
) -> None:
    options = SandboxOptions(strict=True, bulk_failure=failure, bad_id_names_value=names_value)
    with new_sandbox(options) as apollo:
        there(apollo, 40)
        rows = [contact(n, title=f"T{n}") for n in range(40)]
        rows[17]["record"]["owner_id"] = "e" * 24

        done = sync([schema("contacts"), *rows], sandbox=apollo, update_method="bulk",
                    ledger_url="")  # fmt: skip

        assert done.records == {"received": 40, "updated": 39, "rejected": 1}
        assert {one["title"] for one in apollo.store.contacts()} - {"old"} >= {
            f"T{n}" for n in range(40) if n != 17
        }
        assert done.rejects[0]["record"]["id"] == 17


def test_a_refusal_that_names_a_contact_takes_that_one_out(apollo: Sandbox, sync: Run) -> None:
    known = there(apollo, 30)
    rows = [contact(n, apollo_id=one["id"], title="new") for n, one in enumerate(known)]
    details = {"contact_id": known[4]["id"], "field": "email", "message": "Invalid email format"}
    body = {"error": "Validation failed", "error_details": details}
    apollo.inject(Fault(BULK, FaultKind.ERROR_BEFORE_WRITE, status=422, body=body))

    done = sync([schema("contacts"), *rows], mode="update", update_method="bulk", ledger_url="")

    assert done.records == {"received": 30, "updated": 29, "rejected": 1}
    assert done.rejects[0]["record"]["id"] == 4
    assert (apollo.count(BULK), apollo.count(PATCH)) == (2, 0)


@pytest.mark.parametrize("unknown_id", list(UnknownId))
@pytest.mark.parametrize("names_value", [True, False])
def test_contacts_that_are_gone_are_made_again(
    sync: Run, unknown_id: UnknownId, names_value: bool
) -> None:
    options = SandboxOptions(strict=True, unknown_id=unknown_id, bad_id_names_value=names_value)
    with new_sandbox(options) as apollo:
        there(apollo, 25)
        rows = [contact(n, title="new") for n in range(25)]
        for n in (3, 9):
            rows[n]["record"]["apollo_id"] = f"{n:024}"

        done = sync(
            [schema("contacts"), *rows],
            sandbox=apollo,
            update_method="bulk",
            on_apollo_delete="recreate",
        )

        assert done.records == {"received": 25, "updated": 25}
        assert {one["title"] for one in apollo.store.contacts()} == {"new"}
        assert len(apollo.store.contacts()) == 25
        assert done.summary["api"]["closed"] == {}


def test_a_deleted_contact_is_left_alone_and_the_others_are_updated(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), *(contact(n, title="old") for n in range(25))])
    apollo.store.delete_contact(by_email(apollo)["p5@a.com"]["id"])

    done = sync(
        [schema("contacts"), *(contact(n, title="new") for n in range(25))], update_method="bulk"
    )

    assert done.records == {"received": 25, "updated": 24, "skipped": 1}


# --- what an answer shows


def test_a_row_that_bulk_answers_leave_out_is_confirmed_by_a_single_update(
    apollo: Sandbox, sync: Run
) -> None:
    there(apollo, 25)
    apollo.inject(Fault(endpoint=BULK, kind=FaultKind.RECORDS_LEFT_OUT, times=None, records=1))

    done = sync(
        [schema("contacts"), *(contact(n, title="new") for n in range(25))], update_method="bulk"
    )

    assert done.records == {"received": 25, "updated": 25}
    assert (apollo.count(BULK), apollo.count(PATCH)) == (2, 1)


def test_a_row_of_which_bulk_update_shows_the_old_value_is_sent_once_more(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 1)
    untouched = {"contacts": [{"id": known[0]["id"], "title": "old", "updated_at": "2026-01-01"}]}
    apollo.inject(refusal(BULK, status=200, body=untouched))

    done = sync([schema("contacts"), contact(0, title="new")], update_method="bulk", ledger_url="")

    assert done.records == {"received": 1, "updated": 1}
    assert by_email(apollo)["p0@a.com"]["title"] == "new"


def test_a_row_of_which_every_answer_shows_the_old_value_is_not_counted_as_written(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 1)[0]
    for endpoint, body in ((BULK, {"contacts": [known]}), (PATCH, {"contact": known})):
        apollo.inject(refusal(endpoint, status=200, body=body))

    done = sync([schema("contacts"), contact(0, title="new")], update_method="bulk", ledger_url="")

    assert done.reasons == ["not_confirmed"]


def test_an_owner_that_bulk_update_did_not_take_is_not_counted_as_written(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 1)[0]
    rep = apollo.store.add_user(email="rep@team.com")["id"]
    apollo.inject(refusal(BULK, status=200, body={"contacts": [known]}))

    done = sync([schema("contacts"), contact(0, owner_id=rep)], update_method="bulk")

    assert done.reasons == ["not_confirmed"]


# --- answers that are lost


@pytest.mark.parametrize("kind", LOST, ids=lambda kind: kind.value)
@pytest.mark.parametrize("endpoint", [BULK, STAGES])
def test_a_grouped_update_whose_answer_is_lost_is_written(
    apollo: Sandbox, sync: Run, kind: FaultKind, endpoint: str
) -> None:
    stage = apollo.store.contact_stages[1]
    there(apollo, 25)
    apollo.inject(Fault(endpoint=endpoint, kind=kind, records=2))

    done = sync(
        [
            schema("contacts"),
            *(contact(n, title=f"T{n}", contact_stage=stage["name"]) for n in range(25)),
            state({"n": 25}),
        ],
        update_method="bulk",
    )

    assert (done.exit_code, done.last_state) == (0, {"n": 25}), done.log
    assert done.records == {"received": 25, "updated": 25}
    held = by_email(apollo)
    assert all(held[f"p{n}@a.com"]["title"] == f"T{n}" for n in range(25))
    assert {one["contact_stage_id"] for one in held.values()} == {stage["id"]}


def test_an_apollo_that_goes_down_between_two_parts_leaves_the_rows_to_the_next_run(
    apollo: Sandbox, sync: Run
) -> None:
    stage = apollo.store.contact_stages[1]
    there(apollo, 25)
    apollo.inject(Fault(endpoint=STAGES, kind=FaultKind.ERROR_BEFORE_WRITE, times=None))
    staged = [contact(n, title="new", contact_stage=stage["name"]) for n in range(5)]
    rows = [schema("contacts"), *staged, *(contact(n, title="new") for n in range(5, 25))]

    first = sync([*rows, state({"n": 25})], update_method="bulk", max_retries=0)
    assert (first.exit_code, first.states) == (1, [])
    assert first.records == {"received": 25, "updated": 20, "without_outcome": 5}

    apollo.clear_faults()
    second = sync([*rows, state({"n": 25})], update_method="bulk")
    assert (second.exit_code, second.last_state) == (0, {"n": 25})
    held = by_email(apollo)
    assert all(held[f"p{n}@a.com"]["contact_stage_id"] == stage["id"] for n in range(5))


def test_two_versions_of_a_row_never_overtake_each_other(apollo: Sandbox, sync: Run) -> None:
    there(apollo, 10)
    # Two keys for one contact: applied in the order in which they came.
    rows = [record("contacts", id=n, email=f"p{n % 10}@a.com", title=f"T{n}") for n in range(40)]

    sync([schema("contacts"), *rows], update_method="bulk")

    held = by_email(apollo)
    assert all(held[f"p{n % 10}@a.com"]["title"] == f"T{n}" for n in range(30, 40))


def test_an_update_that_a_bulk_answer_leaves_out_is_sent_again(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email="rep@team.com")["id"]
    apollo.store.add_contact(email="p1@a.com")
    apollo.inject(Fault(endpoint="POST /contacts/bulk_update", kind=FaultKind.RECORDS_LEFT_OUT))

    done = sync([schema("contacts"), contact(1, owner_id=owner)])

    assert done.records == {"received": 1, "updated": 1}
