"""What Apollo would make of the requests of a dry run that write. Pure.

Contacts and accounts change as Apollo would change them. A row of another object is known by the
ledger and the run alone, so an answer only has to confirm what was sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from target_apollo.apollo import Request, endpoints
from target_apollo.model.objects.registry import CONTACT, Compare, Field, Json, ObjectType

#: The type under which Apollo shows a number from bulk_create, which has no type.
_PLAIN_TYPE = "other"

_TYPES = {field.update: field.phone_type for field in CONTACT.fields.values() if field.phone_type}


def created_record(
    object_type: ObjectType,
    item: Json,
    apollo_id: str,
    now: datetime,
    *,
    owner_id: str | None = None,
    label_ids: Iterable[str] = (),
) -> Json:
    """The record that Apollo would make of an item of a bulk_create request.

    Args:
        owner_id: The owner in the arguments of the whole request (contacts only).
    """
    record: Json = {field.read: None for field in object_type.fields.values() if field.read}
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
    for field in object_type.fields.values():
        if field.create and field.create in item:
            _set(record, field, item[field.create], _PLAIN_TYPE)
    if object_type.more_emails in item:
        record[object_type.more_emails] = item[object_type.more_emails]
    if owner_id:
        record["owner_id"] = owner_id
    _set_custom(record, item)
    return record


def changed_record(
    object_type: ObjectType, record: Json, body: Json, now: datetime, *, bulk: bool
) -> Json:
    """A record after an update.

    Args:
        record: The record before; only its id where it was not looked up.
        body: The fields of PATCH or PUT, or with `bulk` those of an item of bulk_update.
    """
    after = {**record, "updated_at": _written(now)}
    for field in object_type.fields.values():
        name = field.bulk if bulk else field.update
        if name and name in body:
            _set(after, field, body[name], _TYPES.get(name))
    _set_custom(after, body)
    _replace_address(object_type, record, after)
    return after


def _replace_address(object_type: ObjectType, before: Json, after: Json) -> None:
    """Takes the former e-mail address from the list of all addresses of a record."""
    former, now = before.get(object_type.match_field), after.get(object_type.match_field)
    held = after.get(object_type.more_emails or "")
    if former != now and isinstance(held, list):
        after[object_type.more_emails or ""] = [
            {**entry, "email": now} if entry.get("email") == former else entry for entry in held
        ]


def on_lists(record: Json, label_ids: Iterable[str]) -> Json:
    """A record after it was added to lists."""
    held = record.get("label_ids")
    before = held if isinstance(held, list) else []
    return {**record, "label_ids": list(dict.fromkeys([*before, *label_ids]))}


def _set(record: Json, field: Field, value: object, phone_type: str | None) -> None:
    if field.read is not None:
        record[field.read] = value or None
    elif field.compare is Compare.PHONE:
        _set_phone(record, value, phone_type)


def _set_phone(record: Json, value: object, phone_type: str | None) -> None:
    numbers = record.get("phone_numbers")
    # The other numbers of a record that was not looked up are unknown.
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


# --- objects besides contacts and accounts


def _made_deal(request: Request) -> Json:
    return {"opportunity": {**(request.body or {}), "id": _new_id(request)}}


def _changed_deal(request: Request) -> Json:
    return {"opportunity": {**(request.body or {}), "id": request.path.rpartition("/")[2]}}


def _made_task(request: Request) -> Json:
    return {"task": {**(request.body or {}), "id": _new_id(request)}}


def _changed_task(request: Request) -> Json:
    task_id = request.path.removeprefix("/tasks/").partition("/")[0]
    return {"task": {"status": "scheduled", **(request.body or {}), "id": task_id}}


def _new_id(request: Request) -> str:
    """An id of Apollo's form; one for each record, since no two of a run have all values alike."""
    return hashlib.sha256(json.dumps(request.body, sort_keys=True).encode()).hexdigest()[:24]


def _enrolled(request: Request) -> Json:
    """All contacts join; the ledger knows those that are in a sequence already."""
    params = request.params or {}
    sequence = params["emailer_campaign_id"]
    return {
        "contacts": [
            {"id": one, "emailer_campaign_ids": [sequence]} for one in params["contact_ids[]"]
        ],
        "skipped_contact_ids": {},
        "emailer_campaign": {"id": sequence},
    }


def _left_sequence(request: Request) -> Json:
    params = request.params or {}
    return {
        "contacts": [{"id": one, "emailer_campaign_ids": []} for one in params["contact_ids[]"]]
    }


#: Endpoint -> the answer to a request.
OBJECT_ANSWERS: Mapping[str, Callable[[Request], Json]] = {
    endpoints.CREATE_DEAL: _made_deal,
    endpoints.UPDATE_DEAL: _changed_deal,
    endpoints.ADD_TO_SEQUENCE: _enrolled,
    endpoints.LEAVE_SEQUENCES: _left_sequence,
    endpoints.CREATE_TASK: _made_task,
    endpoints.UPDATE_TASK: _changed_task,
    endpoints.COMPLETE_TASK: _changed_task,
    endpoints.SKIP_TASK: _changed_task,
}
