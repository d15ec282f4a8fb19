"""Reading a record as a row: its fields, its identity, and laws that hold for every row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.ledger import source_key
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Reason, RecordError, Rejection
from target_apollo.model.row_parser import RowParser
from target_apollo.model.rows import Mode, NullPolicy, Row
from target_apollo.sync.records.duplicates import collapse
from tests.helpers.row_parsers import (
    EMAIL,
    OTHER,
    PROPERTIES,
    TIER,
    hostile,
    hostile_records,
    read,
    reader,
    readers,
    reason_of,
)


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


def test_a_name_stays_a_name_until_its_id_is_asked_for() -> None:
    row = read(
        {"id": 1, "email": EMAIL, "owner_email": " ada@team.example", "contact_stage": "Cold"}
    )
    assert row.values == {"email": EMAIL}
    assert row.names == {
        "owner_id": ("owner_email", "ada@team.example"),
        "contact_stage_id": ("contact_stage", "Cold"),
    }


def test_an_account_s_domain_names_the_account_of_a_contact() -> None:
    row = read({"id": 1, "email": EMAIL, "account_domain": "example.com"})
    assert row.names == {"account_id": ("account_domain", "example.com")}


@pytest.mark.parametrize("turned", [False, True])
def test_an_id_goes_before_a_name_beside_it(turned: bool) -> None:
    pairs: list[tuple[str, object]] = [("owner_id", OTHER), ("owner_email", "ada@team.example")]
    record = dict(reversed(pairs) if turned else pairs)
    row = read({"id": 1, "email": EMAIL, **record})
    assert (row.values["owner_id"], row.names) == (OTHER, {})


def test_a_name_that_is_null_clears_its_field_where_nulls_clear() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "contact_stage": None}
    assert "contact_stage_id" not in read(record).values
    assert read(record, null_policy=NullPolicy.CLEAR).values["contact_stage_id"] is None


@pytest.mark.parametrize("name", ["owner_email", "owner_id"])
def test_an_owner_that_is_null_stays_where_nulls_clear(name: str) -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, name: None}
    assert "owner_id" not in read(record, null_policy=NullPolicy.CLEAR).values


@pytest.mark.parametrize("turned", [False, True])
def test_a_name_beside_an_id_that_is_null_is_written(turned: bool) -> None:
    pairs: list[tuple[str, object]] = [("owner_id", None), ("owner_email", "ada@team.example")]
    record = dict(reversed(pairs) if turned else pairs)
    row = read({"id": 1, "email": EMAIL, **record}, null_policy=NullPolicy.CLEAR)
    assert row.names == {"owner_id": ("owner_email", "ada@team.example")}
    assert "owner_id" not in row.values


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
    assert reader().is_mapped(name) is placed


def test_lists_of_the_settings_and_of_the_record_are_joined() -> None:
    row = read({"id": 1, "email": EMAIL, "label_names": ["B", "A"]}, lists=("A",))
    assert row.lists == ("A", "B")


# --- what a row is recognised by


# --- identity


@pytest.mark.parametrize("mode", [Mode.INSERT, Mode.UPSERT])
@pytest.mark.parametrize(
    ("object_type", "reason"), [(CONTACT, Reason.MISSING_EMAIL), (ACCOUNT, Reason.MISSING_DOMAIN)]
)
def test_a_new_record_needs_what_it_is_recognised_by(
    mode: Mode, object_type: ObjectType, reason: Reason
) -> None:
    assert reason_of({"id": 1}, mode=mode, object_type=object_type) is reason


def test_an_upsert_by_apollo_id_needs_no_e_mail() -> None:
    assert read({"id": 1, "apollo_id": OTHER}).apollo_id == OTHER


def test_an_insert_needs_the_e_mail_even_with_an_apollo_id() -> None:
    record: dict[str, object] = {"id": 1, "apollo_id": OTHER}
    assert reason_of(record, mode=Mode.INSERT) is Reason.MISSING_EMAIL


def test_an_insert_has_no_use_for_an_apollo_id() -> None:
    assert read({"id": 1, "email": EMAIL, "apollo_id": OTHER}, mode=Mode.INSERT).apollo_id is None


def test_an_update_goes_to_the_record_s_apollo_id() -> None:
    assert read({"id": 1, "apollo_id": OTHER.upper()}, mode=Mode.UPDATE).apollo_id == OTHER


def test_an_update_without_an_apollo_id_is_left_to_the_ledger() -> None:
    assert read({"id": 1, "title": "Dr"}, mode=Mode.UPDATE).apollo_id is None


def test_an_update_goes_by_the_single_key_where_the_stream_has_no_apollo_id() -> None:
    row = read({"id": OTHER.upper()}, mode=Mode.UPDATE, properties=frozenset({"id"}))
    assert row.apollo_id == OTHER


def test_an_update_never_takes_the_key_for_a_missing_apollo_id() -> None:
    assert read({"id": OTHER, "apollo_id": None}, mode=Mode.UPDATE).apollo_id is None


def test_a_key_of_two_parts_is_no_apollo_id() -> None:
    own = {"mode": Mode.UPDATE, "key": ("id", "tenant"), "properties": frozenset({"id", "tenant"})}
    assert read({"id": OTHER, "tenant": 1}, **own).apollo_id is None


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_an_object_or_array_is_no_key(value: object) -> None:
    assert reason_of({"id": value, "email": EMAIL}) is Reason.WRONG_TYPE


def test_a_malformed_apollo_id_refuses_the_record() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "apollo_id": "42"}
    assert reason_of(record) is Reason.MALFORMED_ID


# --- the source key


def test_the_key_is_what_the_key_properties_hold() -> None:
    row = read({"id": 4, "title": "eu", "email": EMAIL}, key=("title", "id"))
    assert row.key == ("eu", 4)


def test_a_stream_without_a_key_is_keyed_by_what_apollo_recognises() -> None:
    assert read({"email": EMAIL}, key=()).key == (EMAIL,)
    assert read({"apollo_id": OTHER}, key=()).key == (OTHER,)


@pytest.mark.parametrize(
    "record", [{"id": None}, {}], ids=["a key that is null", "a key that no record has"]
)
def test_records_without_a_key_value_are_never_taken_for_the_same(
    record: dict[str, object],
) -> None:
    emails = ["ada@example.com", "bob@example.com"]
    try:
        rows = [read({**record, "email": email}) for email in emails]
    except RecordError:
        return
    assert [row.match_key for row in collapse(CONTACT, rows)] == emails


@pytest.mark.parametrize("part", [None, "", " \t", "\u200b"])
def test_a_key_with_a_missing_part_is_missing(part: str | None) -> None:
    record: dict[str, object] = {"id": 4, "title": part, "email": EMAIL}
    assert reason_of(record, key=("id", "title")) is Reason.MISSING_KEY_PROPERTY
    with pytest.raises(RecordError, match="no key"):
        reader(key=("id", "title")).read_deleted(1, record, {}, ())


def test_keys_are_equal_exactly_where_the_ledger_spells_them_alike() -> None:
    keys = (1, True, "1", "true", 0, False, 1.0, Decimal("1.00"), 0.1, Decimal("0.1"))
    rows = [read({"id": key, "email": EMAIL}) for key in keys]
    for one in rows:
        for other in rows:
            assert (one.key == other.key) is (source_key(one.key) == source_key(other.key))
    assert [source_key(row.key) for row in rows] == [source_key([key]) for key in keys]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("sNaN")])
def test_no_number_that_is_not_finite_is_a_key(number: object) -> None:
    assert reason_of({"id": number, "email": EMAIL}) is Reason.WRONG_TYPE


def test_a_row_decides_about_the_records_that_it_stands_for() -> None:
    row = with_values(read({"id": 1, "email": EMAIL}), supersedes=(3, 5), number=9)
    assert row.numbers == (3, 5, 9)


# --- what holds of any record


quick = settings(deadline=None, max_examples=25)


@quick
@given(readers, hostile_records)
@example(reader(), {"id": [1], "email": EMAIL})
@example(reader(), {"id": {"a": 1}, "email": EMAIL})
def test_any_record_becomes_a_row_that_can_be_planned_or_is_refused(
    reading: RowParser, record: dict[str, object]
) -> None:
    try:
        row = reading.read(7, record)
    except RecordError as problem:
        assert problem.rejection.detail  # noqa: PT017
        return
    assert collapse(CONTACT, [row]) == [row]
    assert row.numbers == (7,)


@quick
@given(readers, hostile_records)
def test_a_row_holds_text_under_the_fields_of_its_object(
    reading: RowParser, record: dict[str, object]
) -> None:
    try:
        row = reading.read(7, record)
    except RecordError:
        return
    assert set(row.values) <= set(reading.object_type.fields)
    held = [*row.values.values(), *row.custom.values()]
    clears = reading.null_policy is NullPolicy.CLEAR
    assert all((value is None and clears) or (isinstance(value, str) and value) for value in held)


@quick
@given(readers, hostile_records, st.randoms(use_true_random=False))
def test_the_order_of_the_properties_changes_nothing(
    reading: RowParser, record: dict[str, object], chance: Any
) -> None:
    def outcome(of: dict[str, object]) -> object:
        try:
            return reading.read(1, of)
        except RecordError:
            return None

    mixed = list(record.items())
    chance.shuffle(mixed)
    assert outcome(record) == outcome(dict(mixed))


@quick
@given(
    st.sampled_from(["email", "owner_id", "apollo_id", "owner_email", "contact_stage", "title"]),
    st.text(st.characters(categories=["Lo"]), min_size=6) | st.just([["Никто не знает"]]),
)
def test_a_refusal_never_shows_the_value(name: str, value: object) -> None:
    try:
        read({"id": 1, "email": EMAIL, name: value})
    except RecordError as problem:
        assert str(value) not in problem.rejection.detail  # noqa: PT017
        assert name in problem.rejection.detail  # noqa: PT017


# --- the fast path for plain text


@settings(deadline=None, max_examples=200)
@given(
    st.dictionaries(st.sampled_from(PROPERTIES), hostile, max_size=6),
    st.sampled_from(NullPolicy),
    st.sampled_from([CONTACT, ACCOUNT]),
)
def test_plain_text_is_read_as_by_its_normaliser(
    record: dict[str, object], null_policy: NullPolicy, object_type: ObjectType
) -> None:
    """The reader takes usual values without a call of their normaliser; nothing else differs."""
    record = {"id": 1, object_type.match_field: "ada@example.com", **record}
    quick_reader = reader(object_type, null_policy=null_policy)
    slow_reader = reader(object_type, null_policy=null_policy)
    for name in record:
        assert quick_reader.is_mapped(name) is slow_reader.is_mapped(name)
    slow_reader._shapes.clear()
    assert _read_or_refused(quick_reader, record) == _read_or_refused(slow_reader, record)


def _read_or_refused(reading: RowParser, record: dict[str, object]) -> Row | Rejection:
    try:
        return reading.read(1, record)
    except RecordError as refused:
        return refused.rejection


def test_names_of_properties_are_remembered_up_to_a_bound() -> None:
    reading = reader()
    for number in range(3000):
        reading.read(1, {"id": 1, "email": EMAIL, f"nowhere_{number}": 1})
    assert len(reading._setters) < 1500
    assert len(reading._layouts) < 500
    assert reading.read(1, {"id": 1, "email": EMAIL, "tier": "Gold"}).custom == {TIER: "Gold"}


# --- several e-mail addresses


@pytest.mark.parametrize("turned", [False, True])
def test_the_first_address_is_the_row_s_and_the_others_are_additional(turned: bool) -> None:
    pairs: list[tuple[str, object]] = [
        ("email", f"{EMAIL}; b@example.com"),
        ("contact_emails", ["c@example.com", EMAIL]),
    ]
    row = read({"id": 1, **dict(reversed(pairs) if turned else pairs)})
    assert row.match_key == row.values["email"] == EMAIL
    assert row.more_emails == ("b@example.com", "c@example.com")


def test_a_plain_address_has_no_others() -> None:
    assert read({"id": 1, "email": EMAIL}).more_emails == ()


@pytest.mark.parametrize("email", [None, "", "\u200b"])
def test_the_list_of_addresses_stands_in_for_an_empty_address(email: object) -> None:
    row = read({"id": 1, "email": email, "contact_emails": f'["{EMAIL}", "b@example.com"]'})
    assert (row.match_key, row.more_emails) == (EMAIL, ("b@example.com",))


@pytest.mark.parametrize("listed", ["unknown", ["b@"], True, [{"mail": EMAIL}]])
def test_a_list_without_an_address_costs_the_record_only_if_it_has_no_other(listed: object) -> None:
    parser = reader()
    assert parser.read(1, {"id": 1, "email": EMAIL, "contact_emails": listed}).more_emails == ()
    assert parser.emails_left_out == 1
    with pytest.raises(RecordError):
        parser.read(1, {"id": 1, "contact_emails": listed})


def test_malformed_addresses_beside_a_valid_one_are_counted() -> None:
    parser = reader()
    parser.read(1, {"id": 1, "email": f"{EMAIL}; b@", "contact_emails": ["c@", "d@example.com"]})
    assert parser.emails_left_out == 2


def test_an_account_has_no_addresses() -> None:
    row = read({"id": 1, "domain": "a.com", "contact_emails": ["b@a.com"]}, object_type=ACCOUNT)
    assert row.more_emails == ()
    assert not reader(ACCOUNT).is_mapped("contact_emails")


def test_the_row_that_was_deleted_is_known_by_the_first_address_of_its_list() -> None:
    record: dict[str, object] = {"contact_emails": [EMAIL, "b@example.com"]}
    assert reader(key=()).read_deleted(1, record, {}, ()).match_key == EMAIL
