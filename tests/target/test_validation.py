from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import InvalidRecord

from target_apollo.target.schema_rules import compiled, refusal_of
from target_apollo.target.stdin import SingerInput

quick = settings(deadline=None, max_examples=30)

SECRET = "s3cr3t-that-must-not-be-seen"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": ["string", "null"], "maxLength": 60},
        "score": {"type": "number", "minimum": 0, "maximum": 100},
        "stage": {"enum": ["hot", "cold"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["id"],
}


def validate(record: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> None:
    """Validates a record as a sink does."""
    try:
        compiled(schema).validate(record)
    except ValueError as fault:
        raise refusal_of(fault, schema) from None


def problem(record: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> str:
    with pytest.raises(InvalidRecord) as refused:
        validate(record, schema)
    return str(refused.value)


def test_a_record_that_fits_its_schema_passes() -> None:
    validate({"id": 1, "email": None, "tags": ["a"], "x": 1})


@pytest.mark.parametrize(
    ("record", "where", "rule"),
    [
        ({"id": "1"}, "'id'", "type"),
        ({"id": 1, "email": 5}, "'email'", "type"),
        ({"id": 1, "email": "x" * 61}, "'email'", "maxLength"),
        ({"id": 1, "score": 101}, "'score'", "maximum"),
        ({"id": 1, "stage": "warm"}, "'stage'", "enum"),
        ({"id": 1, "tags": ["a", 5]}, "'tags.1'", "type"),
        ({}, "the record", "required"),
    ],
)
def test_a_refusal_names_the_property_and_the_rule(
    record: dict[str, Any], where: str, rule: str
) -> None:
    assert f"{where} breaks the rule '{rule}' of the stream's schema" in problem(record)


@pytest.mark.parametrize(
    "record",
    [
        {"id": SECRET},
        {"id": 1, "email": [SECRET]},
        {"id": 1, "email": SECRET * 9},
        {"id": 1, "stage": SECRET},
        {"id": 1, "tags": [SECRET, {"x": SECRET}]},
        {"email": SECRET},
    ],
)
def test_a_refusal_never_shows_a_value(record: dict[str, Any]) -> None:
    assert SECRET not in problem(record)


def test_a_refusal_does_not_carry_the_record() -> None:
    with pytest.raises(InvalidRecord) as refused:
        validate({"id": SECRET})
    assert SECRET not in repr(vars(refused.value))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
    | st.text(max_size=5)
    | st.sampled_from(["hot", "cold"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)


@quick
@given(st.dictionaries(st.sampled_from(list(SCHEMA["properties"])), values))
def test_the_compiled_validator_agrees_with_the_reference(record: dict[str, Any]) -> None:
    try:
        validate(record)
    except InvalidRecord:
        passed = False
    else:
        passed = True
    plain = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in record.items()
    }
    assert passed == jsonschema.Draft202012Validator(SCHEMA).is_valid(plain)


hostile = st.recursive(
    st.floats() | st.decimals() | st.text(st.characters(exclude_categories=()), max_size=4)
    | st.integers(10**18, 10**40)
    | st.sampled_from([Decimal("1E+999999"), Decimal("1E-999999"), "\ud800", b"bytes", object()]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=2), inner),
    max_leaves=3,
)  # fmt: skip


@quick
@given(hostile)
def test_whatever_a_record_holds_it_passes_or_is_refused(value: object) -> None:
    schema = {"type": "object", "properties": {"x": {"type": ["string", "integer", "array"]}}}
    with suppress(InvalidRecord):
        validate({"x": value}, schema)


def test_a_deep_record_passes_or_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    with suppress(InvalidRecord):
        validate(deep, {"type": "object"})


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30", "2026-01-15T25:00"])
def test_a_date_that_is_none_is_no_reason_to_refuse_a_record(value: str) -> None:
    validate({"id": 1, "at": value})


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ('"multipleOf":0.01', Decimal("12.34"), Decimal("12.345")),
        ('"multipleOf":1e-38', Decimal("12.34"), "12"),
        ('"minimum":0.5', Decimal("0.5"), Decimal("0.4")),
        ('"maximum":1e400', Decimal("12.34"), True),
    ],
)
def test_the_numbers_of_a_schema_are_as_exact_as_those_of_a_record(
    rule: str, good: Decimal, bad: object
) -> None:
    schema = f'{{"properties":{{"x":{{"type":"number",{rule}}}}}}}'
    line = f'{{"type":"SCHEMA","stream":"contacts","key_properties":[],"schema":{schema}}}'
    read = SingerInput().deserialize_json(line.encode())["schema"]
    validate({"x": good}, read)
    problem({"x": bad}, read)
