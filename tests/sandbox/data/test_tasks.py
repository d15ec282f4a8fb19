"""Tasks for the users of the team."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.sales_objects import tasks_of
from tests.sandbox.conftest import Client, fresh

DUE = "2026-12-31T10:00:00Z"


def fields(apollo: Sandbox, **more: Any) -> dict[str, Any]:
    """A valid task without its contact."""
    owner = apollo.store.users()[1]["id"]
    return {"user_id": owner, "type": "call", "status": "scheduled", "due_at": DUE, **more}


def contact_of(apollo: Sandbox, **more: Any) -> str:
    contact_id: str = apollo.store.add_contact(email=fresh(), **more)["id"]
    return contact_id


def create(apollo: Sandbox, client: Client, **more: Any) -> dict[str, Any]:
    body = fields(apollo, contact_id=contact_of(apollo, first_name="Ann", last_name="Lee"), **more)
    task: dict[str, Any] = client.post("/tasks", body)["task"]
    return task


def test_a_task_names_its_contact_where_it_has_no_title(apollo: Sandbox, client: Client) -> None:
    task = create(apollo, client)
    assert (task["title"], task["priority"]) == ("Call Ann Lee", "medium")
    assert task["contact"]["id"] == task["contact_id"]
    assert create(apollo, client, title="Ring")["title"] == "Ring"


@pytest.mark.parametrize(
    "due", ["2026-12-31T10:00:00Z", "2026-12-31T15:00:00+05:00", "2026-12-31T10:00:00"]
)
def test_the_due_time_is_answered_in_utc(apollo: Sandbox, client: Client, due: str) -> None:
    assert create(apollo, client, due_at=due)["due_at"] == "2026-12-31T10:00:00.000+00:00"


def test_the_same_task_sent_twice_makes_two(apollo: Sandbox, client: Client) -> None:
    body = fields(apollo, contact_id=contact_of(apollo))
    assert client.post("/tasks", body)["task"]["id"] != client.post("/tasks", body)["task"]["id"]
    assert [*tasks_of(apollo).values()] == [2]


@pytest.mark.parametrize("path", ["/tasks", "/tasks/bulk_create"])
@pytest.mark.parametrize("name", ["user_id", "type"])
def test_a_task_needs_a_type_and_a_user(
    apollo: Sandbox, client: Client, path: str, name: str
) -> None:
    body = {key: value for key, value in fields(apollo).items() if key != name}
    assert client.error("POST", path, body) == {"error": "type and user can not be blank"}


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "fax"},
        {"priority": "urgent"},
        {"status": "open"},
        {"due_at": "soon"},
        {"due_at": "2026-12-31"},
    ],
)
def test_strict_mode_refuses_values_that_are_not_documented(
    apollo: Sandbox, client: Client, odd: dict[str, str]
) -> None:
    body = fields(apollo, contact_id=contact_of(apollo), **odd)
    assert f"`{next(iter(odd))}`" in client.error("POST", "/tasks", body)["error"]


def test_many_contacts_get_a_task_each(apollo: Sandbox, client: Client) -> None:
    ids = [contact_of(apollo), contact_of(apollo)]
    answer = client.post("/tasks/bulk_create", fields(apollo, contact_ids=ids, note="Fair"))
    assert answer["success"] is True
    assert [(task["contact_id"], task["note"]) for task in answer["tasks"]] == [
        (contact_id, "Fair") for contact_id in ids
    ]
    client.error("POST", "/tasks/bulk_create", fields(apollo, contact_ids=ids, title="None"))


def test_a_contact_that_is_gone_gets_no_task_or_refuses_all(
    apollo: Sandbox, client: Client
) -> None:
    there, gone = contact_of(apollo), contact_of(apollo)
    apollo.store.delete_contact(gone)
    body = fields(apollo, contact_ids=[gone, there])
    (task,) = client.post("/tasks/bulk_create", body)["tasks"]
    assert task["contact_id"] == there
    apollo.set_options(bulk_tasks_skip_gone=False)
    assert gone in client.error("POST", "/tasks/bulk_create", body)["error"]
    assert gone in client.error("POST", "/tasks", fields(apollo, contact_id=gone))["error"]


def test_an_update_resets_the_priority_and_the_creator_it_leaves_out(
    apollo: Sandbox, client: Client
) -> None:
    admin, other = (user["id"] for user in apollo.store.users())
    kept = {"priority": "high", "creator_id": other}
    task = apollo.store.tasks.add(**kept)
    after = client.patch(f"/tasks/{task['id']}", {"note": "x", **kept})["task"]
    assert (after["priority"], after["creator_id"], after["note"]) == ("high", other, "x")
    after = client.patch(f"/tasks/{task['id']}", {"note": "y"})["task"]
    assert (after["priority"], after["creator_id"], after["note"]) == ("medium", admin, "y")


def test_of_a_task_that_is_done_only_some_fields_change(apollo: Sandbox, client: Client) -> None:
    task = apollo.store.tasks.add(status="completed", priority="high", title="Call")
    path = f"/tasks/{task['id']}"
    assert "`title`" in client.error("PATCH", path, {"title": "Ring"})["error"]
    apollo.set_options(strict=False)
    after = client.patch(path, {"title": "Ring", "note": "x"})["task"]
    assert (after["title"], after["note"], after["priority"]) == ("Call", "x", "high")


@pytest.mark.parametrize(("verb", "status"), [("complete", "completed"), ("skip", "skipped")])
def test_a_task_is_ended_once(apollo: Sandbox, client: Client, verb: str, status: str) -> None:
    task_id = create(apollo, client)["id"]
    client.post(f"/tasks/{task_id}/{verb}", {"note": "Done"})
    after = client.get(f"/tasks/{task_id}")["task"]
    assert (after["status"], after["note"], bool(after[f"{status}_at"])) == (status, "Done", True)
    assert client.error("POST", f"/tasks/{task_id}/{verb}") == {
        "error": "This task is already completed / skipped.",
        "allow_moving_to_next_task": True,
    }


@pytest.mark.parametrize("verb", ["complete", "skip"])
def test_to_end_a_task_that_is_gone_is_answered_with_200(client: Client, verb: str) -> None:
    gone = "f" * 24
    assert client.post(f"/tasks/{gone}/{verb}") == {"task": {"id": gone, "deleted": True}}


def test_a_task_that_is_gone_is_told_in_two_ways(client: Client) -> None:
    path = f"/tasks/{'f' * 24}"
    assert client.error("GET", path)["error"].startswith("This task or emailer message has been")
    assert client.error("PATCH", path, {"note": "x"})["error"].startswith("This task has been del")


def test_a_search_shows_the_latest_due_first_and_takes_no_filter(
    apollo: Sandbox, client: Client
) -> None:
    for day, priority in ((2, "low"), (3, "medium"), (1, "high")):
        due = f"2026-01-0{day}T00:00:00.000+00:00"
        apollo.store.tasks.add(note=str(day), due_at=due, priority=priority)

    def notes(**query: Any) -> list[str]:
        return [task["note"] for task in client.post("/tasks/search", params=query)["tasks"]]

    assert notes() == notes(sort_by_field="task_due_at") == ["3", "2", "1"]
    assert notes(sort_by_field="task_priority") == ["1", "3", "2"]
    assert notes(page=2, per_page=2) == ["1"]
    client.error("POST", "/tasks/search?contact_id=x")


def test_a_page_of_a_search_has_a_hundred_at_most(client: Client) -> None:
    refused = client.error("POST", "/tasks/search?per_page=101")
    assert refused == {"error": "Per page not supported"}
    client.error("POST", "/tasks/search?per_page=100&page=501")


def test_a_search_counts_the_types_where_it_is_asked_to(apollo: Sandbox, client: Client) -> None:
    apollo.store.tasks.add(type="call")
    answer = client.post("/tasks/search", params={"open_factor_names[]": "task_types"})
    assert [(one["value"], one["count"]) for one in answer["faceting"]["task_types"]] == [
        ("call", 1)
    ]


def test_a_search_may_find_a_task_late(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(search_lag_seconds=3600)
    create(apollo, client)
    assert client.post("/tasks/search")["tasks"] == []


def test_only_a_call_has_its_note_as_plain_text(apollo: Sandbox, client: Client) -> None:
    call, item = (create(apollo, client, type=kind, note="x") for kind in ("call", "action_item"))
    assert client.get(f"/tasks/{call['id']}")["task"]["note_text"] == "x"
    assert "note_text" not in client.get(f"/tasks/{item['id']}")["task"]
    assert "note_text" not in client.post(f"/tasks/{call['id']}/complete")["task"]
