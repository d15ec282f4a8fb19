"""An update of an existing record, field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from target_apollo.model.objects import LABEL_NAMES, Field, Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.changes import CUSTOM_FIELDS, holds, holds_custom, shows_custom, to_update


@dataclass(frozen=True)
class Diff:
    """A field that would change.

    Attributes:
        apollo: What Apollo holds; None for nothing, and where it does not show it.
        new: What would be written; None empties the field.
    """

    field: str
    apollo: str | None
    new: str | None


def diffs_of(
    target: ObjectType,
    row: Row,
    answer: Json,
    lists: Sequence[str],
    labels: Mapping[str, str],
) -> list[Diff]:
    """Where a row would change a record.

    Args:
        answer: The record as Apollo shows it.
        lists: Names of lists that the record would be added to.
        labels: Custom field id -> its label.
    """
    found = []
    for name, value in to_update(row.values).items():
        place = target.fields[name]
        if (place.update or place.bulk) and not holds(place, answer, value):
            found.append(Diff(name, _held(place, answer), value))
    for field_id, value in row.custom.items():
        if not (shows_custom(answer) and holds_custom(answer, field_id, value)):
            custom = answer.get(CUSTOM_FIELDS)
            held = custom.get(field_id) if isinstance(custom, dict) else None
            found.append(Diff(labels.get(field_id, field_id), _text(held), value))
    return [*found, *(Diff(LABEL_NAMES, None, name) for name in lists)]


def _held(place: Field, answer: Json) -> str | None:
    if place.read is not None:
        return _text(answer.get(place.read))
    numbers = answer.get("phone_numbers")
    held = [
        str(number.get("raw_number") or number.get("sanitized_number") or "")
        for number in (numbers if isinstance(numbers, list) else [])
        if isinstance(number, dict) and place.phone_type in (None, number.get("type"))
    ]
    return ", ".join(filter(None, held)) or None


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
