"""From a property's JSON schema to the type of a custom field. Pure.

Apollo's API makes fields of six types; a picklist can only be made in Apollo itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STRING, TEXTAREA, NUMBER, BOOLEAN, DATE, DATETIME = (
    "string", "textarea", "number", "boolean", "date", "datetime",
)  # fmt: skip
#: Characters from which a text is a long one; what fits is a line.
_LONG = 255
_SCALARS = {"string", "integer", "number", "boolean"}


def type_of(schema: Mapping[str, Any]) -> str | None:
    """The type of field that holds all values of a property; None for lists, objects and unknowns.

    >>> type_of({"type": ["null", "integer"]}), type_of({"type": "string", "maxLength": 4000})
    ('number', 'textarea')
    >>> type_of({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]})
    'datetime'
    """
    forms = list(_forms(schema))
    kinds = {kind for form in forms for kind in _kinds(form)} - {"null"}
    if not kinds or not kinds <= _SCALARS:
        return None
    if kinds <= {"integer", "number"}:
        return NUMBER
    if kinds == {"boolean"}:
        return BOOLEAN
    return _text_type(forms) if kinds == {"string"} else STRING


def wider(one: str, other: str) -> str:
    """The type that holds the values of both."""
    if one == other:
        return one
    if TEXTAREA in (one, other):
        return TEXTAREA
    return DATETIME if {one, other} == {DATE, DATETIME} else STRING


def _text_type(forms: list[Mapping[str, Any]]) -> str:
    formats = {form["format"] for form in forms if form.get("format")}
    for name, kind in (("date-time", DATETIME), ("date", DATE), ("singer.decimal", NUMBER)):
        # Taps write dates as "date-time or any text", since some dates break the format.
        if formats == {name}:
            return kind
    lengths = [form["maxLength"] for form in forms if isinstance(form.get("maxLength"), int)]
    return TEXTAREA if lengths and max(lengths) > _LONG else STRING


def _forms(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema itself, or the forms it gives a choice of."""
    choices = [
        one
        for word in ("anyOf", "oneOf")
        for one in schema.get(word) or ()
        if isinstance(one, Mapping)
    ]
    if not choices:
        yield schema
    for choice in choices:
        yield from _forms(choice)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type")
    return [kinds] if isinstance(kinds, str) else list(kinds or ())
