"""Placeholders of sources cost no row: they are nothing where no value looks like them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.options import OptionsShown
from tests.promises.conftest import TargetRun, contact, record, schema

Run = Callable[..., TargetRun]


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_a_row_of_placeholders_is_written_without_them(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    loose = {"properties": {}}
    row = contact(1, first_name="Na", last_name="Null", title="\\N", phone_number="N/A",
                  mobile_phone="-", linkedin_url="none", owner_email="NULL", label_names="n/a",
                  contact_emails="{}", apollo_id="nil")  # fmt: skip

    done = sync([schema("contacts", loose), row], mode=mode)

    assert done.records == {"received": 1, "created": 1}, done.log
    (made,) = apollo.store.contacts()
    assert (made["first_name"], made["last_name"], made["title"]) == ("Na", "Null", None)
    assert made["phone_numbers"] == []
    assert not made["linkedin_url"]


def test_lists_that_come_as_text_are_lists(apollo: Sandbox, sync: Run) -> None:
    names = ['{A,"B, C"}', '["A", "D"]', "['A']"]
    rows = [contact(number, label_names=text) for number, text in enumerate(names)]

    done = sync([schema("contacts", {"properties": {}}), *rows])

    assert done.records == {"received": 3, "created": 3}, done.log
    assert {label["name"] for label in apollo.store.labels()} == {"A", "B, C", "D"}


def test_placeholders_empty_a_field_under_the_policy_clear(apollo: Sandbox, sync: Run) -> None:
    opened = schema("contacts", {"properties": {}})
    sync([opened, contact(1, title="CEO", mobile_phone="+49301234567")])

    done = sync([opened, contact(1, title="\\N", mobile_phone="#N/A")], null_policy="clear")

    assert done.records == {"received": 1, "updated": 1}, done.log
    (held,) = apollo.store.contacts()
    assert (held["title"], held["phone_numbers"]) == (None, [])


def test_an_account_without_a_domain_is_told_as_such(apollo: Sandbox, sync: Run) -> None:
    rows = [record("accounts", id=1, name="Acme", domain="n/a")]

    done = sync([schema("accounts"), *rows], max_rejected_percent=100)

    assert done.reasons == ["missing_domain"]
    assert not list(apollo.store.accounts())


@pytest.mark.parametrize("shown", list(OptionsShown))
def test_several_options_are_written_once_however_apollo_shows_them(
    apollo: Sandbox, sync: Run, shown: OptionsShown
) -> None:
    apollo.set_options(options_shown=shown)
    field = apollo.store.add_custom_field("contact", "Tags", "multipicklist", ["A", "B", "C"])
    ids = {option["name"]: option["id"] for option in field["picklist_values"]}
    opened = schema("contacts", {"properties": {}})
    sync([opened, contact(1, tags="{B,A}"), contact(2)], ledger_url="")

    again = sync([opened, contact(1, tags=["A", "B"]), contact(2, tags="C;A")], ledger_url="")
    third = sync([opened, contact(1, tags="A; B"), contact(2, tags='["C","A"]')], ledger_url="")

    assert again.records == {"received": 2, "updated": 1, "unchanged": 1}, again.log
    assert third.records == {"received": 2, "unchanged": 2}, third.log
    values = {
        one["email"]: one["typed_custom_fields"][field["id"]] for one in apollo.store.contacts()
    }
    as_sets = {
        email: set(v if isinstance(v, list) else v.split(",")) for email, v in values.items()
    }
    assert as_sets == {"p1@a.com": {ids["A"], ids["B"]}, "p2@a.com": {ids["A"], ids["C"]}}
