"""What a record would look like in Apollo's answer once a request is carried out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from target_apollo.model.objects import CONTACT, Compare, Field, Json, ObjectType

#: Under this type Apollo shows the number that bulk_create takes without one.
_PLAIN_TYPE = "other"
_TYPES = {field.update: field.phone_type for field in CONTACT.fields.values() if field.phone_type}


def created(
    target: ObjectType,
    item: Json,
    apollo_id: str,
    now: datetime,
    *,
    owner_id: str | None = None,
    label_ids: Iterable[str] = (),
) -> Json:
    """The record that an item of a bulk_create request becomes.

    Args:
        owner_id: The owner of the whole request, which contacts have.
    """
    record: Json = {field.read: None for field in target.fields.values() if field.read}
    record |= {
        "id": apollo_id,
        "created_at": _written(now),
        "updated_at": _written(now),
        "label_ids": list(label_ids),
        "phone_numbers": [],
        "contact_emails": [],
        "typed_custom_fields": {},
        "custom_field_errors": {},
    }
    for field in target.fields.values():
        if field.create and field.create in item:
            _set(record, field, item[field.create], _PLAIN_TYPE)
    if owner_id:
        record["owner_id"] = owner_id
    _set_custom(record, item)
    return record


def changed(target: ObjectType, record: Json, body: Json, now: datetime, *, bulk: bool) -> Json:
    """A record after an update.

    Args:
        record: As Apollo answered it; as little as its id, where it was not read.
        body: The fields of PATCH or PUT, or with `bulk` those of an item of bulk_update.
    """
    after = {**record, "updated_at": _written(now)}
    for field in target.fields.values():
        name = field.bulk if bulk else field.update
        if name and name in body:
            _set(after, field, body[name], _TYPES.get(name))
    _set_custom(after, body)
    return after


def on_lists(record: Json, label_ids: Iterable[str]) -> Json:
    """A record after it was added to lists."""
    known = record.get("label_ids")
    before = known if isinstance(known, list) else []
    return {**record, "label_ids": list(dict.fromkeys([*before, *label_ids]))}


def _set(record: Json, field: Field, value: object, phone_type: str | None) -> None:
    if field.read is not None:
        record[field.read] = value or None
    elif field.compare is Compare.PHONE:
        _set_phone(record, value, phone_type)


def _set_phone(record: Json, value: object, phone_type: str | None) -> None:
    numbers = record.get("phone_numbers")
    # Of a record that was not read nobody knows the other numbers.
    if isinstance(numbers, list):
        kept = [number for number in numbers if number.get("type") != phone_type]
        new = [{"raw_number": value, "sanitized_number": value, "type": phone_type}]
        record["phone_numbers"] = [*kept, *(new if value else [])]


def _set_custom(record: Json, body: Json) -> None:
    sent, held = body.get("typed_custom_fields"), record.get("typed_custom_fields")
    if isinstance(sent, dict) and isinstance(held, dict):
        record["typed_custom_fields"] = {
            name: value for name, value in {**held, **sent}.items() if value
        }


def _written(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
