"""What a stream of tasks does to Apollo's tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from target_apollo.cli import replay
from target_apollo.cli.check import command as check
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sync.objects import mark_index
from tests.promises.conftest import Message, TargetRun, contact, record, schema, state

Run = Callable[..., TargetRun]

CREATE, READ, UPDATE = "POST /tasks", "GET /tasks/{id}", "PATCH /tasks/{id}"
SEARCH, SKIP, COMPLETE = "POST /tasks/search", "POST /tasks/{id}/skip", "POST /tasks/{id}/complete"
COLUMNS = (
    "id",
    "email",
    "contact_id",
    "owner_email",
    "type",
    "due_at",
    "priority",
    "status",
    "title",
    "note",
    "apollo_id",
    "_sdc_deleted_at",
)
CALLS = {"streams": {"calls": {"object": "tasks"}}}
UPSERT = {"streams": {"calls": {"object": "tasks", "mode": "upsert"}}}
DUE = "2027-03-01T10:00:00Z"
ADA = "ada@team.example"


@pytest.fixture(autouse=True)
def _search_shows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark_index, "SHOWN_AFTER", mark_index.SHOWN_AFTER * 0)


@pytest.fixture(autouse=True)
def people(apollo: Sandbox) -> None:
    apollo.store.add_user(email=ADA, first_name="Ada", last_name="L")
    for n in range(5):
        apollo.store.add_contact(email=f"p{n}@a.com", first_name=f"P{n}")


@pytest.fixture
def write(sync: Run) -> Run:
    def run(*rows: Message, **settings: Any) -> TargetRun:
        return sync(calls(*rows), **{**CALLS, **settings})

    return run


def calls(*rows: Message) -> list[Message]:
    properties = {"properties": {name: {} for name in COLUMNS}}
    return [schema("calls", properties), *(record("calls", **row) for row in rows)]


def call(number: int, **more: Any) -> Message:
    return {
        "id": number,
        "email": f"p{number % 5}@a.com",
        "owner_email": ADA,
        "type": "call",
        "due_at": DUE,
        **more,
    }


def tasks(apollo: Sandbox) -> list[dict[str, Any]]:
    return apollo.store.tasks.all()


def the_task(apollo: Sandbox) -> dict[str, Any]:
    (task,) = tasks(apollo)
    return task


def contact_id(apollo: Sandbox, address: str) -> str:
    (found,) = [str(one["id"]) for one in apollo.store.contacts() if one["email"] == address]
    return found


def ada(apollo: Sandbox) -> str:
    (found,) = [str(one["id"]) for one in apollo.store.users() if one["email"] == ADA]
    return found


# --- new tasks


def test_a_new_row_becomes_a_task_whose_note_tells_which_row_it_is_of(
    apollo: Sandbox, write: Run
) -> None:
    done = write(call(1, note="Ask for the renewal", priority="High"), source="crm")

    assert done.records == {"received": 1, "created": 1}, done.log
    task = the_task(apollo)
    assert task["contact_id"] == contact_id(apollo, "p1@a.com")
    assert task["user_id"] == ada(apollo)
    assert (task["type"], task["priority"], task["status"]) == ("call", "high", "scheduled")
    assert task["due_at"] == "2027-03-01T10:00:00.000+00:00"
    assert task["note"] == "Ask for the renewal\n\n[wh:crm/calls/1]"


def test_insert_is_the_mode_whatever_the_setting_mode_says(apollo: Sandbox, write: Run) -> None:
    write(call(1), mode="upsert")

    done = write(call(1, priority="high"), mode="upsert")

    assert done.records == {"received": 1, "existing": 1}
    assert the_task(apollo)["priority"] == "medium"
    assert apollo.count(READ) == apollo.count(UPDATE) == 0


def test_an_unchanged_row_costs_no_request(apollo: Sandbox, write: Run) -> None:
    write(call(1))
    searches = apollo.count(SEARCH)

    done = write(call(1))

    assert done.records == {"received": 1, "unchanged": 1}
    assert (apollo.count(CREATE), apollo.count(SEARCH)) == (1, searches)


def test_new_rows_need_no_search_once_the_ledger_knows_the_tasks(
    apollo: Sandbox, write: Run
) -> None:
    write(call(1))

    done = write(call(2), call(3, due_at="2027-06-01"))

    assert done.records == {"received": 2, "created": 2}
    assert apollo.count(SEARCH) == 1


def test_a_date_without_a_time_is_that_day_at_noon(apollo: Sandbox, write: Run) -> None:
    write(call(1, due_at="2027-03-01"))
    assert the_task(apollo)["due_at"] == "2027-03-01T12:00:00.000+00:00"


def test_what_is_done_already_is_made_as_done(apollo: Sandbox, write: Run) -> None:
    write(call(1, status="Completed"))
    assert the_task(apollo)["status"] == "completed"


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"type": "cal"}, "unknown_name", "did you mean 'call'?"),
        ({"priority": "urgent"}, "unknown_name", "it has high, medium, low"),
        ({"due_at": "soon"}, "wrong_type", "must be a date and time"),
        ({"due_at": None}, "missing_value", "a task needs 'due_at'"),
        ({"owner_email": None}, "missing_value", "a task needs 'owner_email'"),
        ({"owner_email": "nobody@team.example"}, "unknown_name", "no active Apollo user"),
        ({"email": None}, "missing_match_key", "the row names no contact"),
        ({"email": "nobody@a.com"}, "unknown_name", "no contact with that address"),
    ],
)
def test_a_row_that_makes_no_task_is_rejected_with_a_sentence(
    apollo: Sandbox, write: Run, changes: Message, reason: str, words: str
) -> None:
    done = write(call(1, **changes), call(2))

    assert done.reasons == [reason]
    assert words in done.rejects[0]["record"]["_reject"]["detail"]
    assert done.records == {"received": 2, "created": 1, "rejected": 1}


def test_without_a_ledger_nothing_is_written(apollo: Sandbox, write: Run) -> None:
    done = write(call(1), ledger_url="")

    assert done.exit_code == 2
    assert "Set ledger_url" in done.log
    assert tasks(apollo) == []


def test_contacts_that_the_same_run_makes_can_have_tasks(apollo: Sandbox, sync: Run) -> None:
    new = contact(9, email="new@a.com")
    messages = [schema("contacts"), new, *calls(call(1, email="new@a.com"))]

    done = sync(messages, **CALLS)

    assert done.records == {"received": 2, "created": 2}
    assert the_task(apollo)["contact_id"] == contact_id(apollo, "new@a.com")


# --- updates


def test_a_changed_row_changes_its_task_and_resets_neither_priority_nor_creator(
    apollo: Sandbox, write: Run
) -> None:
    write(call(1, priority="high", note="Ask"), **UPSERT)
    creator = the_task(apollo)["creator_id"]

    done = write(call(1, due_at="2027-03-02T10:00:00Z", note="Ask"), **UPSERT)

    assert done.records == {"received": 1, "updated": 1}, done.log
    task = the_task(apollo)
    assert task["due_at"].startswith("2027-03-02")
    assert (task["priority"], task["creator_id"]) == ("high", creator)
    assert (apollo.count(READ), apollo.count(UPDATE)) == (1, 1)


def test_what_sales_changed_stays_where_the_row_has_not_changed_it(
    apollo: Sandbox, write: Run, sales: Callable[..., None]
) -> None:
    write(call(1, priority="low", note="Ask"), **UPSERT)
    sales(note="Ask. Left a voicemail", priority="high")

    write(call(1, priority="low", note="Ask", title="Renewal"), **UPSERT)

    task = the_task(apollo)
    assert task["title"] == "Renewal"
    assert (task["note"], task["priority"]) == ("Ask. Left a voicemail", "high")


@pytest.mark.parametrize("status", ["completed", "skipped"])
def test_a_task_that_a_person_has_ended_is_left_alone(
    apollo: Sandbox, write: Run, sales: Callable[..., None], status: str
) -> None:
    write(call(1), **UPSERT)
    sales(status=status)

    done = write(call(1, priority="high"), **UPSERT)
    again = write(call(1, priority="high"), **UPSERT)

    assert done.records == {"received": 1, "skipped": 1}
    assert "completed or skipped in Apollo" in done.log
    assert again.records == {"received": 1, "unchanged": 1}
    assert (apollo.count(READ), apollo.count(UPDATE)) == (1, 0)


@pytest.mark.parametrize(("status", "endpoint"), [("completed", COMPLETE), ("skipped", SKIP)])
def test_a_column_ends_a_task(apollo: Sandbox, write: Run, status: str, endpoint: str) -> None:
    write(call(1), **UPSERT)

    done = write(call(1, status=status, note="Reached"), **UPSERT)

    assert done.records == {"received": 1, "updated": 1}, done.log
    task = the_task(apollo)
    assert (task["status"], task["note"]) == (status, "Reached\n\n[wh:calls/1]")
    assert apollo.count(endpoint) == 1


def test_policies_keep_what_sales_own(apollo: Sandbox, write: Run) -> None:
    write(call(1, note="Ask"), **UPSERT)

    done = write(
        call(1, note="Other", priority="low"),
        field_policy={"note": "create_only", "owner_id": "never"},
        **UPSERT,
    )

    assert done.records == {"received": 1, "updated": 1}, done.log
    task = the_task(apollo)
    assert (task["note"], task["priority"]) == ("Ask\n\n[wh:calls/1]", "low")


def test_what_a_policy_kept_is_written_once_the_policy_is_gone(apollo: Sandbox, write: Run) -> None:
    write(call(1, note="Ask"), **UPSERT)
    write(call(1, note="Other"), field_policy={"note": "create_only"}, **UPSERT)

    done = write(call(1, note="Other"), **UPSERT)

    assert done.records == {"received": 1, "updated": 1}
    assert the_task(apollo)["note"] == "Other\n\n[wh:calls/1]"


def test_full_resync_writes_over_what_sales_changed(
    apollo: Sandbox, write: Run, sales: Callable[..., None]
) -> None:
    write(call(1, priority="low"), **UPSERT)
    sales(priority="high")

    write(call(1, priority="low"), full_resync=True, **UPSERT)

    assert the_task(apollo)["priority"] == "low"


def test_a_policy_for_the_owners_of_contacts_does_not_keep_tasks_from_being_made(
    apollo: Sandbox, write: Run
) -> None:
    assert write(call(1), field_policy={"owner_id": "never"}).records["created"] == 1


def test_update_writes_no_new_task(apollo: Sandbox, write: Run) -> None:
    done = write(call(1), streams={"calls": {"object": "tasks", "mode": "update"}})

    assert done.reasons == ["update_needs_id"]
    assert tasks(apollo) == []


@pytest.mark.full
def test_a_task_that_was_deleted_in_apollo_is_left_or_made_anew(
    apollo: Sandbox, write: Run
) -> None:
    write(call(1), **UPSERT)
    apollo.store.tasks.delete(the_task(apollo)["id"])

    left = write(call(1, priority="low"), **UPSERT)
    again = write(call(1, priority="low"), **UPSERT)
    recreated = write(call(1, priority="low"), on_apollo_delete="recreate", **UPSERT)

    assert left.records == again.records == {"received": 1, "skipped": 1}
    assert recreated.records == {"received": 1, "created": 1}
    assert the_task(apollo)["priority"] == "low"


def test_a_deleted_row_ends_its_task_only_if_on_delete_says_how(
    apollo: Sandbox, write: Run
) -> None:
    write(call(1), **UPSERT)
    gone = call(1, _sdc_deleted_at="2027-01-01T00:00:00Z")

    ignored = write(gone, **UPSERT)
    elsewhere = write(gone, on_delete="stage:Former", **UPSERT)
    skipped = write(gone, on_delete="stage:skipped", **UPSERT)
    again = write(gone, on_delete="stage:skipped", **UPSERT)

    assert ignored.records == elsewhere.records == {"received": 1, "skipped": 1}
    assert "is no way to end a task" in elsewhere.log
    assert skipped.records == {"received": 1, "updated": 1}
    assert again.records == {"received": 1, "unchanged": 1}
    assert the_task(apollo)["status"] == "skipped"


@pytest.fixture
def sales(apollo: Sandbox) -> Callable[..., None]:
    """Changes the only task as a person does in Apollo."""

    def change(**values: Any) -> None:
        (task,) = apollo.store.tasks.by_id.values()
        task.own.update(values)

    return change


# --- at most once


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE])
@pytest.mark.parametrize("settings", [CALLS, UPSERT], ids=["insert", "upsert"])
def test_a_task_whose_answer_was_lost_is_found_by_its_mark(
    apollo: Sandbox, write: Run, kind: FaultKind, settings: Message
) -> None:
    apollo.inject(Fault(CREATE, kind))
    lost = write(call(1), call(2), **settings)
    assert lost.exit_code == 1

    done = write(call(1), call(2), **settings)

    assert done.exit_code == 0, done.log
    assert done.records == {"received": 2, "created": 1, "unchanged": 1}
    assert len(tasks(apollo)) == apollo.count(CREATE) == 2


def test_a_task_that_is_not_found_after_a_lost_answer_is_not_sent_again_by_itself(
    apollo: Sandbox, write: Run
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    write(call(1))
    apollo.store.tasks.delete(the_task(apollo)["id"])

    done = write(call(1))
    again = write(call(1, priority="low"))

    assert done.reasons == again.reasons == ["outcome_unknown"]
    assert apollo.count(CREATE) == 1


@pytest.mark.full
def test_a_replay_sends_it_only_if_the_user_says_so(
    apollo: Sandbox, write: Run, target_config: Callable[..., Path]
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    write(call(1))
    apollo.store.tasks.delete(the_task(apollo)["id"])
    write(call(1))
    config = ["--config", str(target_config(apollo, **CALLS))]

    CliRunner().invoke(replay.command, config)
    assert tasks(apollo) == []
    CliRunner().invoke(replay.command, [*config, "--resend-unknown"])

    assert len(tasks(apollo)) == 1
    assert write(call(1)).records == {"received": 1, "unchanged": 1}


@pytest.mark.full
def test_a_replay_finds_a_task_that_apollo_shows_late(
    apollo: Sandbox, write: Run, target_config: Callable[..., Path]
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    apollo.set_options(search_lag_seconds=3600)
    write(call(1))
    assert write(call(1)).reasons == ["outcome_unknown"]
    for task in apollo.store.tasks.by_id.values():
        task.found_from = 0

    CliRunner().invoke(replay.command, ["--config", str(target_config(apollo, **CALLS))])

    assert len(tasks(apollo)) == apollo.count(CREATE) == 1
    assert write(call(1)).records == {"received": 1, "unchanged": 1}


@pytest.mark.full
def test_an_answer_about_another_task_is_no_answer(apollo: Sandbox, write: Run) -> None:
    other = apollo.store.tasks.add(note="By hand")
    answer = {"task": other}
    apollo.inject(Fault(CREATE, FaultKind.ERROR_AFTER_WRITE, status=200, body=answer))
    assert write(call(1)).exit_code == 1

    done = write(call(1, priority="high"), **UPSERT)

    assert done.records == {"received": 1, "created": 1}, done.log
    notes = {task["id"]: task["note"] for task in tasks(apollo)}
    assert notes.pop(other["id"]) == "By hand"
    assert [*notes.values()] == ["[wh:calls/1]"]


def test_a_row_that_names_its_task_is_that_tasks(apollo: Sandbox, write: Run) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    write(call(1))
    task_id = the_task(apollo)["id"]

    done = write(call(1, apollo_id=task_id))

    assert done.records == {"received": 1, "created": 1}
    assert len(tasks(apollo)) == apollo.count(CREATE) == 1


def test_a_row_that_cannot_be_read_in_between_stays_in_doubt(apollo: Sandbox, write: Run) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    write(call(1))

    write(call(1, due_at="soon"))
    done = write(call(1))

    assert done.records == {"received": 1, "created": 1}
    assert len(tasks(apollo)) == 1


@pytest.mark.parametrize("settings", [CALLS, UPSERT], ids=["insert", "upsert"])
def test_with_a_new_ledger_tasks_are_found_by_their_mark(
    apollo: Sandbox, write: Run, tmp_path: Path, settings: Message
) -> None:
    rows = [call(n, note=f"Number {n}") for n in range(3)]
    write(*rows, **settings)
    for _ in range(120):
        apollo.store.tasks.add(due_at="2028-01-01T00:00:00.000+00:00")

    new = {"ledger_url": f"sqlite:///{tmp_path}/new.db"}
    done = write(*rows, call(3), **settings, **new)

    outcome = "existing" if settings is CALLS else "unchanged"
    assert done.records == {"received": 4, "created": 1, outcome: 3}
    assert len(tasks(apollo)) == 120 + 4
    assert (apollo.count(SEARCH), apollo.count(READ)) == (1 + 2, 0)


def test_a_task_that_may_be_the_rows_with_its_mark_taken_away_makes_no_second(
    apollo: Sandbox, write: Run, sales: Callable[..., None], tmp_path: Path
) -> None:
    write(call(1))
    sales(note="")

    done = write(call(1), ledger_url=f"sqlite:///{tmp_path}/new.db")

    assert done.reasons == ["outcome_unknown"]
    assert len(tasks(apollo)) == 1


def test_of_two_tasks_with_the_mark_of_a_row_none_is_chosen(
    apollo: Sandbox, write: Run, tmp_path: Path
) -> None:
    write(call(1))
    apollo.store.tasks.add(note="Copied [wh:calls/1]", due_at="2027-03-01T10:00:00.000+00:00")

    done = write(call(1), ledger_url=f"sqlite:///{tmp_path}/new.db")

    assert done.reasons == ["identity_conflict"]
    assert len(tasks(apollo)) == 2


@pytest.mark.parametrize("is_copy", [True, False])
def test_after_one_of_the_two_was_deleted_the_other_is_the_rows(
    apollo: Sandbox, write: Run, tmp_path: Path, is_copy: bool
) -> None:
    write(call(1))
    (made,) = tasks(apollo)
    copy = apollo.store.tasks.add(note="[wh:calls/1]", due_at="2027-03-01T10:00:00.000+00:00")
    new = {"ledger_url": f"sqlite:///{tmp_path}/new.db"}
    write(call(1), **new)
    apollo.store.tasks.delete((copy if is_copy else made)["id"])

    done = write(call(1), **new)

    assert done.records == {"received": 1, "existing": 1}, done.log
    assert len(tasks(apollo)) == 1


def test_of_two_rows_whose_keys_look_alike_in_a_mark_only_one_gets_a_task(
    apollo: Sandbox, write: Run
) -> None:
    done = write(call(17), {**call(17), "id": "17"})

    assert done.reasons == ["identity_conflict"]
    assert len(tasks(apollo)) == 1


def test_only_the_tasks_down_to_the_day_of_the_earliest_row_are_read(
    apollo: Sandbox, write: Run
) -> None:
    for n in range(150):
        apollo.store.tasks.add(due_at=f"2028-01-01T00:00:{n % 60:02}.000+00:00")
    for _ in range(350):
        apollo.store.tasks.add(due_at="2026-01-01T00:00:00.000+00:00")

    assert write(call(1)).records == {"received": 1, "created": 1}
    assert apollo.count(SEARCH) == 2


def test_a_row_that_apollo_did_not_take_is_sent_again(apollo: Sandbox, write: Run) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RATE_LIMITED, retry_after=3600))
    stopped = write(call(1), max_wait_seconds=0)
    assert stopped.exit_code == 3

    done = write(call(1))

    assert done.records == {"received": 1, "created": 1}, done.log


# --- runs


def test_the_run_stops_at_max_creates_and_the_next_one_goes_on(apollo: Sandbox, write: Run) -> None:
    rows = [call(n) for n in range(5)]

    stopped = write(*rows, max_creates=3)
    done = write(*rows)

    assert (stopped.exit_code, stopped.records["created"]) == (1, 3)
    assert done.records == {"received": 5, "unchanged": 3, "created": 2}


def test_state_passes_behind_what_was_written_before_a_refusal_for_the_quota(
    apollo: Sandbox, sync: Run
) -> None:
    rows = calls(*(call(n) for n in range(9)))
    messages = [*rows[:5], state({"at": 4}), *rows[5:], state({"at": 9})]
    apollo.inject(Fault(CREATE, FaultKind.RATE_LIMITED, after=6, times=None, retry_after=3600))

    first = sync(messages, **CALLS, max_wait_seconds=0)
    apollo.clear_faults()
    second = sync(messages, **CALLS, max_wait_seconds=0)

    assert (first.exit_code, first.records["created"]) == (3, 6)
    assert first.last_state == {"at": 4}
    assert (second.exit_code, second.records) == (0, {"received": 9, "created": 3, "unchanged": 6})
    assert len(tasks(apollo)) == 9


@pytest.mark.full
def test_a_used_up_quota_ends_the_run_and_the_next_one_goes_on(apollo: Sandbox, sync: Run) -> None:
    rows = calls(*(call(n) for n in range(250)))
    messages = [*rows[:151], state({"at": 150}), *rows[151:], state({"at": 250})]

    first = sync(messages, **CALLS, max_wait_seconds=0)
    apollo.reset_quota()
    second = sync(messages, **CALLS, max_wait_seconds=0)

    assert (first.exit_code, first.records["created"]) == (3, 200)
    assert first.last_state == {"at": 150}
    assert (second.exit_code, second.records["created"]) == (0, 50)
    assert len(tasks(apollo)) == 250


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(apollo: Sandbox, write: Run) -> None:
    write(call(1), **UPSERT)

    done = write(call(1, priority="low"), call(2), dry_run=True, **UPSERT)

    assert done.records == {"received": 2, "created": 1, "updated": 1}
    assert done.summary["estimate"]["requests"][CREATE] == 1
    assert (the_task(apollo)["priority"], apollo.count(READ)) == ("medium", 0)


def test_rows_that_are_all_refused_alike_cost_twenty_requests(apollo: Sandbox, write: Run) -> None:
    refusal = {"error": "No tasks today"}
    apollo.inject(Fault(CREATE, FaultKind.ERROR_BEFORE_WRITE, times=None, status=422, body=refusal))

    done = write(*(call(n) for n in range(60)))

    assert done.exit_code == 1
    assert apollo.count(CREATE) == 20


def test_check_asks_for_the_endpoints_of_tasks_and_changes_nothing(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    config = ["--config", str(target_config(apollo, **UPSERT))]

    checked = CliRunner().invoke(check.command, config)

    assert checked.exit_code == 0, checked.output
    for endpoint in (CREATE, READ, UPDATE, SEARCH, SKIP, COMPLETE):
        assert apollo.count(endpoint) == 1, endpoint
    assert tasks(apollo) == []
