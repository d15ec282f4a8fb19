"""Finds the field that the name of a column means. Pure.

Names are compared by their letters and digits, without case: `First Name`, `firstName` and
`FIRST_NAME` all mean `first_name`. A column goes to the first of these:

1. the field of exactly its name,
2. the custom field that the setting `custom_fields` names for it,
3. the custom field whose label has the same letters and digits,
4. the field whose name has the same letters and digits.

A field that takes an Apollo id is found by its exact name only, since other systems have columns
such as `OwnerId` and `AccountId` with ids of their own. The exception is `apollo_id`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from target_apollo.model.objects.registry import (
    APOLLO_ID,
    LABEL_NAMES,
    OBJECTS,
    ObjectKind,
    ObjectType,
    RecordType,
)
from target_apollo.model.texts.spelling import letters_of
from target_apollo.model.values import apollo_id


def field_names(object_type: ObjectType) -> tuple[str, ...]:
    """The names of all properties that are no custom fields, without those that none writes."""
    fields = object_type.fields.values()
    written = (one.name for one in fields if one.create or one.update or one.bulk)
    more = () if object_type.more_emails is None else (object_type.more_emails,)
    return (*written, *object_type.named_fields, *more, LABEL_NAMES, APOLLO_ID)


def _takes_id(object_type: ObjectType, name: str) -> bool:
    return name in object_type.fields and object_type.fields[name].normalise is apollo_id


_NAMES: Mapping[ObjectKind, frozenset[str]] = {
    kind: frozenset(field_names(one)) for kind, one in OBJECTS.items()
}
_BY_LETTERS: Mapping[ObjectKind, Mapping[str, str]] = {
    kind: {letters_of(name): name for name in field_names(one) if not _takes_id(one, name)}
    for kind, one in OBJECTS.items()
}


def field_of(object_type: RecordType, name: str) -> str | None:
    """The name of the field that a column or a setting names, in any spelling; None for none.

    >>> from target_apollo.model.objects.registry import CONTACT
    >>> field_of(CONTACT, "firstName"), field_of(CONTACT, "OwnerId"), field_of(CONTACT, "shoe")
    ('first_name', None, None)
    """
    if not isinstance(object_type, ObjectType):
        letters = {letters_of(one): one for one in (*object_type.fields, *object_type.named_fields)}
        return letters.get(letters_of(name))
    if name in _NAMES[object_type.kind]:
        return name
    return _BY_LETTERS[object_type.kind].get(letters_of(name))


def any_field_of(name: str) -> str:
    """The name of a field of any object that a setting names; the name itself for none."""
    found = (field_of(one, name) for one in OBJECTS.values())
    return next((one for one in found if one is not None), name)


class _Rank(enum.IntEnum):
    """How well the name of a column fits its field; the smallest has the field."""

    EXACT = 1
    SETTING = 2
    LABEL = 3
    LETTERS = 4


@dataclass(frozen=True)
class Columns:
    """The fields of a stream's columns.

    Attributes:
        fields: Column -> name of its field.
        custom: Column -> id of its custom field.
        displaced: Column -> the column whose name fits their common field better.
        clashes: Columns that mean one field, of which none fits it better.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    displaced: Mapping[str, str] = field(default_factory=dict)
    clashes: Sequence[tuple[str, ...]] = ()

    def column_of(self, name: str) -> str | None:
        """The column of a field, if there is one."""
        return next((column for column, found in self.fields.items() if found == name), None)


def columns_of(
    object_type: ObjectType,
    names: Iterable[str],
    custom_id: Callable[[str], str | None],
    mapped: Collection[str],
) -> Columns:
    """The fields of the columns with these names.

    Args:
        custom_id: Finds the id of a column's custom field. It is not called for columns that have
            the exact name of a field.
        mapped: The columns that the setting `custom_fields` names.
    """
    places: dict[str, dict[str, _Rank]] = {}
    fields: dict[str, str] = {}
    custom: dict[str, str] = {}
    for name in names:
        found = name if name in _NAMES[object_type.kind] else None
        of_custom = custom_id(name) if found is None else None
        if of_custom is not None:
            rank = _Rank.SETTING if name in mapped else _Rank.LABEL
            custom[name] = of_custom
        elif (found := found or field_of(object_type, name)) is not None:
            rank = _Rank.EXACT if found == name else _Rank.LETTERS
            fields[name] = found
        else:
            continue
        places.setdefault(of_custom or found or "", {})[name] = rank
    displaced: dict[str, str] = {}
    clashes = []
    for ranks in places.values():
        first = min(ranks.values())
        best = sorted(name for name, rank in ranks.items() if rank is first)
        if len(best) > 1:
            clashes.append(tuple(best))
        displaced.update({name: best[0] for name in ranks if name not in best})
    return Columns(
        {name: found for name, found in fields.items() if name not in displaced},
        {name: found for name, found in custom.items() if name not in displaced},
        displaced,
        tuple(clashes),
    )
