"""Which custom fields a stream's properties lack. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from target_apollo.cli.fields.catalog import StreamSchema
from target_apollo.cli.fields.field_types import type_of, wider
from target_apollo.cli.fields.standard import standard_fields
from target_apollo.model.objects import APOLLO_ID, OBJECTS, ObjectKind, ObjectType
from target_apollo.model.suggestions import folded

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
        target = OBJECTS[kind]
        known = {field.name for field in standard_fields(target)} | never | stream.passive
        for name, schema in stream.properties.items():
            if name in known or name.startswith(_ABOUT_RECORDS) or exists(target, name):
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
                    Proposal(target, label, made, (where,))
                    if before is None
                    else Proposal(
                        target,
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
