"""The endpoints of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.checks.request_fields import (
    BULK_CREATE_TASKS,
    CREATE_TASK,
    UPDATE_TASK,
    taken_fields,
)
from target_apollo.sandbox.checks.validation import check_ids, refuse_id
from target_apollo.sandbox.data.formats import offset_time
from target_apollo.sandbox.data.records import (
    CREATED_ACCOUNT,
    FOUND_CONTACT,
    Contact,
    account_object,
    contact_object,
)
from target_apollo.sandbox.data.tasks import (
    PRIORITIES,
    STATUSES,
    TYPES,
    Task,
    due_time,
    shown_task,
    task_object,
)
from target_apollo.sandbox.routes.searches import asked_page, envelope, unknown_order
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import Refusal, unprocessable

_SORT_FIELDS = ("", "task_due_at", "task_priority")
_DONE = "This task is already completed / skipped."
#: What can be changed of a task that is no longer scheduled.
_OF_DONE_TASKS = frozenset({"note", "priority", "priority_cd", "contact_id"})
#: What can be emptied; other fields keep their value instead.
_TEXTS = ("title", "note", "call_script", "relevant_fields")
_NEVER_EMPTY = ("user_id", "creator_id", "contact_id", "type", "priority", "status")


def create(call: Call) -> Any:
    """POST /tasks: always creates a task, also if it equals an existing one."""
    sent = taken_fields(call.body, CREATE_TASK)
    _check_new(call, sent)
    contact_id = call.required("contact_id")
    _check_contacts(call, [contact_id])
    contact = call.store.contact_by_id[contact_id]
    return {"task": _with_contact(call, _created(call, sent, contact))}


def bulk_create(call: Call) -> Any:
    """POST /tasks/bulk_create: a task for each known contact; the answer leaves out the others."""
    sent = taken_fields(call.body, BULK_CREATE_TASKS)
    _check_new(call, sent)
    contact_ids = call.ids("contact_ids")
    if not call.options.bulk_tasks_skip_gone:
        _check_contacts(call, contact_ids)
    known = call.store.contact_by_id
    contacts = [known[contact_id] for contact_id in contact_ids if contact_id in known]
    made = [_created(call, sent, contact) for contact in contacts]
    if call.options.shuffle_answers:
        call.chance.shuffle(made)
    return {"success": True, "tasks": [_with_contact(call, task) for task in made]}


def show(call: Call) -> Any:
    """GET /tasks/{id}."""
    task = call.store.tasks.by_id.get(call.record_id)
    if task is None:
        raise unprocessable(
            "This task or emailer message has been deleted. Please refresh your page."
        )
    return {"task": _with_note_text(_shown(call, task))}


def update(call: Call) -> Any:
    """PATCH /tasks/{id}: a scheduled task loses the priority and the creator that are not sent."""
    task = call.store.tasks.by_id.get(call.record_id)
    if task is None:
        raise unprocessable("This task has been deleted. Please refresh your page.")
    sent = taken_fields(call.body, UPDATE_TASK)
    _check_values(call, sent)
    if sent.get("contact_id"):
        _check_contacts(call, [sent["contact_id"]])
    if task.status == "scheduled":
        sent = {**sent, "priority": sent.get("priority") or "medium"}
        sent["creator_id"] = sent.get("creator_id") or call.user_id
    elif call.options.strict and not sent.keys() <= _OF_DONE_TASKS:
        name = min(sent.keys() - _OF_DONE_TASKS)
        raise strict.refusal(call.endpoint.label, f"`{name}` of a task that is done stays as it is")
    else:
        sent = taken_fields(sent, _OF_DONE_TASKS)
    task.keep_former(call.now, call.options.search_lag_seconds)
    _write(task, sent)
    call.store.tasks.changed(task)
    return {"task": _with_note_text(_shown(call, task))}


def complete(call: Call) -> Any:
    """POST /tasks/{id}/complete: 200 also for an unknown task."""
    task = _ended(call, "completed")
    if task is None:
        return _deleted(call)
    task.own["completed_by_user_id"] = call.user_id
    shown = _shown(call, task)
    return {"task": shown, "contact": shown["contact"]} if "contact" in shown else {"task": shown}


def skip(call: Call) -> Any:
    """POST /tasks/{id}/skip: 200 also for an unknown task."""
    task = _ended(call, "skipped")
    if task is None:
        return _deleted(call)
    shown = task_object(task)
    return {"task": {**{key: shown[key] for key in ("id", "status", "note")}, "completed": False}}


def search(call: Call) -> Any:
    """POST /tasks/search: every task, the latest due first; there are no filters."""
    if call.number("per_page", 0) > 100:
        raise unprocessable("Per page not supported")
    page = asked_page(call)
    sort = call.text("sort_by_field")
    if sort not in _SORT_FIELDS:
        raise unknown_order()
    hits = Task.found(call.store.tasks.by_id.values(), call.now)
    hits.sort(key=lambda task: (task.own.get("due_at") or "", task.own["id"]), reverse=True)
    if sort == "task_priority":
        hits.sort(key=lambda task: PRIORITIES.index(task.own.get("priority", "medium")))
    shown = [_with_contact(call, task) for task in page.of(hits)]
    answer = envelope("tasks", shown, page, len(hits))
    kept = {key: answer[key] for key in ("tasks", "breadcrumbs", "pagination", "num_fetch_result")}
    return {**kept, "faceting": _facets(call, hits), "pipeline_total": len(hits)}


def _check_contacts(call: Call, contact_ids: Iterable[object]) -> None:
    for contact_id in contact_ids:
        if str(contact_id) not in call.store.contact_by_id:
            raise refuse_id(call, contact_id)


def _check_new(call: Call, sent: Mapping[str, Any]) -> None:
    if not sent.get("type") or not sent.get("user_id"):
        raise unprocessable("type and user can not be blank")
    for name in ("status", "due_at"):
        if not sent.get(name):
            raise unprocessable(f"Required parameter '{name}' missing")
    _check_values(call, sent)


def _check_values(call: Call, sent: Mapping[str, Any]) -> None:
    check_ids(call, {"owner_id": sent.get("user_id")})
    check_ids(call, {"owner_id": sent.get("creator_id")})
    for name, allowed in (("type", TYPES), ("priority", PRIORITIES), ("status", STATUSES)):
        if sent.get(name) and str(sent[name]) not in allowed:
            raise _refused_value(call, name)
    if sent.get("due_at") and due_time(str(sent["due_at"])) is None:
        raise _refused_value(call, "due_at")


def _refused_value(call: Call, name: str) -> Refusal:
    if call.options.strict:
        return strict.refusal(call.endpoint.label, f"`{name}` has a value that is not documented")
    return unprocessable(f"Parameters misconfigured. {name} is not valid")


def _created(call: Call, sent: Mapping[str, Any], contact: Contact) -> Task:
    tasks = call.store.tasks
    task = Task(
        tasks.created(call.stamp, call.user_id),
        found_from=call.now + call.options.search_lag_seconds,
    )
    _write(task, sent)
    own = contact.own
    task.own.update(contact_id=own["id"], account_id=own.get("account_id"))
    if not task.own.get("title"):
        name = own.get("name") or own.get("email") or ""
        task.own["title"] = f"{TYPES[task.own['type']]} {name}".strip()
    for status in ("completed", "skipped"):
        if task.status == status:
            task.own[f"{status}_at"] = offset_time(call.stamp)
    tasks.insert(task)
    return task


def _write(task: Task, sent: Mapping[str, Any]) -> None:
    for name, value in sent.items():
        if name == "due_at":
            task.own[name] = due_time(str(value)) if value else None
        elif name in _TEXTS or (name in _NEVER_EMPTY and value):
            task.own[name] = value


def _ended(call: Call, status: str) -> Task | None:
    """Complete or skip the task of the path; returns None if there is none."""
    task = call.store.tasks.by_id.get(call.record_id)
    if task is None:
        return None
    if task.status != "scheduled":
        raise unprocessable(_DONE, allow_moving_to_next_task=True)
    task.keep_former(call.now, call.options.search_lag_seconds)
    task.own.update({"status": status, f"{status}_at": offset_time(call.stamp)})
    if call.body.get("note"):
        task.own["note"] = str(call.body["note"])
    call.store.tasks.changed(task)
    return task


def _deleted(call: Call) -> Any:
    return {"task": {"id": call.record_id, "deleted": True}}


def _shown(call: Call, task: Task) -> dict[str, Any]:
    return {**shown_task(task), **_neighbours(call, task)}


def _with_note_text(shown: dict[str, Any]) -> dict[str, Any]:
    """A task as GET and PATCH show it: a call has its note as plain text too."""
    return {**shown, "note_text": shown["note"]} if shown["type"] == "call" else shown


def _with_contact(call: Call, task: Task) -> dict[str, Any]:
    return {**task_object(task), **_neighbours(call, task)}


def _neighbours(call: Call, task: Task) -> dict[str, Any]:
    """The contact and the account of a task, where it has them."""
    store, found = call.store, {}
    contact = store.contact_by_id.get(task.own.get("contact_id") or "")
    if contact is not None:
        found["contact"] = contact_object(contact, FOUND_CONTACT)
    account = store.account_by_id.get(task.own.get("account_id") or "")
    if account is not None:
        found["account"] = account_object(account, CREATED_ACCOUNT)
    return found


def _facets(call: Call, hits: list[Task]) -> dict[str, Any]:
    if "task_types" not in call.listed("open_factor_names"):
        return {}
    counts = {kind: sum(task.own.get("type") == kind for task in hits) for kind in TYPES}
    return {
        "task_types": [
            {"value": kind, "display_name": TYPES[kind], "count": count}
            for kind, count in counts.items()
            if count
        ]
    }
