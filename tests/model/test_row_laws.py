"""What holds of any record that is read as a row."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_apollo.model.objects import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import RecordError, Rejection
from target_apollo.model.row_parser import RowReader
from target_apollo.model.rows import NullPolicy, Row
from target_apollo.sync.plan import collapse
from tests.helpers.row_parsers import (
    EMAIL,
    PROPERTIES,
    TIER,
    hostile,
    hostile_records,
    read,
    reader,
    readers,
)

quick = settings(deadline=None, max_examples=25)


@quick
@given(readers, hostile_records)
@example(reader(), {"id": [1], "email": EMAIL})
@example(reader(), {"id": {"a": 1}, "email": EMAIL})
def test_any_record_becomes_a_row_that_can_be_planned_or_is_refused(
    reading: RowReader, record: dict[str, object]
) -> None:
    try:
        row = reading.read(7, record)
    except RecordError as problem:
        assert problem.rejection.detail  # noqa: PT017
        return
    assert collapse([row]) == [row]
    assert row.numbers == (7,)


@quick
@given(readers, hostile_records)
def test_a_row_holds_text_under_the_fields_of_its_object(
    reading: RowReader, record: dict[str, object]
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
    reading: RowReader, record: dict[str, object], chance: Any
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
    """The reader takes clean text without a call of `normalising.text`; nothing else differs."""
    record = {"id": 1, object_type.match_field: "ada@example.com", **record}
    quick_reader = reader(object_type, null_policy=null_policy)
    slow_reader = reader(object_type, null_policy=null_policy)
    for name in record:
        assert quick_reader.place(name) is slow_reader.place(name)
    slow_reader._texts.clear()
    assert _read_or_refused(quick_reader, record) == _read_or_refused(slow_reader, record)


def _read_or_refused(reading: RowReader, record: dict[str, object]) -> Row | Rejection:
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
