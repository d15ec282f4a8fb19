"""Bad input gets a sentence and costs no other record."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, TargetRun, record, schema, state

Run = Callable[..., TargetRun]
LISTS = "POST /labels/add_entity_ids_to_label_names"


def contact(number: int, **values: object) -> dict[str, object]:
    return record("contacts", id=number, **{"email": f"p{number}@a.com", **values})


def emails(apollo: Sandbox) -> set[str]:
    return {str(c["email"]) for c in apollo.store.contacts()}


def test_an_empty_input_ends_well_and_sends_nothing(apollo: Sandbox, sync: Run) -> None:
    done = sync([])

    assert (done.exit_code, done.states) == (0, [])
    assert list(apollo.requests) == []


def test_invalid_records_between_good_ones_are_rejected_alone(apollo: Sandbox, sync: Run) -> None:
    done = sync(
        [
            schema("contacts"),
            contact(1),
            contact(2, title=17),
            contact(3, email=None),
            contact(4, email="not an address"),
            {"type": "RECORD", "stream": "contacts", "record": {"email": "p5@a.com"}},
            contact(6),
            state({"done": True}),
        ]
    )

    assert done.exit_code == 0, done.log
    assert sorted(done.reasons) == [
        "malformed_email",
        "missing_email",
        "missing_key_property",
        "schema_mismatch",
    ]
    assert emails(apollo) == {"p1@a.com", "p6@a.com"}
    assert done.last_state == {"done": True}


def test_the_reason_names_stream_and_key_and_no_value(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(4711, email="secret-person@nowhere")])

    assert "Rejected contacts 4711 (malformed_email)" in done.log
    assert "secret-person" not in done.log


def test_a_line_that_is_no_json_costs_only_itself(apollo: Sandbox, sync: Run) -> None:
    done = sync(
        [schema("contacts"), contact(1), '{"type": "RECORD", "strea', contact(2), state({"n": 2})]
    )

    assert done.exit_code == 0, done.log
    assert done.reasons == ["unreadable_line"]
    assert emails(apollo) == {"p1@a.com", "p2@a.com"}
    assert done.last_state == {"n": 2}


def test_a_record_before_its_schema_is_rejected(apollo: Sandbox, sync: Run) -> None:
    done = sync([contact(1), schema("contacts"), contact(2)])

    assert done.reasons == ["no_schema"]
    assert emails(apollo) == {"p2@a.com"}


def test_unknown_properties_are_dropped_and_said_once(apollo: Sandbox, sync: Run) -> None:
    stream = {"properties": {**CONTACT_SCHEMA["properties"], "shoe_size": {"type": "integer"}}}

    done = sync([schema("contacts", stream), *(contact(n, shoe_size=42) for n in range(150))])

    assert done.records == {"received": 150, "created": 150}
    assert done.log.count("shoe_size") == 1
    assert done.summary["unknown_fields"] == {"contacts": ["shoe_size"]}


def test_unknown_properties_can_end_the_run_before_anything_is_written(
    apollo: Sandbox, sync: Run
) -> None:
    stream = {"properties": {**CONTACT_SCHEMA["properties"], "shoe_size": {"type": "integer"}}}

    done = sync(
        [schema("contacts", stream), contact(1, shoe_size=42), state({"n": 1})],
        unknown_fields="fail",
    )

    assert done.exit_code == 2
    assert "shoe_size" in done.log
    assert (done.states, apollo.store.contacts()) == ([], [])


def test_interleaved_streams_each_arrive_whole(apollo: Sandbox, sync: Run) -> None:
    messages = [schema("contacts"), schema("accounts")]
    for n in range(150):
        messages += [contact(n), record("accounts", id=n, domain=f"firm{n}.com", name=f"Firm {n}")]

    done = sync([*messages, state({"n": 150})])

    assert done.records == {"received": 300, "created": 300}
    assert (len(apollo.store.contacts()), len(apollo.store.accounts())) == (150, 150)
    assert done.last_state == {"n": 150}


def test_an_old_value_never_lands_after_a_new_one_when_the_schema_changes(
    apollo: Sandbox, sync: Run
) -> None:
    wider = {"properties": {**CONTACT_SCHEMA["properties"], "note": {"type": "string"}}}

    done = sync(
        [
            schema("contacts"),
            contact(1, title="old"),
            schema("contacts"),
            contact(2),
            schema("contacts", wider),
            contact(1, title="new"),
            contact(3),
        ]
    )

    assert done.exit_code == 0, done.log
    titles = {c["email"]: c["title"] for c in apollo.store.contacts()}
    assert titles == {"p1@a.com": "new", "p2@a.com": None, "p3@a.com": None}


def test_two_rows_with_one_email_make_one_contact_with_the_last_values(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync(
        [
            schema("contacts"),
            contact(1, email="Same@A.com", title="first"),
            contact(2, email=" same@a.com", title="second"),
        ]
    )

    assert done.records == {"received": 2, "created": 1, "updated": 1}
    assert [c["title"] for c in apollo.store.contacts()] == ["second"]
    assert done.summary["duplicates"] == {
        "found": 1,
        "listed": [{"stream": "contacts", "keys": ["1", "2"], "kind": "same_email"}],
    }


def test_a_contact_known_by_an_additional_email_only_is_updated(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(
        email="main@a.com",
        additional_emails=["other@a.com"],
        title="old",
    )

    done = sync([schema("contacts"), contact(1, email="other@a.com", title="new")])

    assert done.records == {"received": 1, "updated": 1}
    only = apollo.store.contacts()[0]
    assert (only["email"], only["title"]) == ("main@a.com", "new")


def test_a_namesake_at_the_same_company_is_never_written_over(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(
        email="jane@private.com", first_name="Jane", last_name="Roe", organization_name="Acme"
    )

    done = sync(
        [
            schema("contacts"),
            contact(1),
            contact(2, first_name="Jane", last_name="Roe", organization_name="Acme", title="new"),
        ]
    )

    assert done.records == {"received": 2, "created": 1, "rejected": 1}
    assert done.reasons == ["identity_conflict"]
    assert emails(apollo) == {"jane@private.com", "p1@a.com"}
    assert all(c["title"] is None for c in apollo.store.contacts())


def test_one_bad_owner_id_in_a_batch_costs_only_its_row(apollo: Sandbox, sync: Run) -> None:
    bad = "f" * 24

    done = sync(
        [
            schema("contacts"),
            schema("accounts"),
            *(contact(n) for n in range(20)),
            contact(20, owner_id=bad),
            *(record("accounts", id=n, domain=f"f{n}.com", name=f"F{n}") for n in range(20)),
            record("accounts", id=20, domain="f20.com", name="F20", owner_id=bad),
        ]
    )

    assert done.records == {"received": 42, "created": 40, "rejected": 2}
    assert done.reasons == ["refused_by_apollo"] * 2


def test_a_deleted_contact_is_rejected_as_deleted(apollo: Sandbox, sync: Run) -> None:
    gone = apollo.store.add_contact(email="p1@a.com")
    apollo.store.delete_contact(gone["id"])

    done = sync(
        [schema("contacts"), contact(1, apollo_id=gone["id"], title="x"), contact(2)],
    )

    assert done.reasons == ["deleted_in_apollo"]
    assert emails(apollo) == {"p2@a.com"}


@pytest.mark.parametrize(
    ("mode", "policy", "outcome"),
    [
        ("update", "leave", "rejected"),
        ("update", "recreate", "rejected"),
        ("upsert", "leave", "rejected"),
        ("upsert", "recreate", "created"),
    ],
)
def test_an_id_that_apollo_does_not_know(
    apollo: Sandbox, sync: Run, mode: str, policy: str, outcome: str
) -> None:
    rows = [schema("contacts"), contact(1, apollo_id="a" * 24)]

    done = sync(rows, mode=mode, on_apollo_delete=policy)

    assert done.records == {"received": 1, outcome: 1}
    assert done.reasons == (["gone_from_apollo"] if outcome == "rejected" else [])


@pytest.mark.full
def test_unicode_and_large_fields_arrive_whole(apollo: Sandbox, sync: Run) -> None:
    large = "ß" * 500_000
    rows = [contact(n, first_name="Zoë 🦊", title=large + str(n)) for n in range(12)]

    done = sync([schema("contacts"), *rows])

    assert done.records == {"received": 12, "created": 12}
    assert {c["title"] for c in apollo.store.contacts()} == {large + str(n) for n in range(12)}
    assert all(c["first_name"] == "Zoë 🦊" for c in apollo.store.contacts())


def test_a_stream_that_is_neither_contacts_nor_accounts_ends_the_run_at_once(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([schema("orders"), record("orders", id=1)])

    assert done.exit_code == 2
    assert "'streams'" in done.log
    assert "Traceback" not in done.log
    assert list(apollo.requests) == []


@pytest.mark.full
def test_wrong_settings_end_the_run_before_a_byte_is_sent(apollo: Sandbox, run_target: Run) -> None:
    done = run_target([schema("contacts"), contact(1)], batch_size=101, moode="insert")

    assert done.exit_code == 2
    assert "The setting 'batch_size' must be at most 100." in done.log
    assert "did you mean 'mode'?" in done.log
    assert list(apollo.requests) == []


def test_a_wrong_key_ends_the_run_with_the_setting_to_mend(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(1), state({"n": 1})], api_key="wrong-key-xyz")

    assert (done.exit_code, done.states) == (2, [])
    assert "api_key" in done.log
    assert "wrong-key-xyz" not in done.log + json.dumps(done.summary)
    assert "Traceback" not in done.log


def test_too_many_rejects_are_an_error_at_the_end(apollo: Sandbox, sync: Run) -> None:
    rows = [contact(n) for n in range(45)] + [contact(n, email=None) for n in range(45, 50)]
    messages = [schema("contacts"), *rows]

    assert sync(messages, max_rejected_percent=9, ledger_url="").exit_code == 1
    assert sync(messages, max_rejected_percent=10, ledger_url="").exit_code == 0


@pytest.mark.full
def test_a_table_of_bad_rows_is_not_run_through(apollo: Sandbox, sync: Run) -> None:
    rows = [contact(n, email=None) for n in range(5000)]

    done = sync([schema("contacts"), *rows, state({"n": 1})], abort_rejected_percent=50)

    assert done.exit_code == 1
    assert "abort_rejected_percent" in done.log
    assert done.records["received"] < 5000
    assert done.states == []


def test_on_record_error_fail_ends_with_the_first_bad_record(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(1, title=17), contact(2)], on_record_error="fail")

    assert done.exit_code == 1
    assert "Traceback" not in done.log
    assert done.rejects == []


def test_an_answer_that_leaves_a_record_out_never_counts_as_written(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(endpoint="POST /contacts/bulk_create", kind=FaultKind.RECORDS_LEFT_OUT))

    done = sync([schema("contacts"), *(contact(n) for n in range(10))])

    assert done.summary["records"]["without_outcome"] == 0
    assert len(apollo.store.contacts()) == 10
    assert done.records["received"] == 10


def test_a_row_that_a_list_refuses_is_rejected_once(apollo: Sandbox, sync: Run) -> None:
    apollo.inject(Fault(endpoint=LISTS, kind=FaultKind.ERROR_BEFORE_WRITE, status=422, times=None))

    done = sync([schema("contacts"), contact(1), state({"n": 1})], mode="insert", lists=["Synced"])

    assert done.reasons == ["refused_by_apollo"]
    assert done.last_state == {"n": 1}


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
