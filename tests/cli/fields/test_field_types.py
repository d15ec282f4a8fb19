from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.cli.fields.missing import type_of, wider

POSTABLE = {"string", "textarea", "number", "date", "datetime", "boolean"}


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"], "maxLength": 255}, "string"),
        ({"type": ["string", "null"], "maxLength": 256}, "textarea"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "string", "format": "time"}, "string"),
        ({"type": "string", "format": "singer.decimal"}, "number"),
        ({"type": "string", "enum": ["a", "b"]}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": ["null", "number", "integer"], "multipleOf": 0.01}, "number"),
        ({"type": ["boolean", "null"]}, "boolean"),
        ({"type": ["boolean", "string"]}, "string"),
        ({"type": ["integer", "string"]}, "string"),
        ({"type": ["array", "null"], "items": {"type": "string"}}, None),
        ({"type": "object"}, None),
        ({"type": ["string", "object"]}, None),
        ({"type": "null"}, None),
        ({}, None),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "datetime"),
        ({"oneOf": [{"type": "integer"}, {"type": "string", "format": "date"}]}, "string"),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "string",
                                                           "format": "date-time"}]}, "string"),
    ],
)  # fmt: skip
def test_a_property_s_schema_tells_the_type_of_its_field(
    schema: dict[str, Any], kind: str | None
) -> None:
    assert type_of(schema) == kind


kinds = st.sampled_from(sorted(POSTABLE))
words = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object", "x"])
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": words | st.lists(words, max_size=3),
            "format": st.sampled_from(["date", "date-time", "email", ""]),
            "maxLength": st.integers(0, 10_000) | st.none(),
        },
    ),
    lambda inner: st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=3)}),
    max_leaves=5,
)


@given(schemas)
def test_whatever_the_schema_the_type_is_one_that_can_be_made(schema: dict[str, Any]) -> None:
    assert type_of(schema) in POSTABLE | {None}


@given(kinds, kinds)
def test_a_type_for_two_streams_does_not_depend_on_their_order(one: str, other: str) -> None:
    assert wider(one, other) == wider(other, one)
    assert wider(one, one) == one
    assert wider(one, other) in POSTABLE
