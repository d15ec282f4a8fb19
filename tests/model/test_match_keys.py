"""Keys of rows and records: one spelling for what is the same."""

from __future__ import annotations

import pytest

from target_apollo.model.match_keys import (
    address_of,
    addresses,
    called,
    every_key,
    is_matched_on_creation,
    keys,
    keys_of_record,
    keys_of_row,
    kind_of,
    linkedin_path,
    match_on_of,
    match_on_problems,
)
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json, ObjectType
from target_apollo.model.outcomes import Reason
from target_apollo.model.rows import Row, Values
from tests.helpers.row_parsers import TIER, read, reader, reason_of

ANN: Values = {
    "email": "ann@a.com",
    "linkedin_url": "https://www.linkedin.com/in/Ann/",
    "hubspot_id": "123",
    "first_name": " Ann ",
    "last_name": "LEE",
    "organization_name": "Acme  Inc",
}
ALL = ("email", "linkedin_url", "hubspot_id", "name", f"custom:{TIER}")
SPELLED = (
    "ann@a.com",
    "linkedin_url:linkedin.com/in/ann",
    "hubspot_id:123",
    "name:ann lee|acme inc",
    f"custom:{TIER}:K-1",
)


def row(*found: str, values: Values | None = None) -> Row:
    return Row(1, (1,), found[0] if found else None, values or {}, more_keys=found[1:])


# --- rows


def test_a_row_has_its_keys_in_the_order_of_the_setting() -> None:
    assert keys_of_row(ALL, ANN, {TIER: "K-1"}) == SPELLED
    assert keys_of_row(ALL[::-1], ANN, {TIER: "K-1"}) == SPELLED[::-1]


def test_addresses_are_spelled_bare_as_the_ledgers_of_earlier_versions_know_them() -> None:
    assert keys_of_row(["email"], ANN, {}) == ("ann@a.com",)
    assert keys_of_row(["domain"], {"domain": "a.com"}, {}) == ("a.com",)


@pytest.mark.parametrize("missing", ["first_name", "last_name", "organization_name"])
def test_a_contact_s_name_without_its_company_is_no_key(missing: str) -> None:
    assert keys_of_row(["name"], {**ANN, missing: None}, {}) == ()


def test_an_account_s_name_is_a_key_by_itself() -> None:
    assert keys_of_row(["name"], {"name": "Acme  Works"}, {}) == ("name:acme works",)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.linkedin.com/in/ann-lee",
        "linkedin.com/in/Ann-Lee/",
        "https://de.linkedin.com/in/ann-lee?trk=x",
        "https://mobile.linkedin.com/in/ann%2Dlee#about",
    ],
)
def test_a_profile_has_one_spelling(url: str) -> None:
    assert linkedin_path(url) == "linkedin.com/in/ann-lee"


def test_every_key_counts_whatever_the_setting_says() -> None:
    whole = Row(1, (1,), "ann@a.com", ANN, {TIER: "K-1"})
    assert every_key(whole) == set(SPELLED)


def test_the_address_of_a_row_is_known_without_being_a_key() -> None:
    assert address_of(CONTACT, row("hubspot_id:1", values={"email": "ann@a.com"})) == "ann@a.com"
    assert address_of(CONTACT, row("ann@a.com")) == "ann@a.com"
    assert address_of(CONTACT, row("hubspot_id:1")) is None


# --- records


def test_a_record_has_the_keys_of_the_row_that_it_was_made_of() -> None:
    record: Json = {
        "email": "Ann@A.com",
        "contact_emails": [{"email": "other@a.com"}],
        "linkedin_url": "http://www.linkedin.com/in/ann",
        "hubspot_vid": 123,
        "first_name": "Ann",
        "last_name": "Lee",
        "organization_name": "ACME Inc",
        "typed_custom_fields": {TIER: "K-1"},
    }
    assert set(keys_of_record(CONTACT, record)) == {*SPELLED, "other@a.com"}
    assert addresses(CONTACT, record) == ["ann@a.com", "other@a.com"]


@pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT], ids=lambda one: one.kind.value)
def test_a_record_that_shows_nothing_has_no_key(object_type: ObjectType) -> None:
    assert keys_of_record(object_type, {"id": "a" * 24, "typed_custom_fields": None}) == []


def test_a_sentence_calls_a_key_by_its_kind_and_never_by_its_value() -> None:
    said = [called(CONTACT, key) for key in SPELLED]
    assert said == [
        "e-mail address", "linkedin_url", "hubspot_id", "name and company", "custom field"
    ]  # fmt: skip
    assert called(ACCOUNT, "a.com") == "domain"
    assert [kind_of(CONTACT, key) for key in SPELLED] == list(ALL)


@pytest.mark.parametrize(
    ("found", "values", "is_matched"),
    [
        (["ann@a.com"], {}, True),
        (["linkedin_url:linkedin.com/in/ann"], {}, False),
        (["linkedin_url:linkedin.com/in/ann"], {"email": "ann@a.com"}, True),
        (["linkedin_url:linkedin.com/in/ann"], ANN, True),
        (["hubspot_id:1"], {"hubspot_id": "1"}, True),
    ],
)
def test_it_is_known_which_rows_bulk_create_would_make_twice(
    found: list[str], values: Values, is_matched: bool
) -> None:
    assert is_matched_on_creation(CONTACT, row(*found, values=values)) is is_matched


# --- the setting


def test_a_setting_for_all_streams_leaves_out_what_is_no_key_of_an_object() -> None:
    common = ["email", "domain", "name"]
    assert match_on_of(CONTACT, None, common) == ("email", "name")
    assert match_on_of(ACCOUNT, None, common) == ("domain", "name")
    assert match_on_of(ACCOUNT, None, ["email"]) == ("domain",)
    assert match_on_of(CONTACT, ["hubspot_id"], common) == ("hubspot_id",)


@pytest.mark.parametrize("name", ["mail", "custom:", "custom: ", "outreach_id", ""])
def test_what_is_no_key_is_named(name: str) -> None:
    (problem,) = match_on_problems("match_on", ["email", name])
    assert problem.startswith(f"The setting 'match_on' has an entry '{name}', which is no key: ")


def test_a_key_of_the_other_object_is_none_of_this_one() -> None:
    (problem,) = match_on_problems("streams.a.match_on", ["domain"], CONTACT)
    assert "which is no key of contacts" in problem


# --- rows of records


def test_a_row_of_a_record_has_its_first_key_and_the_others() -> None:
    found = read({"id": 1, **ANN, "tier": "K-1"}, match_on=ALL)
    assert keys(found) == SPELLED


def test_a_record_without_any_key_is_rejected_with_their_names() -> None:
    assert reason_of({"id": 1, "email": "a@b.com"}, match_on=("name", "hubspot_id")) is (
        Reason.MISSING_MATCH_KEY
    )
    assert reason_of({"id": 1}) is Reason.MISSING_EMAIL


def test_a_deleted_row_keeps_the_keys_by_which_its_record_is_known() -> None:
    found = reader(match_on=ALL).read_deleted(1, {"id": 1, **ANN, "tier": "K-1"}, {}, ())
    assert keys(found) == SPELLED
