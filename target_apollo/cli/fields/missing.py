"""Which custom fields a stream's properties lack, and of which type each would be. Pure.

A property lacks one if it is neither a field that every contact or account has, nor a custom field
of the team. Apollo's API makes fields of six types; a picklist can only be made in Apollo itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from target_apollo.apollo import endpoints
from target_apollo.cli.fields.catalog import StreamSchema
from target_apollo.model.objects import (
    APOLLO_ID,
    LABEL_NAMES,
    OBJECTS,
    Field,
    ObjectKind,
    ObjectType,
)
from target_apollo.model.rows import Mode
from target_apollo.model.suggestions import folded

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


@dataclass(frozen=True)
class StandardField:
    """A property that needs no custom field.

    Attributes:
        new: The endpoint that gives it to a new record.
        existing: The endpoints that change it on an existing one; none: on creation only.
        names: For a name that is looked up: the field that takes its id.
    """

    name: str
    new: str
    existing: tuple[str, ...]
    names: str = ""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes in which it is written."""
        return tuple(Mode) if self.existing else (Mode.INSERT, Mode.UPSERT)


def standard_fields(object_type: ObjectType) -> tuple[StandardField, ...]:
    """All of an object, a looked-up name beside the field that takes its id."""
    found = []
    named = {field: name for name, field in object_type.named_fields.items()}
    for field in object_type.fields.values():
        standard = _standard(object_type, field)
        if standard is None:
            continue
        found.append(standard)
        if field.name in named:
            name = named[field.name]
            found.append(StandardField(name, standard.new, standard.existing, names=field.name))
    lists = StandardField(LABEL_NAMES, object_type.endpoints.create, (endpoints.ADD_TO_LISTS,))
    return (*found, lists)


def _standard(object_type: ObjectType, field: Field) -> StandardField | None:
    existing = tuple(
        endpoint
        for name, endpoint in (
            (field.update, object_type.endpoints.update),
            (field.bulk, object_type.endpoints.bulk_update),
        )
        if name
    )
    if field.create or field.create_wide:
        return StandardField(field.name, object_type.endpoints.create, existing)
    # What a creation does not take is written right after it.
    return StandardField(field.name, existing[0], existing) if existing else None


_SEPARATOR = re.compile(r"[\s_-]+")
#: What taps, and the rejects file, say about a record.
_ABOUT_RECORDS = ("_sdc_", "_reject")


@dataclass(frozen=True)
class Proposal:
    """A custom field that could be made.

    Attributes:
        kind: Its type, as POST /fields takes it.
        properties: The properties that would be written to it, each with its stream.
    """

    object: ObjectType
    label: str
    kind: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """What is to be made, and for which properties no field can be.

    Attributes:
        left_out: Property with its stream -> why.
    """

    proposals: tuple[Proposal, ...]
    left_out: Mapping[str, str]


def find_missing(
    streams: Iterable[tuple[StreamSchema, ObjectKind]],
    exists: Callable[[ObjectType, str], bool],
    labels: Mapping[str, str],
    passive: Iterable[str] = (),
) -> Missing:
    """The custom fields for properties that fit nowhere.

    Args:
        exists: Whether an object has a custom field of the label that a property stands for.
        labels: The setting `custom_fields`.
        passive: Properties that are no fields in any stream.
    """
    found: dict[tuple[ObjectKind, str], Proposal] = {}
    left_out: dict[str, str] = {}
    never = {APOLLO_ID, *passive}
    for stream, kind in streams:
        object_type = OBJECTS[kind]
        known = {field.name for field in standard_fields(object_type)} | never | stream.passive
        for name, schema in stream.properties.items():
            if name in known or name.startswith(_ABOUT_RECORDS) or exists(object_type, name):
                continue
            where = f"{stream.name}.{name}"
            label = labels.get(name) or label_of(name)
            made = type_of(schema)
            if not label:
                left_out[where] = "its name makes no label"
            elif made is None:
                left_out[where] = "a custom field holds no list, object or unknown type"
            else:
                place = (kind, folded(label))
                before = found.get(place)
                found[place] = (
                    Proposal(object_type, label, made, (where,))
                    if before is None
                    else Proposal(
                        object_type,
                        before.label,
                        wider(before.kind, made),
                        (*before.properties, where),
                    )
                )
    return Missing(tuple(found.values()), left_out)


def label_of(name: str) -> str:
    """A label that people read and that the property finds again.

    >>> label_of("lead_score"), label_of("annualRevenue")
    ('Lead score', 'AnnualRevenue')
    """
    words = _SEPARATOR.sub(" ", name).strip()
    return words[:1].upper() + words[1:]
