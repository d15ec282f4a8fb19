"""Columns are known by their names in any spelling, and what is wrong with them is said first."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, Run, TargetRun, record, schema, state


def table(stream: str, *columns: str, key: str = "id", **more: Any) -> Message:
    anything = {"type": ["string", "integer", "array", "null"]}
    return schema(stream, {"properties": dict.fromkeys((key, *columns), anything), **more}, key)


def synced(
    sync: Run, values: dict[str, Any], stream: str = "contacts", **settings: Any
) -> TargetRun:
    columns = [name for name in values if name != "id"]
    row = {"id": 1, **values}
    return sync([table(stream, *columns), record(stream, **row), state(1)], **settings)


@pytest.mark.parametrize(
    ("email", "first", "last"),
    [
        ("EMAIL", "FIRST_NAME", "LAST_NAME"),
        ("E-mail", "First Name", "Last name"),
        ("eMail", "firstName", "lastName"),
        ("email", "first-name", "last.name"),
    ],
)
def test_columns_are_known_in_any_spelling(
    apollo: Sandbox, sync: Run, email: str, first: str, last: str
) -> None:
    done = synced(sync, {email: "ada@a.com", first: "Ada", last: "Byron"})

    assert (done.exit_code, done.records) == (0, {"received": 1, "created": 1})
    (found,) = apollo.store.contacts()
    assert [found["email"], found["first_name"], found["last_name"]] == [
        "ada@a.com",
        "Ada",
        "Byron",
    ]
    assert done.summary["unknown_fields"] == {"contacts": []}


def test_columns_of_accounts_are_known_in_any_spelling(apollo: Sandbox, sync: Run) -> None:
    done = synced(sync, {"Domain": "a.com", "NAME": "A", "Label Names": ["L"]}, "accounts")

    assert done.exit_code == 0
    (found,) = apollo.store.accounts()
    assert (found["domain"], found["name"], len(found["label_ids"])) == ("a.com", "A", 1)


@pytest.mark.parametrize("mode", ["insert", "update", "upsert"])
def test_the_ledger_knows_a_row_whose_columns_are_spelled_anew(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    synced(sync, {"email": "ada@a.com", "first_name": "Ada"})

    again = synced(sync, {"Email": "ada@a.com", "First Name": "Ada"}, mode=mode)

    assert again.records["received"] == 1
    assert again.records.get("unchanged") or again.records.get("existing")


def test_the_exact_name_has_the_field(apollo: Sandbox, sync: Run) -> None:
    done = synced(sync, {"Email": "other@a.com", "email": "ada@a.com"})

    assert apollo.store.contacts()[0]["email"] == "ada@a.com"
    assert "has the name of Email ('email' has its place)" in done.log


def test_two_columns_of_one_field_end_the_run_before_it_writes(apollo: Sandbox, sync: Run) -> None:
    done = synced(sync, {"email": "ada@a.com", "First Name": "A", "FirstName": "B"})

    assert (done.exit_code, done.states, apollo.store.contacts()) == (2, [], [])
    assert "'First Name' and 'FirstName' of stream 'contacts'" in done.log


def test_ids_of_other_systems_are_not_taken_for_apollo_s(apollo: Sandbox, sync: Run) -> None:
    done = synced(sync, {"Email": "ada@a.com", "OwnerId": "0055g00000", "AccountId": "0015g0000"})

    assert (done.exit_code, done.records.get("created")) == (0, 1)
    assert "OwnerId (did you mean 'owner_id' or 'owner_email'?)" in done.log


@pytest.mark.parametrize(
    ("stream", "column", "meant"),
    [
        ("contacts", "phone", "'phone_number'"),
        ("contacts", "stage", "'contact_stage'"),
        ("contacts", "Owner", "'owner_email'"),
        ("contacts", "company", "'organization_name' or 'account_domain'"),
        ("contacts", "linkedn_url", "'linkedin_url'"),
        ("accounts", "stage", "'account_stage'"),
    ],
)
def test_a_column_without_a_field_is_named_with_what_was_meant(
    apollo: Sandbox, sync: Run, stream: str, column: str, meant: str
) -> None:
    match = {"contacts": ("email", "ada@a.com"), "accounts": ("domain", "a.com")}[stream]
    done = synced(sync, {match[0]: match[1], column: "x"}, stream)

    assert f"{column} (did you mean {meant}?)" in done.log


def test_columns_about_the_record_are_never_unknown(apollo: Sandbox, sync: Run) -> None:
    values = {"email": "ada@a.com", "Changed At": "2026-01-01", "_sdc_lsn": 1, "_sdc_sequence": 1}
    done = synced(sync, values, updated_at_field="changed_at")

    assert done.summary["unknown_fields"] == {"contacts": []}


@pytest.mark.parametrize("closed", [{"additionalProperties": False}, {}])
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_a_stream_without_a_column_to_match_on_ends_the_run(
    apollo: Sandbox, sync: Run, closed: Message, mode: str
) -> None:
    messages = [table("contacts", "mail", "phone", **closed)]
    done = sync([*messages, record("contacts", id=1, mail="a@a.com"), state(1)], mode=mode)

    assert (done.exit_code, done.states, done.rejects) == (2, [], [])
    assert "its columns are id, mail, phone ('mail' may be meant as 'email')" in done.log


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        (("apollo_id",), {}),
        (("contact_emails",), {}),
        (("HubSpot ID",), {"match_on": ["hubspot id"]}),
        (("first_name", "Last Name", "organization_name"), {"match_on": ["name"]}),
        (("erp",), {"match_on": ["custom:ERP"]}),
        (("number",), {"match_on": ["custom:ERP"], "custom_fields": {"Number": "erp"}}),
        (("title",), {"mode": "update"}),
    ],
)
def test_a_stream_with_any_column_to_match_on_is_taken(
    apollo: Sandbox, sync: Run, columns: tuple[str, ...], settings: Message
) -> None:
    apollo.store.add_custom_field("contact", "ERP", "string")
    done = sync([table("contacts", *columns, additionalProperties=False), state(1)], **settings)

    assert (done.exit_code, done.last_state) == (0, 1)


def test_a_column_that_the_schema_leaves_out_is_one_to_match_on(apollo: Sandbox, sync: Run) -> None:
    done = sync([table("contacts"), record("contacts", id=1, Email="ada@a.com")])

    assert (done.exit_code, done.records.get("created")) == (0, 1)


def test_a_custom_field_is_found_by_its_letters(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_custom_field("contact", "ICP Score", "string")
    synced(sync, {"email": "ada@a.com", "icpScore": "7"})

    (found,) = apollo.store.contacts()
    assert list(found["typed_custom_fields"].values()) == ["7"]


def test_a_custom_field_s_label_goes_before_another_spelling_of_a_field(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_custom_field("contact", "Phone Number", "string")
    synced(sync, {"email": "ada@a.com", "Phone Number": "555"})

    (found,) = apollo.store.contacts()
    assert list(found["typed_custom_fields"].values()) == ["555"]
    assert not found["phone_numbers"]


def test_an_entry_of_custom_fields_without_a_label_is_said_first(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_custom_field("contact", "Shoe Size", "string")
    done = synced(sync, {"email": "a@a.com", "shoe": "7"}, custom_fields={"shoe": "Shoe Sise"})

    assert done.exit_code == 0
    assert "which no custom field has; did you mean 'Shoe Size'?" in done.log
    refused = synced(
        sync,
        {"email": "b@a.com", "shoe": "7"},
        custom_fields={"shoe": "Shoe Sise"},
        unknown_fields="fail",
    )
    assert (refused.exit_code, len(apollo.store.contacts())) == (2, 1)


def test_an_entry_of_custom_fields_for_a_field_is_said(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_custom_field("contact", "Job", "string")
    done = synced(sync, {"email": "a@a.com", "title": "x"}, custom_fields={"title": "Job"})

    assert "The entry 'title' of the setting 'custom_fields' has no effect" in done.log


def test_two_columns_of_one_custom_field_end_the_run(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_custom_field("contact", "Tier", "string")
    values = {"email": "a@a.com", "one": "1", "two": "2"}
    done = synced(sync, values, custom_fields={"one": "Tier", "two": "tier"})

    assert (done.exit_code, apollo.store.contacts()) == (2, [])
    assert "'one' and 'two' of stream 'contacts'" in done.log


def test_of_two_custom_fields_with_one_label_none_is_written_by_chance(
    apollo: Sandbox, sync: Run
) -> None:
    for label in ("Tier", "TIER"):
        apollo.store.add_custom_field("contact", label, "string")
    done = synced(sync, {"email": "a@a.com", "tier": "1"})

    assert "tier (several custom fields have that label: Tier, TIER)" in done.log
    assert not apollo.store.contacts()[0].get("typed_custom_fields")
    exact = synced(sync, {"email": "a@a.com", "TIER": "1"})
    assert exact.records == {"received": 1, "updated": 1}


@pytest.mark.parametrize("spelling", ["first_name", "First Name", "firstName"])
def test_settings_name_columns_and_fields_in_any_spelling(
    apollo: Sandbox, sync: Run, spelling: str
) -> None:
    apollo.store.add_contact(email="a@a.com", first_name="Ada", title="T")
    kept = synced(sync, {"email": "a@a.com", "First-Name": "B"}, field_policy={spelling: "never"})
    assert kept.exit_code == 0
    assert apollo.store.contacts()[0]["first_name"] == "Ada"

    nulls = {"null_policy_per_field": {spelling: "clear"}}
    emptied = synced(sync, {"email": "a@a.com", "First-Name": None, "title": "U"}, **nulls)
    assert emptied.exit_code == 0
    assert not apollo.store.contacts()[0]["first_name"]
    assert "null_policy_per_field" not in emptied.log


def test_names_in_columns_of_another_spelling_are_looked_up(apollo: Sandbox, sync: Run) -> None:
    values = {"email": "a@a.com", "Owner E-mail": "nobody@x.com", "Contact Stage": "Nowhere"}
    rejected = synced(sync, values)
    assert rejected.reasons == ["unknown_name"]

    done = synced(sync, values, unresolved={"Owner Email": "drop", "contact_stage": "drop"})
    assert done.records.get("created") == 1


def test_key_is_named_in_any_spelling(apollo: Sandbox, sync: Run) -> None:
    done = synced(
        sync, {"email": "a@a.com", "Crm_ID": 5}, streams={"contacts": {"key": ["crm id"]}}
    )

    assert done.records == {"received": 1, "created": 1}


def test_a_deleted_row_is_found_by_its_columns(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="a@a.com")
    messages = [
        table("contacts", "E-Mail", "_sdc_deleted_at"),
        record("contacts", id=1, **{"E-Mail": "a@a.com", "_sdc_deleted_at": "2026-01-01"}),
    ]
    done = sync(messages, on_delete="list:Gone")

    assert done.summary["deleted"] == {"contacts": 1}


def test_an_address_that_goes_to_a_custom_field_is_none_to_match_on(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_custom_field("contact", "E-Mail", "string")
    done = synced(sync, {"EMAIL": "a@a.com"})

    assert (done.exit_code, done.rejects, apollo.store.contacts()) == (2, [], [])
    assert "has no column by which Apollo recognises contacts" in done.log


def test_a_replay_of_rows_without_a_match_key_rejects_them_again(
    apollo: Sandbox, sync: Run
) -> None:
    first = sync([table("contacts", "email"), record("contacts", id=1, email=None)])
    again = sync([table("contacts", "title"), *first.rejects])

    assert (again.exit_code, again.reasons) == (0, ["missing_email"])
