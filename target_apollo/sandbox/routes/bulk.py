"""What the endpoints of many contacts and of many accounts have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from target_apollo.sandbox.call import Call
from target_apollo.sandbox.errors import Refusal, unprocessable
from target_apollo.sandbox.options import AlikeInBatch, BulkFailure
from target_apollo.sandbox.records import Account, Contact
from target_apollo.sandbox.validation import check_ids, ids_of, names_in, text_of

Record = TypeVar("Record", Contact, Account)
Body = dict[str, Any]

MOST_CREATED = 100


def taken(body: Body, names: frozenset[str] | set[str]) -> Body:
    """What of a body an endpoint takes; it passes over the rest."""
    return {name: value for name, value in body.items() if name in names}


def created_items(call: Call, kind: str, no_array: str) -> list[Body]:
    """The records of a bulk_create request.

    Raises:
        Refusal: 422, they are no array, or too many.
    """
    items = call.body.get(kind)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise unprocessable(no_array)
    if len(items) > MOST_CREATED:
        raise unprocessable(f"Please limit your array to {MOST_CREATED} {kind} or fewer.")
    return items


def until_refused(
    call: Call, items: list[Body], check: Callable[[Body], None]
) -> tuple[list[Body], Refusal | None]:
    """The records before the first bad one, and the refusal that it causes.

    A bad record refuses the whole request; what stood before it is written only if the options say
    so.
    """
    for place, item in enumerate(items):
        try:
            check(item)
        except Refusal as refusal:
            if call.options.bulk_failure is BulkFailure.NOTHING_WRITTEN:
                raise
            return items[:place], refusal
    return items, None


def check_custom(sent: Body) -> None:
    """Raise Refusal (422) where custom fields are no object."""
    custom = sent.get("typed_custom_fields")
    if custom is not None and not isinstance(custom, dict):
        raise unprocessable("There is something wrong with your request.")


def is_left_out(
    call: Call, match: Record, created: Mapping[str, Record], existing: dict[str, Record]
) -> bool:
    """Whether a record that is there already keeps a new one from being created.

    Args:
        created: What the same request has created so far, by id.
        existing: Gets the match where the answer names it as existing.
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
    """Ids of the lists in ``append_label_names``, which are made where they are missing."""
    names = names_in(call.body.get("append_label_names"))
    workspace = call.store.workspace
    return [workspace.label(call.stamp, kind, name, call.user_id)["id"] for name in names]


def planned_updates(
    call: Call,
    items: list[Any],
    names: frozenset[str] | set[str],
    find: Callable[[Call, object], Record],
    check: Callable[[Record, Body], None] | None = None,
) -> tuple[list[tuple[Record, Body]], Refusal | None]:
    """The records of a bulk_update with what each is sent, and the refusal of the first bad one.

    Args:
        names: What the endpoint takes of a record.
        find: Gives the record of an id, or refuses it.
        check: Refuses what else may be wrong with a record.
    """
    if len(items) > call.options.bulk_update_limit:
        raise unprocessable("Please limit your array to fewer than 1000.")
    plans: list[tuple[Record, Body]] = []

    def plan(item: Body) -> None:
        sent = taken(item, names)
        record = find(call, item.get("id"))
        check_ids(call, sent)
        if check is not None:
            check(record, sent)
        check_custom(sent)
        plans.append((record, sent))

    bodies = [item if isinstance(item, dict) else {} for item in items]
    _, refusal = until_refused(call, bodies, plan)
    return plans, refusal


def progress_job(call: Call, job_type: str, records: Iterable[Contact | Account]) -> Body:
    """The answer to a bulk_update that is carried out later."""
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


def update_owners(
    call: Call,
    kind: str,
    find: Callable[[Call, object], Record],
    overwrite: Callable[[Call, Record, Body], None],
) -> Body:
    """One owner for many records, ids in the body or the query."""
    ids = ids_of(call, f"{kind.removesuffix('s')}_ids")
    owner_id = text_of(call, "owner_id")
    check_ids(call, {"owner_id": owner_id})
    records = [find(call, record_id) for record_id in ids]
    for record in records:
        overwrite(call, record, {"owner_id": owner_id})
    return {
        kind: [
            {"id": record.own["id"], "owner_id": owner_id, "crm_owner_id": None}
            for record in records
        ]
    }
