"""The custom fields that a stream's properties need and the team lacks, with their types. Pure.

A property needs a custom field if it is no field of every contact or account. Apollo's API makes
custom fields of six types; picklists can be made only in Apollo itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from target_apollo.apollo import endpoints
from target_apollo.cli.fields.catalog import StreamSchema
from target_apollo.model.columns import field_of
from target_apollo.model.objects.registry import (
    APOLLO_ID,
    LABEL_NAMES,
    Field,
    ObjectType,
    RecordType,
)
from target_apollo.model.rows import Mode
from target_apollo.model.texts.spelling import letters_of, value_of
from target_apollo.sync.records.stream_columns import ABOUT_RECORDS

STRING, TEXTAREA, NUMBER, BOOLEAN, DATE, DATETIME = (
    "string", "textarea", "number", "boolean", "date", "datetime",
)  # fmt: skip
#: The most characters of a text in one line; a property with longer texts gets a text area.
_LONG = 255

_SCALARS = {"string", "integer", "number", "boolean"}


def type_of(schema: Mapping[str, Any]) -> str | None:
    """The type of custom field for a property; None for arrays, objects and unknown types.

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


def wider(first: str, second: str) -> str:
    """The type that holds the values of both types."""
    if first == second:
        return first
    if TEXTAREA in (first, second):
        return TEXTAREA
    return DATETIME if {first, second} == {DATE, DATETIME} else STRING


def _text_type(forms: list[Mapping[str, Any]]) -> str:
    formats = {form["format"] for form in forms if form.get("format")}
    for name, kind in (("date-time", DATETIME), ("date", DATE), ("singer.decimal", NUMBER)):
        # Taps describe dates as "date-time or any text", since some dates do not fit the format.
        if formats == {name}:
            return kind
    lengths = [form["maxLength"] for form in forms if isinstance(form.get("maxLength"), int)]
    return TEXTAREA if lengths and max(lengths) > _LONG else STRING


def _forms(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the schema itself, or the alternatives under its anyOf and oneOf."""
    choices = [
        choice
        for word in ("anyOf", "oneOf")
        for choice in schema.get(word) or ()
        if isinstance(choice, Mapping)
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
        new: The endpoint that writes it to a new record.
        existing: The endpoints that change it on an existing record; none: only new ones get it.
        names: The field that takes the id, if the property is a name that is looked up.
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
    """All standard fields of an object; a looked-up name follows the field that takes its id."""
    standards = []
    named = {field: name for name, field in object_type.named_fields.items()}
    for field in object_type.fields.values():
        standard = _standard(object_type, field)
        if standard is None:
            continue
        standards.append(standard)
        if field.name in named:
            name = named[field.name]
            standards.append(StandardField(name, standard.new, standard.existing, names=field.name))
    lists = StandardField(LABEL_NAMES, object_type.endpoints.create, (endpoints.ADD_TO_LISTS,))
    if object_type.more_emails is None:
        return (*standards, lists)
    emails = StandardField(object_type.more_emails, object_type.endpoints.create, ())
    return (*standards, emails, lists)


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
    # A field that bulk_create does not take is written by an update right after it.
    return StandardField(field.name, existing[0], existing) if existing else None


_SEPARATOR = re.compile(r"[\s_-]+")


@dataclass(frozen=True)
class Proposal:
    """A custom field that could be made.

    Attributes:
        kind: Its type, as POST /fields takes it.
        properties: The properties that would be written to it, each with its stream.
    """

    object: RecordType
    label: str
    kind: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """The custom fields that could be made, and the properties for which none can be.

    Attributes:
        left_out: Property with its stream -> why.
    """

    proposals: tuple[Proposal, ...]
    left_out: Mapping[str, str]


def find_missing(
    streams: Iterable[tuple[StreamSchema, RecordType]],
    exists: Callable[[RecordType, str], bool],
    labels: Mapping[str, str],
    passive: Iterable[str] = (),
) -> Missing:
    """The custom fields that the properties of streams need and the team lacks.

    Args:
        exists: Whether an object has a custom field for a property.
        labels: The setting `custom_fields`: property -> label.
        passive: Properties that need no field in any stream.
    """
    proposals: dict[tuple[str, str], Proposal] = {}
    left_out: dict[str, str] = {}
    unneeded = {letters_of(name) for name in passive}
    for stream, object_type in streams:
        mapped = {*_mapped(object_type), *stream.passive}
        for name, schema in stream.properties.items():
            if name in mapped or name.startswith(ABOUT_RECORDS) or exists(object_type, name):
                continue
            if field_of(object_type, name) is not None or letters_of(name) in unneeded:
                continue
            where = f"{stream.name}.{name}"
            label = value_of(labels, name) or label_of(name)
            field_type = type_of(schema)
            if not label:
                left_out[where] = "its name makes no label"
            elif field_type is None:
                left_out[where] = "a custom field holds no list, object or unknown type"
            else:
                key = (object_type.modality, letters_of(label) or label)
                before = proposals.get(key)
                proposals[key] = (
                    Proposal(object_type, label, field_type, (where,))
                    if before is None
                    else Proposal(
                        object_type,
                        before.label,
                        wider(before.kind, field_type),
                        (*before.properties, where),
                    )
                )
    return Missing(tuple(proposals.values()), left_out)


def _mapped(object_type: RecordType) -> Iterable[str]:
    """The properties that an object has a place for without a custom field."""
    if isinstance(object_type, ObjectType):
        return [field.name for field in standard_fields(object_type)]
    return [*object_type.fields, *object_type.named_fields, APOLLO_ID]


def label_of(name: str) -> str:
    """A readable label for a property, by which the property finds the custom field again.

    >>> label_of("lead_score"), label_of("annualRevenue")
    ('Lead score', 'AnnualRevenue')
    """
    words = _SEPARATOR.sub(" ", name).strip()
    return words[:1].upper() + words[1:]
