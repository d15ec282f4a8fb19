"""Code that the bulk endpoints of contacts and of accounts share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from target_apollo.sandbox.checks.request_fields import taken_fields
from target_apollo.sandbox.checks.validation import check_ids
from target_apollo.sandbox.data.formats import is_id
from target_apollo.sandbox.data.records import Account, Contact
from target_apollo.sandbox.options import AlikeInBatch, BulkFailure
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import Refusal, unprocessable

Record = TypeVar("Record", Contact, Account)
Body = dict[str, Any]

MOST_CREATED = 100


def items_to_create(call: Call, kind: str, no_array: str) -> list[Body]:
    """The records of a bulk_create request.

    Args:
        call: The request.
        kind: ``contacts`` or ``accounts``, the field with the records.
        no_array: Text of the refusal if the field is no array of objects.

    Raises:
        Refusal: 422, the field is no array of objects, or has more than 100.
    """
    items = call.body.get(kind)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise unprocessable(no_array)
    if len(items) > MOST_CREATED:
        raise unprocessable(f"Please limit your array to {MOST_CREATED} {kind} or fewer.")
    return items


def checked_items(
    call: Call, items: list[Body], check: Callable[[Body], None]
) -> tuple[list[Body], Refusal | None]:
    """The records to write, and the refusal to answer afterwards; None if all records are good.

    One bad record refuses the whole request. The records before it are written only if the option
    `bulk_failure` says so.

    Raises:
        Refusal: The check refuses a record, and nothing is to be written.
    """
    for index, item in enumerate(items):
        try:
            check(item)
        except Refusal as refusal:
            if call.options.bulk_failure is BulkFailure.NOTHING_WRITTEN:
                raise
            return items[:index], refusal
    return items, None


def check_custom_fields(sent: Body) -> None:
    """Raise Refusal (422) if the custom fields are no object."""
    custom = sent.get("typed_custom_fields")
    if custom is not None and not isinstance(custom, dict):
        raise unprocessable("There is something wrong with your request.")


def keeps_existing(
    call: Call, match: Record, created: Mapping[str, Record], existing: dict[str, Record]
) -> bool:
    """Whether a match prevents a record of a bulk_create from being created.

    Args:
        call: The request.
        match: The stored record that matches the new one.
        created: Records that the same request has created so far, by id.
        existing: Records that the answer lists as existing, by id; the match is added if it is
            one of them.
    """
    match_id = match.own["id"]
    alike = call.options.alike_in_batch
    if match_id in created and alike not in (
        AlikeInBatch.SECOND_DROPPED,
        AlikeInBatch.SECOND_EXISTING,
    ):
        return False
    if match_id not in created or alike is AlikeInBatch.SECOND_EXISTING:
        existing[match_id] = match
    return True


def label_ids(call: Call, kind: str) -> list[str]:
    """Ids of the lists in ``append_label_names``; missing lists are created."""
    names = call.names("append_label_names")
    workspace = call.store.workspace
    return [workspace.label(call.stamp, kind, name, call.user_id)["id"] for name in names]


def planned_updates(
    call: Call,
    items: list[Any],
    names: frozenset[str] | set[str],
    find: Callable[[Call, object], Record],
    check: Callable[[Record, Body], None] | None = None,
) -> tuple[list[tuple[Record, Body]], Refusal | None]:
    """The stored records of a bulk_update, each with its new fields, as `checked_items` does.

    Args:
        call: The request.
        items: The records of the request, each with an ``id``.
        names: Fields that the endpoint takes of each.
        find: Returns the stored record of an id, or raises Refusal.
        check: Raises Refusal for anything else that is wrong with a record.

    Returns:
        ``(record, fields)`` of each record to write, and the refusal to answer afterwards.

    Raises:
        Refusal: A record is refused, and nothing is to be written.
    """
    if len(items) > call.options.bulk_update_limit:
        raise unprocessable("Please limit your array to fewer than 1000.")
    plans: list[tuple[Record, Body]] = []

    def plan(item: Body) -> None:
        sent = taken_fields(item, names)
        record = find(call, item.get("id"))
        check_ids(call, sent)
        if check is not None:
            check(record, sent)
        check_custom_fields(sent)
        plans.append((record, sent))

    bodies = [item if isinstance(item, dict) else {} for item in items]
    _, refusal = checked_items(call, bodies, plan)
    return plans, refusal


def progress_job(call: Call, job_type: str, records: Iterable[Contact | Account]) -> Body:
    """The answer to a bulk_update that Apollo carries out later."""
    return {
        "entity_progress_job": {
            "id": call.store.new_id(),
            "job_type": job_type,
            "status": "pending",
            "entity_ids": [record.own["id"] for record in records],
            "created_at": call.stamp,
            "updated_at": call.stamp,
        }
    }


def present(
    call: Call,
    ids: Iterable[str],
    known: Mapping[str, Record],
    find: Callable[[Call, object], Record],
) -> list[Record]:
    """The stored records of these ids.

    update_owners and update_stages ignore the ids of missing and deleted records, unless the option
    `owners_and_stages_skip_gone` says otherwise.

    Args:
        call: The request.
        ids: Ids of the request.
        known: The stored records by id.
        find: Returns the stored record of an id, or raises Refusal.

    Raises:
        Refusal: An id is malformed, or missing and not ignored.
    """
    skips = call.options.owners_and_stages_skip_gone
    return [
        find(call, record_id)
        for record_id in ids
        if not (skips and is_id(record_id) and record_id not in known)
    ]


def update_owners(
    call: Call,
    kind: str,
    known: Mapping[str, Record],
    find: Callable[[Call, object], Record],
    overwrite: Callable[[Call, Record, Body], None],
) -> Body:
    """Give many records one owner; the ids are in the body or the query.

    Args:
        call: The request.
        kind: ``contacts`` or ``accounts``.
        known: The stored records by id.
        find: Returns the stored record of an id, or raises Refusal.
        overwrite: Writes fields into a stored record.

    Raises:
        Refusal: 422, the ids or the owner are missing or unknown.
    """
    ids = call.ids(f"{kind.removesuffix('s')}_ids")
    owner_id = call.required("owner_id")
    check_ids(call, {"owner_id": owner_id})
    records = present(call, ids, known, find)
    for record in records:
        overwrite(call, record, {"owner_id": owner_id})
    return {
        kind: [
            {"id": record.own["id"], "owner_id": owner_id, "crm_owner_id": None}
            for record in records
        ]
    }
