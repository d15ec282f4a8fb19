"""Who owns which field: the warehouse, the CRM, or whoever changed it last."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, DATED, Run, TargetRun, record, schema

READ = "GET /contacts/{id}"


def contact(**values: object) -> dict[str, object]:
    return record("contacts", **{"id": 1, "email": "p1@a.com", **values})


def held(apollo: Sandbox, name: str = "title") -> object:
    (one,) = apollo.store.contacts()
    return one[name]


def protected(done: TargetRun) -> object:
    return done.summary["protected"].get("contacts", {})


def requests(done: TargetRun) -> dict[str, int]:
    return dict(done.summary["api"]["requests"])


@pytest.mark.parametrize(
    ("policy", "in_apollo", "expected"),
    [
        ("overwrite", "Sales' word", "Row's word"),
        ("fill_if_empty", "Sales' word", "Sales' word"),
        ("fill_if_empty", "", "Row's word"),
        ("create_only", "Sales' word", "Sales' word"),
        ("create_only", "", ""),
        ("never", "Sales' word", "Sales' word"),
    ],
)
def test_a_policy_decides_what_an_existing_contact_holds(
    apollo: Sandbox, sync: Run, policy: str, in_apollo: str, expected: str
) -> None:
    apollo.store.add_contact(email="p1@a.com", title=in_apollo, first_name="Old")

    sync(
        [schema("contacts"), contact(title="Row's word", first_name="New")],
        field_policy={"title": policy},
    )

    assert (held(apollo) or "", held(apollo, "first_name")) == (expected, "New")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("overwrite", "Row's word"),
        ("fill_if_empty", "Row's word"),
        ("create_only", "Row's word"),
        ("newest", "Row's word"),
        ("never", ""),
    ],
)
def test_a_new_contact_gets_every_field_that_is_not_never_written(
    apollo: Sandbox, sync: Run, policy: str, expected: str
) -> None:
    sync([schema("contacts", DATED), contact(title="Row's word")], field_policy={"title": policy})

    assert (held(apollo) or "") == expected


def test_a_contact_known_by_the_ledger_is_read_before_a_field_is_filled(
    apollo: Sandbox, sync: Run
) -> None:
    policy = {"title": "fill_if_empty"}
    sync([schema("contacts"), contact(title="First")], field_policy=policy)
    next(iter(apollo.store.contact_by_id.values())).own["title"] = "Sales' word"

    done = sync([schema("contacts"), contact(title="Second", last_name="B")], field_policy=policy)

    assert held(apollo) == "Sales' word"
    assert requests(done)[READ] == 1
    assert protected(done) == {"title": 1}


def test_a_row_of_which_everything_is_protected_is_skipped_and_costs_nothing_next_time(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word")
    rows = [schema("contacts"), contact(title="Row's word")]

    first = sync(rows, field_policy={"title": "create_only"})
    second = sync(rows, field_policy={"title": "create_only"})

    assert first.records == {"received": 1, "skipped": 1}
    assert second.records == {"received": 1, "unchanged": 1}


def test_what_a_policy_needs_not_see_costs_no_reading(apollo: Sandbox, sync: Run) -> None:
    policy = {"title": "create_only", "last_name": "never"}
    sync([schema("contacts"), contact(title="A", last_name="B")], field_policy=policy)

    done = sync([schema("contacts"), contact(title="C", first_name="D")], field_policy=policy)

    assert READ not in requests(done)
    assert (held(apollo), held(apollo, "first_name")) == ("A", "D")


NEWEST = {"title": "newest"}


@pytest.mark.parametrize(
    ("changed_at", "expected"),
    [
        ("2999-01-01T00:00:00Z", "Row's word"),
        ("2001-01-01 00:00:00+00", "Sales' word"),
        (None, "Sales' word"),
        ("yesterday", "Sales' word"),
    ],
)
def test_newest_lets_the_last_change_win(
    apollo: Sandbox, sync: Run, changed_at: str | None, expected: str
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word")

    sync(
        [schema("contacts", DATED), contact(title="Row's word", updated_at=changed_at)],
        field_policy=NEWEST,
    )

    assert held(apollo) == expected


def test_newest_takes_a_runs_own_write_for_no_change_by_sales(apollo: Sandbox, sync: Run) -> None:
    # The row changes between its reading and its writing, so its time is before Apollo's.
    first = contact(title="First", updated_at="2001-01-01T00:00:00Z")
    sync([schema("contacts", DATED), first], field_policy=NEWEST)

    changed = contact(title="Second", updated_at="2001-01-01T00:00:01Z")
    sync([schema("contacts", DATED), changed], field_policy=NEWEST)

    assert held(apollo) == "Second"


OLD = "2001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("policies", "mode"),
    [
        ({"title": "create_only"}, "upsert"),
        ({"title": "fill_if_empty"}, "upsert"),
        ({"title": "never"}, "upsert"),
        ({}, "insert"),
    ],
)
def test_newest_keeps_what_sales_wrote_while_another_setting_kept_it(
    apollo: Sandbox, sync: Run, policies: dict[str, str], mode: str
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word")
    row = contact(title="Row's word", updated_at=OLD)
    sync([schema("contacts", DATED), row], field_policy=policies, mode=mode)

    sync([schema("contacts", DATED), row], field_policy=NEWEST)

    assert held(apollo) == "Sales' word"


def test_newest_keeps_what_sales_wrote_before_a_run_that_wrote_other_fields(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word", first_name="Old")
    row = contact(title="Row's word", first_name="New", updated_at=OLD)
    sync([schema("contacts", DATED), row], field_policy={"title": "create_only"})
    assert held(apollo, "first_name") == "New"

    sync([schema("contacts", DATED), row], field_policy=NEWEST)

    assert held(apollo) == "Sales' word"


def test_newest_knows_a_run_s_own_write_after_a_run_that_sent_nothing(
    apollo: Sandbox, sync: Run
) -> None:
    first = contact(title="First", updated_at=OLD)
    sync([schema("contacts", DATED), first])
    second = contact(title="Second", updated_at="2001-01-01T00:00:01Z")
    sync([schema("contacts", DATED), second], field_policy={"title": "create_only"})

    sync([schema("contacts", DATED), second], field_policy=NEWEST)

    assert held(apollo) == "Second"


def test_newest_without_the_time_of_change_ends_the_run_before_anything_is_written(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([schema("contacts"), contact(title="A")], field_policy=NEWEST)

    assert done.exit_code == 2
    assert "updated_at_field" in done.log
    assert apollo.store.contacts() == []


def test_a_policy_for_a_field_that_there_is_not_ends_the_run_before_anything_is_written(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([schema("contacts"), contact(title="A")], field_policy={"titel": "never"})

    assert done.exit_code == 2
    assert "did you mean 'title'" in done.log
    assert apollo.store.contacts() == []


def test_a_star_protects_all_fields_that_are_not_named(apollo: Sandbox, sync: Run) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word", first_name="Sales")

    sync(
        [schema("contacts"), contact(title="Row's word", first_name="Row", last_name="Row")],
        field_policy={"*": "fill_if_empty", "title": "overwrite"},
    )

    assert (held(apollo), held(apollo, "first_name"), held(apollo, "last_name")) == (
        "Row's word",
        "Sales",
        "Row",
    )


def test_custom_fields_have_policies_by_their_label(apollo: Sandbox, sync: Run) -> None:
    field_id = apollo.store.add_custom_field("contact", "Lead Score", "number")["id"]
    apollo.store.add_contact(email="p1@a.com", typed_custom_fields={field_id: "80"})
    scored = {"properties": {**CONTACT_SCHEMA["properties"], "lead_score": {"type": "integer"}}}

    done = sync(
        [schema("contacts", scored), contact(lead_score=10)],
        field_policy={"Lead Score": "fill_if_empty"},
    )

    assert held(apollo, "typed_custom_fields") == {field_id: "80"}
    assert protected(done) == {"Lead Score": 1}


def test_an_owner_is_protected_whatever_names_it(apollo: Sandbox, sync: Run) -> None:
    mine = apollo.store.add_user(email="rep@team.com")["id"]
    other = apollo.store.add_user(email="other@team.com")["id"]
    apollo.store.add_contact(email="p1@a.com", owner_id=mine)
    owned = {"properties": {**CONTACT_SCHEMA["properties"], "owner_email": {"type": "string"}}}

    sync(
        [schema("contacts", owned), contact(owner_email="other@team.com", title="A")],
        field_policy={"owner_email": "create_only"},
    )

    assert other != mine
    assert (held(apollo, "owner_id"), held(apollo)) == (mine, "A")


def test_the_summary_line_says_what_was_protected(apollo: Sandbox, sync: Run) -> None:
    for number in range(3):
        apollo.store.add_contact(email=f"p{number}@a.com", title="Sales", first_name="Sales")
    rows = [contact(id=n, email=f"p{n}@a.com", title="Row") for n in range(3)]

    done = sync(
        [schema("contacts"), *rows],
        field_policy={"title": "create_only"},
    )

    assert "protected 3 values: title 3" in done.log


@pytest.mark.parametrize(
    ("general", "own", "expected"),
    [("ignore", "clear", None), ("clear", "ignore", "Old")],
)
def test_a_property_can_have_a_null_policy_of_its_own(
    apollo: Sandbox, sync: Run, general: str, own: str, expected: str | None
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Old")

    sync(
        [schema("contacts"), contact(title=None)],
        null_policy=general,
        null_policy_per_field={"title": own},
    )

    assert (held(apollo) or None) == expected


# --- an account's address, which answers show only where there is one


def account(**values: object) -> dict[str, object]:
    return record("accounts", **{"id": 1, "domain": "a.com", "name": "A", **values})


@pytest.mark.parametrize(("address", "expected"), [(None, "5 Row St"), ("1 Old St", "1 Old St")])
@pytest.mark.parametrize("mode", ["upsert", "update"])
def test_an_account_without_an_address_is_given_one_where_empty_fields_are_filled(
    apollo: Sandbox, sync: Run, mode: str, address: str | None, expected: str
) -> None:
    apollo.store.add_account(
        domain="a.com", name="A", **({"raw_address": address} if address else {})
    )

    sync(
        [schema("accounts"), account(raw_address="5 Row St")],
        mode=mode,
        field_policy={"raw_address": "fill_if_empty"},
    )

    assert apollo.store.accounts()[0]["raw_address"] == expected


def test_without_a_ledger_an_address_that_is_empty_is_not_emptied_again(
    apollo: Sandbox, sync: Run
) -> None:
    settings = {"null_policy": "clear", "ledger_url": ""}
    rows = [schema("accounts"), account(raw_address=None)]
    sync(rows, **settings)

    again = sync(rows, **settings)

    assert again.records == {"received": 1, "unchanged": 1}
