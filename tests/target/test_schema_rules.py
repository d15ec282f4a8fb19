"""What is usable of a schema: all of it where it compiles, and else all that can be compiled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.helpers._flattening import flatten_schema

from target_apollo.target.mapped_schemas import flattenable
from target_apollo.target.schema_rules import compiled, usable_schema

quick = settings(deadline=None, max_examples=60)


def usable(rule: Any) -> tuple[Any, list[str]]:
    found = usable_schema({"properties": {"x": rule}})
    return found.schema["properties"]["x"], [str(one) for one in found.left_out]


def test_a_schema_that_compiles_stays_as_it_is() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"x": {"type": "number", "multipleOf": 1e-9, "description": "A price."}},
        "required": ["x"],
        "definitions": {"y": {"$ref": "#/definitions/nowhere"}},
    }
    assert usable_schema(schema).schema == schema


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"exclusiveMaximum": True, "maximum": 5}, {"exclusiveMaximum": 5}),
        ({"exclusiveMinimum": False, "minimum": 5}, {"minimum": 5}),
        ({"items": [{"type": "string"}], "title": None}, {"prefixItems": [{"type": "string"}]}),
        ({"divisibleBy": 2, "title": None}, {"multipleOf": 2}),
        ({"type": ["string", "string", None]}, {"type": ["string", "null"]}),
        ({"type": "any"}, {}),
        (True, {}),
        (None, {}),
        (False, {"not": {}}),
    ],
)
def test_rules_of_older_drafts_keep_their_meaning(old: Any, new: Any) -> None:
    assert usable(old) == (new, [])


@pytest.mark.parametrize(
    ("rule", "left", "left_out"),
    [
        ({"type": "string", "pattern": "("}, {"type": "string"}, ["'pattern' of x"]),
        ({"properties": {"y": {"enum": []}}}, {"properties": {"y": {}}}, ["'enum' of x.y"]),
        ({"$ref": "other.json", "minLength": 1}, {"minLength": 1}, ["'$ref' of x"]),
        ({"not": {"pattern": "("}}, {}, ["'pattern' of x", "'not' of x"]),
        ("string", {}, ["'schema' of x"]),
    ],
)  # fmt: skip
def test_a_rule_that_can_t_be_compiled_is_left_out_alone(
    rule: Any, left: Any, left_out: list[str]
) -> None:
    assert usable(rule) == (left, left_out)


def test_what_is_left_out_of_patterns_makes_no_rule_stricter() -> None:
    schema = {
        "properties": {"x": {}},
        "patternProperties": {"(": {}, "^y": {"type": "string"}},
        "additionalProperties": False,
    }
    validator = compiled(usable_schema(schema).schema)
    assert validator.is_valid({"x": 1, "z": 1})
    assert not validator.is_valid({"y1": 1})


def test_a_reference_by_the_schema_s_own_address_is_followed() -> None:
    schema = {
        "$id": "http://a.example/schema#",
        "$schema": "no address",
        "properties": {"x": {"$ref": "http://a.example/schema#/definitions/number"}},
        "definitions": {"number": {"type": "number"}},
    }
    validator = compiled(usable_schema(schema).schema)
    assert validator.is_valid({"x": 1})
    assert not validator.is_valid({"x": "1"})


def test_definitions_that_name_each_other_are_flattened_in_no_time() -> None:
    def either(number: int) -> dict[str, Any]:
        others = [{"$ref": f"#/definitions/d{one}"} for one in range(40) if one != number]
        return {"properties": {"a": others[0], "b": {"anyOf": others}}}

    schema = {
        "properties": {"x": {"$ref": "#/definitions/d0"}},
        "definitions": {f"d{number}": either(number) for number in range(40)},
    }
    flat = flatten_schema(flattenable(usable_schema(schema).schema, 3), max_level=3)
    assert all("type" in one for one in flat["properties"].values())


odd_values = st.sampled_from(
    [None, True, False, 0, -1, 1.5, "", "(", "x", "#", "#/properties/x", "#/definitions/d", [], {},
     "http://127.0.0.1:9/s", ["x"], [None], "string", ["string", "null"], [{"type": "string"}]]
)  # fmt: skip
members = st.sampled_from(
    ["type", "enum", "const", "pattern", "format", "minimum", "maximum", "exclusiveMaximum",
     "exclusiveMinimum", "multipleOf", "divisibleBy", "maxLength", "minLength", "items",
     "additionalItems", "prefixItems", "contains", "properties", "patternProperties", "required",
     "additionalProperties", "anyOf", "allOf", "oneOf", "not", "if", "then", "$ref", "$id", "id",
     "$schema", "definitions", "$defs", "description", "dependencies", "dependentRequired",
     "propertyNames", "unevaluatedProperties", "$dynamicRef", "uniqueItems"]
)  # fmt: skip
odd_schemas = st.recursive(
    odd_values,
    lambda inner: (
        st.dictionaries(members, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "d", "("]), inner, max_size=2)
        | st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)


@quick
@given(st.dictionaries(members, odd_schemas, max_size=4), odd_schemas, odd_schemas)
def test_whatever_a_tap_writes_there_is_a_schema_that_compiles(
    more: dict[str, Any], rule: Any, definition: Any
) -> None:
    schema = {**more, "properties": {"x": rule}, "definitions": {"d": definition}}
    found = usable_schema(schema).schema
    assert set(found["properties"]) == {"x"}
    compiled(found).is_valid({"x": "1"})
    flat = flatten_schema(flattenable(found, 2), max_level=2)
    assert all("type" in one for one in flat["properties"].values())


typed = st.sampled_from(["string", "integer", "boolean", "null"])
plain_rules = st.fixed_dictionaries(
    {"type": typed | st.lists(typed, min_size=1, unique=True)},
    optional={
        "maxLength": st.integers(0, 3),
        "minimum": st.integers(0, 3),
        "enum": st.lists(st.integers(0, 3) | st.text(max_size=2), min_size=1),
    },
)
#: Members that no reader of JSON schema can use, and that say nothing of a value.
noise = st.fixed_dictionaries(
    {},
    optional={
        "description": st.none(),
        "pattern": st.just("("),
        "$ref": st.just("http://127.0.0.1:9/s"),
        "anyOf": st.just([]),
        "multipleOf": st.just(0),
        "required": st.just(True),
        "$id": st.just("#x"),
    },
)
cells = st.none() | st.booleans() | st.integers(-1, 5) | st.text(max_size=5)


@quick
@given(plain_rules, noise, cells)
def test_the_rules_that_can_be_used_hold_as_if_the_others_were_not_there(
    rule: dict[str, Any], odd: dict[str, Any], cell: Any
) -> None:
    found = usable_schema({"properties": {"x": {**rule, **odd}}}).schema
    reference = compiled({"properties": {"x": rule}})
    assert compiled(found).is_valid({"x": cell}) == reference.is_valid({"x": cell})
