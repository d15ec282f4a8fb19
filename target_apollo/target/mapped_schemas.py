"""The schema of a stream for the SDK's stream maps, and that of the records which they give. Pure.

The SDK makes both at once. Its flattening knows properties of one plain type only: it takes those
with a `$ref`, or without a type, for text, and loses others. Its stream maps guess the type of what
an expression computes. So it gets a schema that it can read, and what it makes of the properties is
checked by the rules of the tap only where a property is the tap's own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from target_apollo.config.stream_maps import OPTIONS
from target_apollo.target.schema_rules import Schema, referred, usable_schema
from target_apollo.target.stream_maps import Definition

_PLAIN = ("boolean", "number", "string", "null")
_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "number",
    str: "string",
    type(None): "null",
    dict: "object",
    list: "array",
}
#: Rules for whole records that still hold for records after a stream map.
_KEPT = ("additionalProperties", "patternProperties", "$schema")


def flattenable(schema: Mapping[str, Any], levels: int) -> Schema:
    """A usable schema in which each property has a type, so that the SDK can flatten it.

    Args:
        levels: Levels of objects that are flattened; deeper ones become text.
    """
    found = copy.deepcopy(dict(schema))
    found["properties"] = {
        name: _typed(of, schema, (), levels) for name, of in schema["properties"].items()
    }
    return found


def _typed(
    schema: Mapping[str, Any], root: Mapping[str, Any], references: tuple[str, ...], levels: int
) -> Schema:
    """A schema of one type or of some; objects with all properties that they may have.

    Args:
        references: Those that have been followed; a circle ends in an object of any properties.
    """
    followed = dict.fromkeys(references)
    parts = list(_parts(schema, root, followed))
    kinds = list(dict.fromkeys(kind for part in parts for kind in _kinds(part)))
    named = [pair for part in parts for pair in part.get("properties", {}).items()]
    if named and (not kinds or "object" in kinds):
        if levels > 0:
            properties: Schema = {}
            for name, of in named:
                if name not in properties:
                    inner = of if isinstance(of, dict) else {}
                    properties[name] = _typed(inner, root, tuple(followed), levels - 1)
            return {"type": ["object", "null"], "properties": properties}
        kinds = kinds or ["object"]
    if not kinds:
        return {**schema, "type": list(_PLAIN)}
    plain = [kind for kind in kinds if kind not in ("array", "object")]
    if len(plain) == len(kinds):
        return {**schema, "type": plain}
    # Arrays and objects become JSON text.
    return {"type": [*plain, *(["string"] if "string" not in plain else []), *_null(plain)]}


def _null(kinds: list[str]) -> list[str]:
    return [] if "null" in kinds else ["null"]


def _parts(
    schema: Mapping[str, Any], root: Mapping[str, Any], followed: dict[str, None]
) -> Iterator[Mapping[str, Any]]:
    """A schema, those that it refers to and those that it is composed of, each reference once."""
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in followed:
        followed[reference] = None
        target = referred(root, reference)
        if isinstance(target, dict):
            yield from _parts(target, root, followed)
    for member in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(member, ()):
            if isinstance(one, dict):
                yield from _parts(one, root, followed)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("type")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list):
        return given
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return [_TYPES.get(type(value), "number") for value in values]


def schema_after(
    transformed: Mapping[str, Any], schema: Mapping[str, Any], definition: Definition
) -> Schema:
    """The schema of the records that a stream map gives; it can be compiled.

    Args:
        transformed: What the SDK makes of `schema`.
        schema: The usable schema of the stream, before the stream map.
    """
    properties = {
        name: _rule(name, of, schema["properties"], definition)
        for name, of in transformed.get("properties", {}).items()
    }
    found: Schema = {name: transformed[name] for name in _KEPT if name in transformed}
    found |= {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    required = transformed.get("required", schema.get("required"))
    if isinstance(required, list):
        found["required"] = [name for name in required if name in properties]
    return usable_schema({**found, "properties": properties}).schema


def _rule(
    name: str, by_sdk: Schema, before: Mapping[str, Any], definition: Definition
) -> Mapping[str, Any]:
    """The rule for one property: the SDK's or the tap's; none for what an expression computes."""
    given = (definition.members or {}).get(name)
    if given is None or name in OPTIONS:
        return by_sdk
    if given == name and name in before:
        return {"anyOf": [before[name], {"type": "null"}]}
    return {}
