"""Compares a row with an existing record: the values that are still to be written. Pure.

`changes` is for a record that exists, `left_to_write` for one that was just created.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from target_apollo.model.compare import (
    CUSTOM_FIELDS,
    PLAIN_PHONE,
    has_number,
    held_numbers,
    holds,
    holds_custom,
    more_addresses,
    shows_custom,
    to_update,
)
from target_apollo.model.match_keys import identity_of
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.model.texts.emails import compared
from target_apollo.model.values import apollo_id, phone_digits
from target_apollo.sync.records.plan import CreateRequest


@dataclass(frozen=True)
class Changes:
    """The values to write to an existing record, by the endpoint that takes them.

    Attributes:
        update: Body for PATCH or PUT of the record.
        bulk: Attributes for bulk_update that PATCH does not take.
        lists: Names of lists to add the record to.
        unwritable: Fields that no endpoint changes on an existing record.
    """

    update: Json = field(default_factory=dict)
    bulk: Json = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.update or self.bulk or self.lists)


#: For a record that needs no change.
NOTHING = Changes()


def changes(
    object_type: ObjectType, row: Row, answer: Json | None, list_ids: Mapping[str, str]
) -> Changes:
    """The row's values that differ from Apollo's record; all values if the record is unknown.

    Args:
        answer: The record as Apollo answered it, or None when only its id is known.
        list_ids: Name of a list -> id, to see which lists the record is on.
    """
    differing = _differing(object_type, to_update(row.values), answer)
    custom = _different_custom(row.custom, answer)
    on_lists = answer.get("label_ids") if answer else None
    known = set(on_lists) if isinstance(on_lists, list) else set()
    lists = tuple(name for name in row.lists if list_ids.get(name) not in known)
    found = _by_endpoint(object_type, differing, custom, lists)
    if row.more_emails and object_type.more_emails and not _has_emails(row, answer):
        return replace(found, unwritable=(*found.unwritable, object_type.more_emails))
    return found


def _has_emails(row: Row, answer: Json | None) -> bool:
    return answer is not None and set(row.more_emails) <= {
        compared(answer.get("email")),
        *more_addresses(answer),
    }


def left_to_write(object_type: ObjectType, request: CreateRequest, row: Row) -> Changes:
    """The row's values that its bulk_create request did not contain, also if there are none."""
    if request.identity_only:
        return _behind_identity(object_type, row)
    behind: Values = {}
    for name, value in row.values.items():
        place = object_type.fields[name]
        carried = value == request.owner_id if place.create_wide else place.create is not None
        if value is not None and not carried:
            behind[name] = value
    return _by_endpoint(object_type, behind, {}, row.lists)


def _behind_identity(object_type: ObjectType, row: Row) -> Changes:
    sent = identity_of(object_type, row)
    values: Values = {
        name: value
        for name, value in row.values.items()
        if value is not None and name not in sent.values
    }
    custom: Values = {
        one: value
        for one, value in row.custom.items()
        if value is not None and one not in sent.custom
    }
    found = _by_endpoint(object_type, values, custom, row.lists)
    if row.more_emails and object_type.more_emails:
        found = replace(found, unwritable=(*found.unwritable, object_type.more_emails))
    return found if found or found.unwritable else NOTHING


def single_update(object_type: ObjectType, row: Row, names: Collection[str]) -> Json:
    """The body of PATCH or PUT for some of a row's fields and custom fields."""
    values = {name: value for name, value in to_update(row.values).items() if name in names}
    custom = {field_id: value for field_id, value in row.custom.items() if field_id in names}
    return _by_endpoint(object_type, values, custom, ()).update


def without_held(object_type: ObjectType, row: Row, body: Json, after: Json) -> Json:
    """A body for PATCH or PUT without the values that Apollo's record already shows."""
    differing = _differing(object_type, to_update(row.values), after)
    needed = {object_type.fields[name].update for name in differing}
    left = {key: value for key, value in body.items() if key in needed}
    written = body.get(CUSTOM_FIELDS)
    if isinstance(written, dict):
        custom = {name: row.custom[name] for name in written if name in row.custom}
        if different := _different_custom(custom, after):
            left[CUSTOM_FIELDS] = {name: written[name] for name in different}
    return left


def _differing(object_type: ObjectType, values: Values, answer: Json | None) -> Values:
    """The values that a record does not show; all values if the record is unknown."""
    if answer is None:
        return values
    differing = {
        name: value
        for name, value in values.items()
        if not holds(object_type.fields[name], answer, value)
    }
    plain = values.get(PLAIN_PHONE)
    if plain is None or PLAIN_PHONE in differing or object_type.fields[PLAIN_PHONE].read:
        return differing
    # The record may hold the plain number under a type whose number this update changes.
    typed = {object_type.fields[name].phone_type: value for name, value in differing.items()}
    stays = has_number(held_numbers(answer, lambda kind: kind not in typed), plain)
    comes = has_number({phone_digits(v) for kind, v in typed.items() if kind and v}, plain)
    return differing if stays or comes else {**differing, PLAIN_PHONE: plain}


def _by_endpoint(
    object_type: ObjectType, differing: Values, custom: Values, lists: tuple[str, ...]
) -> Changes:
    update: Json = {}
    bulk: Json = {}
    unwritable: list[str] = []
    for name, value in differing.items():
        place = object_type.fields[name]
        if value is None and place.normalise is not apollo_id:
            # An empty text clears a field, except an id, which null clears.
            value = ""
        if place.update:
            update[place.update] = value
        elif place.bulk:
            bulk[place.bulk] = value
        else:
            unwritable.append(name)
    if custom:
        update[CUSTOM_FIELDS] = {
            field_id: "" if value is None else value for field_id, value in custom.items()
        }
    return Changes(update, bulk, lists, tuple(unwritable))


def _different_custom(wanted: Values, answer: Json | None) -> Values:
    if answer is None or not shows_custom(answer):
        return wanted
    return {
        field_id: value
        for field_id, value in wanted.items()
        if not holds_custom(answer, field_id, value)
    }
