"""What the three modes do to a CRM."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import TargetRun, contact, record, schema, state

Run = Callable[..., TargetRun]


def contacts(count: int, start: int = 0, **values: object) -> list[dict[str, object]]:
    return [
        record(
            "contacts",
            id=n,
            email=f"person{n}@example{n % 7}.com",
            first_name=f"First{n}",
            last_name=f"Last{n}",
            **values,
        )
        for n in range(start, start + count)
    ]


@pytest.mark.parametrize(("count", "requests"), [(100, 1), (101, 2), (250, 3), (1000, 10)])
def test_new_rows_are_created_a_hundred_a_request(
    apollo: Sandbox, sync: Run, count: int, requests: int
) -> None:
    done = sync([schema("contacts"), *contacts(count), state({"at": count})])

    assert done.exit_code == 0, done.log
    assert done.records == {"received": count, "created": count}
    assert apollo.count("POST /contacts/bulk_create") == requests
    assert done.last_state == {"at": count}
    assert {c["email"] for c in apollo.store.contacts()} == {
        f"person{n}@example{n % 7}.com" for n in range(count)
    }


def test_insert_leaves_what_exists_alone(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="person0@example0.com", first_name="Old", title="Boss")

    done = sync(
        [schema("contacts"), *contacts(2, title="New", label_names=["Fresh"])], mode="insert"
    )

    assert done.records == {"received": 2, "created": 1, "existing": 1}
    old, new = sorted(apollo.store.contacts(), key=lambda c: str(c["email"]))
    assert (old["title"], old["first_name"], old["label_ids"]) == ("Boss", "Old", [])
    assert new["title"] == "New"
    assert len(new["label_ids"]) == 1


@pytest.mark.parametrize("full_resync", [False, True])
def test_insert_forgets_nothing_of_the_records_that_it_leaves_alone(
    apollo: Sandbox, sync: Run, full_resync: bool
) -> None:
    lines = [schema("contacts"), *contacts(2, title="New")]
    sync(lines)
    done = sync(lines, mode="insert", full_resync=full_resync)
    assert done.records == {"received": 2, "existing": 2}
    first = next(iter(apollo.store.contact_by_id.values()))
    first.own["title"] = "Sales' word"

    done = sync(lines)

    assert done.records == {"received": 2, "unchanged": 2}
    assert first.own["title"] == "Sales' word"


def test_insert_keeps_from_no_later_upsert_what_has_changed_in_the_row(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), *contacts(2, title="New")])
    changed = [schema("contacts"), *contacts(2, title="Newer")]
    sync(changed, mode="insert", full_resync=True)

    done = sync(changed)

    assert done.records == {"received": 2, "updated": 2}
    assert {one["title"] for one in apollo.store.contacts()} == {"Newer"}


def test_upsert_updates_only_rows_that_differ(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="person0@example0.com", first_name="First0", last_name="Last0")
    apollo.store.add_contact(email="person1@example1.com", first_name="Other", last_name="Last1")

    done = sync([schema("contacts"), *contacts(3)])

    assert done.records == {"received": 3, "created": 1, "updated": 1, "unchanged": 1}
    assert apollo.count("PATCH /contacts/{id}") == 1
    names = {c["email"]: c["first_name"] for c in apollo.store.contacts()}
    assert names["person1@example1.com"] == "First1"


def test_upsert_leaves_fields_alone_that_the_row_does_not_carry(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="person0@example0.com", title="Kept by sales")

    sync([schema("contacts"), *contacts(1)])

    assert apollo.store.contacts()[0]["title"] == "Kept by sales"


def test_a_later_row_is_compared_with_what_the_same_flush_has_created(
    apollo: Sandbox, sync: Run
) -> None:
    values = {"email": "a@b.com", "first_name": "Ann", "title": "Buyer", "phone_number": "+4930123"}

    done = sync([schema("contacts"), *(record("contacts", id=n, **values) for n in (1, 2))])

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}
    assert apollo.count("PATCH /contacts/{id}") == 0


def test_a_second_run_of_the_same_rows_sends_no_write(apollo: Sandbox, sync: Run) -> None:
    rows = [schema("contacts"), *contacts(120)]
    sync(rows)
    apollo.reset_log()

    done = sync(rows)

    assert done.records == {"received": 120, "unchanged": 120}
    assert apollo.count("POST /contacts/bulk_create") == 0


def test_a_second_run_without_a_ledger_compares_with_apollo(apollo: Sandbox, sync: Run) -> None:
    rows = [schema("contacts"), *contacts(120, title="Buyer", phone_number="+49 30 1234567")]
    sync(rows, ledger_url="")
    apollo.reset_log()

    done = sync(rows, ledger_url="")

    assert done.records == {"received": 120, "unchanged": 120}
    assert apollo.count("POST /contacts/bulk_create") == 2
    assert apollo.count("PATCH /contacts/{id}") == 0


def test_a_changed_email_of_a_known_row_updates_the_same_contact(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), record("contacts", id=1, email="old@a.com", first_name="A")])

    done = sync([schema("contacts"), record("contacts", id=1, email="new@a.com", first_name="A")])

    assert done.records == {"received": 1, "updated": 1}
    assert [c["email"] for c in apollo.store.contacts()] == ["new@a.com"]


def test_update_writes_by_the_apollo_id_of_the_row(apollo: Sandbox, sync: Run) -> None:
    known = apollo.store.add_contact(email="a@a.com", title="Old")

    done = sync(
        [schema("contacts"), record("contacts", id=1, apollo_id=known["id"], title="New")],
        mode="update",
    )

    assert done.records == {"received": 1, "updated": 1}
    assert apollo.store.contacts()[0]["title"] == "New"
    assert apollo.count("PATCH /contacts/{id}") == 1
    assert apollo.count("POST /contacts/bulk_create") == 0


def test_update_takes_the_single_key_property_for_the_apollo_id(apollo: Sandbox, sync: Run) -> None:
    known = apollo.store.add_account(domain="a.com", name="Old")
    stream = {"properties": {"crm_id": {"type": "string"}, "name": {"type": "string"}}}

    done = sync(
        [
            schema("accounts", stream, key="crm_id"),
            record("accounts", crm_id=known["id"].upper(), name="New"),
        ],
        mode="update",
    )

    assert done.records == {"received": 1, "updated": 1}
    assert apollo.store.accounts()[0]["name"] == "New"


def test_update_finds_the_id_in_the_ledger_of_an_earlier_upsert(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), *contacts(1)])

    done = sync([schema("contacts"), *contacts(1, title="New")], mode="update")

    assert done.records == {"received": 1, "updated": 1}
    assert apollo.store.contacts()[0]["title"] == "New"


def test_update_without_an_id_is_rejected_with_what_it_needs(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), *contacts(1)], mode="update")

    assert done.reasons == ["update_needs_id"]
    detail = done.rejects[0]["record"]["_reject"]["detail"]
    assert detail.startswith("update needs the Apollo id: ")
    assert apollo.store.contacts() == []


def test_accounts_are_written_like_contacts(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_account(domain="b.com", name="Old B")

    done = sync(
        [
            schema("crm-accounts"),
            record("crm-accounts", id=1, domain="https://www.A.com/about", name="A"),
            record("crm-accounts", id=2, domain="B.com", name="New B"),
        ]
    )

    assert done.records == {"received": 2, "created": 1, "updated": 1}
    assert {a["domain"]: a["name"] for a in apollo.store.accounts()} == {
        "a.com": "A",
        "b.com": "New B",
    }


def test_accounts_are_there_before_the_contacts_that_came_first(apollo: Sandbox, sync: Run) -> None:
    sync(
        [
            schema("contacts"),
            schema("accounts"),
            *contacts(3),
            record("accounts", id=1, domain="a.com", name="A"),
        ]
    )

    order = [r.endpoint for r in apollo.requests if r.endpoint.endswith("bulk_create")]
    assert order == ["POST /accounts/bulk_create", "POST /contacts/bulk_create"]


def test_owners_and_lists_are_grouped_into_requests(apollo: Sandbox, sync: Run) -> None:
    owners = [apollo.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(2)]
    rows = [
        record(
            "contacts", id=n, email=f"p{n}@a.com", owner_id=owners[n % 2], label_names=["Inbound"]
        )
        for n in range(50)
    ]

    done = sync([schema("contacts"), *rows])

    assert done.records == {"received": 50, "created": 50}
    assert apollo.count("POST /contacts/bulk_create") == 2
    held = {c["email"]: c["owner_id"] for c in apollo.store.contacts()}
    assert held == {f"p{n}@a.com": owners[n % 2] for n in range(50)}
    assert all(len(c["label_ids"]) == 1 for c in apollo.store.contacts())


def test_many_owners_are_assigned_afterwards_in_bulk(apollo: Sandbox, sync: Run) -> None:
    owners = [apollo.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(40)]
    rows = [
        record("contacts", id=n, email=f"p{n}@a.com", owner_id=owners[n % 40]) for n in range(80)
    ]

    done = sync([schema("contacts"), *rows])

    assert done.records == {"received": 80, "created": 80}
    assert len([r for r in apollo.requests if r.method != "GET"]) <= 3
    held = {c["email"]: c["owner_id"] for c in apollo.store.contacts()}
    assert held == {f"p{n}@a.com": owners[n % 40] for n in range(80)}


def test_what_bulk_create_does_not_take_is_carried_by_a_patch(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), *contacts(1, mobile_phone="+4915112345678")])

    assert done.records == {"received": 1, "created": 1}
    assert apollo.count("PATCH /contacts/{id}") == 1
    numbers = apollo.store.contacts()[0]["phone_numbers"]
    assert [(n["type"], n["sanitized_number"]) for n in numbers] == [("mobile", "+4915112345678")]


def test_lists_are_added_without_touching_the_others(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), *contacts(1, label_names=["First"])])

    sync([schema("contacts"), *contacts(1, label_names=["Second"])])

    assert len(apollo.store.contacts()[0]["label_ids"]) == 2


def test_names_are_resolved_to_ids(apollo: Sandbox, sync: Run) -> None:
    owner = apollo.store.add_user(email="Rep@Team.com")
    stage = apollo.store.contact_stages[1]

    done = sync(
        [
            schema("contacts"),
            *contacts(1, owner_email="rep@team.com", contact_stage=stage["name"].upper()),
        ]
    )

    assert done.records == {"received": 1, "created": 1}
    written = apollo.store.contacts()[0]
    assert (written["owner_id"], written["contact_stage_id"]) == (owner["id"], stage["id"])


def test_a_property_with_the_label_of_a_custom_field_is_written_there(
    apollo: Sandbox, sync: Run
) -> None:
    field = apollo.store.add_custom_field("contact", "Lead Score", "number")
    stream = {
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": "string"},
            "lead_score": {"type": "number"},
        }
    }

    sync([schema("contacts", stream), record("contacts", id=1, email="a@a.com", lead_score=7.5)])

    assert apollo.store.contacts()[0]["typed_custom_fields"] == {_bare(field["id"]): "7.5"}


def _bare(field_id: str) -> str:
    return field_id.split(".")[-1]


def test_a_null_is_not_sent_unless_it_is_to_clear(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="person0@example0.com", title="Kept")
    sync([schema("contacts"), *contacts(1, title=None)])
    assert apollo.store.contacts()[0]["title"] == "Kept"

    sync([schema("contacts"), *contacts(1, title=None)], null_policy="clear")
    assert not apollo.store.contacts()[0]["title"]


def test_a_run_stops_before_it_creates_more_than_allowed(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="person0@example0.com", first_name="First0", last_name="Last0")

    done = sync([schema("contacts"), *contacts(250), state({"n": 250})], max_creates=150)

    assert done.exit_code == 1
    assert "max_creates" in done.summary["ended_because"]
    assert done.summary["records"]["created"] == 150
    assert len(apollo.store.contacts()) == 151
    assert done.states == []


def test_a_run_stops_before_it_updates_more_than_allowed(apollo: Sandbox, sync: Run) -> None:
    for n in range(10):
        apollo.store.add_contact(email=f"person{n}@example{n % 7}.com", title="old")

    done = sync([schema("contacts"), *contacts(12, title="new")], max_updates=4)

    assert (done.exit_code, done.records["updated"]) == (1, 4)
    assert "max_updates" in done.summary["ended_because"]
    assert sorted(str(c["title"]) for c in apollo.store.contacts()) == ["new"] * 6 + ["old"] * 6


def test_limits_that_are_just_met_do_not_stop_a_run(apollo: Sandbox, sync: Run) -> None:
    assert sync([schema("contacts"), *contacts(20)], max_creates=20).exit_code == 0
    assert sync([schema("contacts"), *contacts(20, title="x")], max_updates=20).exit_code == 0


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
