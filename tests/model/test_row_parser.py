"""The values, names and lists of a record as a row holds them."""

from __future__ import annotations

import pytest

from target_apollo.model.objects import ACCOUNT
from target_apollo.model.outcomes import Reason
from target_apollo.model.rows import NullPolicy
from tests.helpers.row_parsers import EMAIL, OTHER, OWNER, STAGE, TIER, read, reader, reason_of


def test_values_stand_in_the_row_normalised() -> None:
    row = read({"id": 1, "email": " ADA@Example.com ", "title": " Dr ", "hubspot_id": 12.0})
    assert row.values == {"email": EMAIL, "title": "Dr", "hubspot_id": "12"}
    assert row.match_key == EMAIL


def test_a_record_is_read_alike_after_many_with_other_properties() -> None:
    one = reader()
    record: dict[str, object] = {"id": 1, "email": EMAIL, "title": "Dr", "tier": "A"}
    first = one.read(1, record)
    for number in range(500):
        with_more = one.read(1, {f"more_{number}": "x", **record, "last_name": "Lovelace"})
        assert with_more.values == {**first.values, "last_name": "Lovelace"}
    assert one.read(1, record) == one.read(1, dict(reversed(record.items()))) == first


def test_an_account_is_recognised_by_its_bare_domain() -> None:
    row = read({"id": 1, "domain": "https://www.Example.com/team"}, object_type=ACCOUNT)
    assert row.match_key == row.values["domain"] == "example.com"


def test_a_null_says_nothing_unless_nulls_clear() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "title": None, "tier": None}
    assert read(record).values == {"email": EMAIL}
    assert read(record).custom == {}
    cleared = read(record, null_policy=NullPolicy.CLEAR)
    assert cleared.values == {"email": EMAIL, "title": None}
    assert cleared.custom == {TIER: None}


def test_nothing_but_blanks_is_a_null() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "title": "  "}
    assert "title" not in read(record).values
    assert read(record, null_policy=NullPolicy.CLEAR).values["title"] is None


def test_a_property_that_is_missing_is_never_cleared() -> None:
    row = read({"id": 1, "email": EMAIL}, null_policy=NullPolicy.CLEAR)
    assert set(row.values) == {"email"}


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_what_a_record_is_recognised_by_is_never_cleared(nothing: object) -> None:
    record: dict[str, object] = {"id": 1, "email": nothing, "apollo_id": OTHER, "title": "Dr"}
    row = read(record, null_policy=NullPolicy.CLEAR)
    assert row.values == {"title": "Dr"}
    assert row.match_key is None


def test_a_name_is_written_as_the_id_that_it_stands_for() -> None:
    row = read(
        {"id": 1, "email": EMAIL, "owner_email": "ada@team.example", "contact_stage": "Cold"}
    )
    assert row.values["owner_id"] == OWNER
    assert row.values["contact_stage_id"] == STAGE


def test_an_account_s_domain_links_a_contact_to_it() -> None:
    assert read({"id": 1, "email": EMAIL, "account_domain": "example.com"}).values[
        "account_id"
    ] == (OTHER)


@pytest.mark.parametrize("turned", [False, True])
def test_an_id_goes_before_a_name_beside_it(turned: bool) -> None:
    pairs: list[tuple[str, object]] = [("owner_id", OTHER), ("owner_email", "ada@team.example")]
    record = dict(reversed(pairs) if turned else pairs)
    assert read({"id": 1, "email": EMAIL, **record}).values["owner_id"] == OTHER


def test_a_name_that_is_null_clears_its_field_where_nulls_clear() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "owner_email": None}
    assert "owner_id" not in read(record).values
    assert read(record, null_policy=NullPolicy.CLEAR).values["owner_id"] is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_name_beside_an_id_that_is_null_is_written(turned: bool) -> None:
    pairs: list[tuple[str, object]] = [("owner_id", None), ("owner_email", "ada@team.example")]
    record = dict(reversed(pairs) if turned else pairs)
    row = read({"id": 1, "email": EMAIL, **record}, null_policy=NullPolicy.CLEAR)
    assert row.values["owner_id"] == OWNER


def test_a_name_that_apollo_does_not_know_refuses_the_record() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "contact_stage": "Nowhere"}
    assert reason_of(record) is Reason.UNKNOWN_NAME


def test_a_property_with_a_custom_field_is_written_there() -> None:
    assert read({"id": 1, "email": EMAIL, "tier": " Gold "}).custom == {TIER: "Gold"}


def test_an_account_s_industry_goes_to_the_custom_field_of_that_name() -> None:
    row = read({"id": 1, "domain": "example.com", "industry": "Steel"}, object_type=ACCOUNT)
    assert row.custom == {TIER: "Steel"}
    assert "industry" not in row.values


def test_a_property_without_a_place_is_not_written() -> None:
    row = read({"email": EMAIL, "nowhere": 1}, key=())
    assert set(row.values) == {"email"}
    assert row.custom == {}


@pytest.mark.parametrize(
    ("name", "placed"),
    [("email", True), ("owner_email", True), ("apollo_id", True), ("label_names", True),
     ("tier", True), ("nowhere", False), ("domain", False)],
)  # fmt: skip
def test_a_property_s_place_is_known_before_any_record(name: str, placed: bool) -> None:
    assert reader().place(name) is placed


def test_lists_of_the_settings_and_of_the_record_are_joined() -> None:
    row = read({"id": 1, "email": EMAIL, "label_names": ["B", "A"]}, lists=("A",))
    assert row.lists == ("A", "B")
