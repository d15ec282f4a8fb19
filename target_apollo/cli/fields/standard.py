"""The fields that every contact and account has, and what writes each. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from target_apollo.apollo import endpoints
from target_apollo.model.objects import LABEL_NAMES, NAMED_FIELDS, Field, ObjectType
from target_apollo.model.rows import Mode


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


def standard_fields(target: ObjectType) -> tuple[StandardField, ...]:
    """All of an object, a looked-up name beside the field that takes its id."""
    found = []
    named = {field: name for name, field in NAMED_FIELDS[target.kind].items()}
    for field in target.fields.values():
        standard = _standard(target, field)
        if standard is None:
            continue
        found.append(standard)
        if field.name in named:
            name = named[field.name]
            found.append(StandardField(name, standard.new, standard.existing, names=field.name))
    lists = StandardField(LABEL_NAMES, target.create_endpoint, (endpoints.ADD_TO_LISTS,))
    return (*found, lists)


def _standard(target: ObjectType, field: Field) -> StandardField | None:
    existing = tuple(
        endpoint
        for name, endpoint in (
            (field.update, target.update_endpoint),
            (field.bulk, target.bulk_endpoint),
        )
        if name
    )
    if field.create or field.create_wide:
        return StandardField(field.name, target.create_endpoint, existing)
    # What a creation does not take is written right after it.
    return StandardField(field.name, existing[0], existing) if existing else None
