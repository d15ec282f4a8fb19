"""Which values of Apollo a run keeps and which it writes after all, as policies and rows change."""

from __future__ import annotations

import pytest
from singer_sdk.exceptions import ConfigValidationError

from target_apollo.sandbox import Sandbox
from tests.helpers.updates import by_email, titles
from tests.promises.conftest import CONTACT_SCHEMA, DATED, Message, Run, contact, record, schema

READ = "GET /contacts/{id}"


# --- policies of fields


def test_a_field_and_its_name_with_different_policies_end_the_run(
    apollo: Sandbox, sync: Run
) -> None:
    with pytest.raises(ConfigValidationError) as wrong:
        sync(
            [schema("contacts"), contact(1)],
            field_policy={"owner_email": "create_only", "owner_id": "overwrite"},
        )
    assert "one field of Apollo" in wrong.value.errors[0]


def test_everything_create_only_leaves_lists_alone(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="p1@a.com")

    sync([schema("contacts"), contact(1, label_names=["L"])], field_policy={"*": "create_only"})

    (one,) = apollo.store.contacts()
    assert one["label_ids"] == []


def test_what_apollo_never_shows_is_not_read_for(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="p1@a.com")

    sync(
        [schema("contacts"), contact(1, website_url="https://a.com")],
        field_policy={"website_url": "fill_if_empty"},
        ledger_url="",
    )

    assert apollo.count(READ) == 0


def test_accounts_are_not_read_for_a_time_that_they_never_show(apollo: Sandbox, sync: Run) -> None:
    dated = {
        "properties": {"id": {}, "domain": {}, "name": {}, "raw_address": {}, "updated_at": {}}
    }

    def account(**values: object) -> list[Message]:
        row = {"id": 1, "domain": "a.com", "updated_at": "2999-01-01", **values}
        return [schema("accounts", dated), record("accounts", **row)]

    sync(account(name="A", raw_address="A"), field_policy={"name": "newest"})
    done = sync(account(name="B", raw_address="B"), field_policy={"name": "newest"})

    assert apollo.count("GET /accounts/{id}") == 0
    assert done.summary["protected"] == {"accounts": {"name": 1}}


def test_a_run_of_its_own_makes_an_older_row_no_newer(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word")
    old = {"title": "Row's word", "updated_at": "2001-01-01T00:00:00Z"}
    policy = {"title": "newest"}
    sync([schema("contacts", DATED), contact(1, first_name="A", **old)], field_policy=policy)

    sync([schema("contacts", DATED), contact(1, first_name="B", **old)], field_policy=policy)

    assert titles(apollo) == {"p1@a.com": "Sales' word"}


def test_a_loosened_policy_writes_what_was_kept(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word")
    rows = [schema("contacts"), contact(1, title="Row's word")]
    sync(rows, field_policy={"title": "create_only"})

    sync(rows)

    assert titles(apollo) == {"p1@a.com": "Row's word"}


def test_a_stricter_policy_writes_nothing_again(apollo: Sandbox, sync: Run) -> None:
    rows = [schema("contacts"), contact(1, title="A"), contact(2, title="A")]
    sync(rows)

    done = sync(rows, field_policy={"title": "create_only"})

    assert done.records == {"received": 2, "unchanged": 2}


def test_a_time_that_is_none_is_said(apollo: Sandbox, sync: Run) -> None:
    described = {"properties": {**CONTACT_SCHEMA["properties"], "updated_at": {}}}

    done = sync(
        [schema("contacts", described), contact(1, updated_at="yesterday")],
        field_policy={"title": "newest"},
    )

    assert "'updated_at' (setting updated_at_field) is no date and time" in done.log


def test_the_label_and_the_property_of_a_custom_field_with_different_policies_end_the_run(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_custom_field("contact", "Lead Score", "string")

    done = sync(
        [schema("contacts"), contact(1)],
        field_policy={"Lead Score": "create_only", "lead_score": "overwrite"},
    )

    assert (done.exit_code, "one field of Apollo" in done.log) == (2, True)


# --- addresses and numbers


def test_an_address_that_sales_mended_stays_while_the_row_keeps_its_own(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, title="Old")])
    (one,) = apollo.store.contact_by_id.values()
    one.own["email"] = "mended@a.com"

    sync([schema("contacts"), contact(1, title="New")])

    assert [(c["email"], c["title"]) for c in apollo.store.contacts()] == [("mended@a.com", "New")]


@pytest.mark.full
def test_an_address_that_another_row_gave_the_record_is_written_again(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, email="first@a.com", title="A")])
    (one,) = apollo.store.contacts()
    by_id = {"id": 2, "email": "second@a.com", "apollo_id": one["id"]}
    stream = schema(
        "contacts",
        {"properties": {n: {"type": ["string", "integer"]} for n in (*by_id, "title")}},
    )
    sync([stream, record("contacts", **by_id)])

    sync([schema("contacts"), contact(1, email="first@a.com", title="B")])

    assert "first@a.com" in by_email(apollo)
    assert by_email(apollo)["first@a.com"]["title"] == "B"


@pytest.mark.xfail(
    strict=True,
    reason="bulk_create's phone is held as type 'other'; an update writes and empties work_direct",
)
def test_a_null_empties_the_number_that_the_contact_was_created_with(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, phone_number="+1 555 0001")])

    sync([schema("contacts"), contact(1, phone_number=None)], null_policy="clear")

    assert apollo.store.contacts()[0]["phone_numbers"] == []
