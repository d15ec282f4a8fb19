from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.cli.fields.catalog import StreamSchema
from target_apollo.cli.fields.missing import Missing, find_missing, label_of
from target_apollo.model.objects.registry import OBJECTS, ObjectKind, RecordType
from target_apollo.model.texts.spelling import folded

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
CONTACTS, ACCOUNTS = ObjectKind.CONTACTS, ObjectKind.ACCOUNTS


def missing(
    *streams: tuple[str, ObjectKind, dict[str, Any]],
    exists: Callable[[RecordType, str], bool] = lambda object_type, name: False,
    labels: dict[str, str] | None = None,
    key: str = "id",
) -> Missing:
    return find_missing(
        [(StreamSchema(name, has, frozenset({key})), OBJECTS[kind]) for name, kind, has in streams],
        exists,
        labels or {},
        passive=["updated_at"],
    )


def shown(found: Missing) -> set[tuple[str, str, str]]:
    return {(one.object.singular, one.label, one.kind) for one in found.proposals}


def test_a_property_that_fits_nowhere_is_proposed() -> None:
    found = missing(("contacts", CONTACTS, {"lead_score": NUMBER, "email": TEXT}))
    assert shown(found) == {("contact", "Lead score", "number")}
    assert found.proposals[0].properties == ("contacts.lead_score",)


def test_what_has_a_place_or_needs_none_is_not_proposed() -> None:
    has = dict.fromkeys(
        ("id", "updated_at", "apollo_id", "label_names", "owner_email", "owner_id", "contact_stage",
         "account_domain", "mobile_phone", "website_url", "_sdc_deleted_at", "_reject"),
        TEXT,
    )  # fmt: skip
    assert missing(("contacts", CONTACTS, has)) == Missing((), {})


def test_an_account_s_industry_needs_a_custom_field() -> None:
    found = missing(("accounts", ACCOUNTS, {"industry": TEXT, "domain": TEXT}))
    assert shown(found) == {("account", "Industry", "string")}


def test_a_field_that_is_there_is_not_proposed() -> None:
    found = missing(
        ("contacts", CONTACTS, {"tier": TEXT}),
        ("accounts", ACCOUNTS, {"tier": TEXT}),
        exists=lambda object_type, name: (object_type.kind, name) == (CONTACTS, "tier"),
    )
    assert shown(found) == {("account", "Tier", "string")}


def test_the_label_is_the_one_that_the_settings_give() -> None:
    found = missing(("contacts", CONTACTS, {"lead_score": TEXT}), labels={"lead_score": "Rating"})
    assert shown(found) == {("contact", "Rating", "string")}


def test_two_streams_share_one_field_that_holds_the_values_of_both() -> None:
    found = missing(
        ("a-contacts", CONTACTS, {"lead_score": NUMBER}),
        ("b-contacts", CONTACTS, {"Lead-Score": TEXT}),
    )
    assert shown(found) == {("contact", "Lead score", "string")}
    assert found.proposals[0].properties == ("a-contacts.lead_score", "b-contacts.Lead-Score")


def test_a_list_is_left_out_with_its_reason() -> None:
    found = missing(("contacts", CONTACTS, {"tags": {"type": "array"}, "__": TEXT}))
    assert found.proposals == ()
    assert set(found.left_out) == {"contacts.tags", "contacts.__"}


@given(st.text(min_size=1))
def test_a_property_finds_the_field_that_was_made_for_it(name: str) -> None:
    assert folded(label_of(name)) == folded(name)
