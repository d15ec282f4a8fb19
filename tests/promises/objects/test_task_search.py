"""How the tasks of rows are looked for: cut off by a limit, or disturbed by people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.answers import CheckedBody
from target_apollo.apollo.object_clients import CountedPage, TaskClient
from target_apollo.ledger import Ledger, Walk
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sync.objects import task_search
from tests.promises.conftest import Message, TargetRun, record, schema

Run = Callable[..., TargetRun]

SEARCH, CREATE = "POST /tasks/search", "POST /tasks"
COLUMNS = ("id", "contact_id", "owner_id", "type", "due_at")
CALLS = {"streams": {"calls": {"object": "tasks"}}}


@pytest.fixture
def write(sync: Run, apollo: Sandbox) -> Run:
    contact_id = apollo.store.add_contact(email="p@a.com")["id"]
    owner_id = apollo.store.users()[0]["id"]
    values = {"contact_id": contact_id, "owner_id": owner_id, "type": "call"}

    def run(*dues: str, **settings: Any) -> TargetRun:
        rows: list[Message] = [
            record("calls", id=due, due_at=due, **values) for due in dict.fromkeys(dues)
        ]
        properties = {"properties": {name: {} for name in COLUMNS}}
        return sync([schema("calls", properties), *rows], **{**CALLS, **settings})

    return run


@pytest.fixture(autouse=True)
def others(apollo: Sandbox) -> None:
    """Tasks of others, ten a day."""
    for n in range(300):
        apollo.store.tasks.add(due_at=f"2028-01-{n // 10 + 1:02}T00:00:{n % 10:02}.000+00:00")


def test_a_search_that_a_limit_cut_off_goes_on_in_the_next_run(apollo: Sandbox, write: Run) -> None:
    apollo.inject(Fault(SEARCH, FaultKind.RATE_LIMITED, after=2, retry_after=3600))
    stopped = write("2027-03-01", max_wait_seconds=0)
    read = apollo.count(SEARCH)

    done = write("2027-03-01")

    assert (stopped.exit_code, stopped.records) == (3, {"received": 1, "without_outcome": 1})
    assert done.records == {"received": 1, "created": 1}
    # The last page once more, since tasks may have moved to it.
    assert apollo.count(SEARCH) - read == 2


def test_no_task_is_made_again_where_many_were_deleted_between_two_runs_of_a_search(
    apollo: Sandbox, write: Run, tmp_path: Path
) -> None:
    write("2028-01-08")
    new_ledger = {"ledger_url": f"sqlite:///{tmp_path}/new.db"}
    apollo.inject(Fault(SEARCH, FaultKind.RATE_LIMITED, after=2, retry_after=3600))
    assert write("2028-01-08", max_wait_seconds=0, **new_ledger).exit_code == 3
    for task in apollo.store.tasks.all():
        if task["due_at"] >= "2028-01-16":
            apollo.store.tasks.delete(task["id"])

    done = write("2028-01-08", **new_ledger)

    assert apollo.count(CREATE) == 1, done.records


def test_no_task_is_made_again_where_as_many_were_made_as_deleted_between_two_runs_of_a_search(
    apollo: Sandbox, write: Run, tmp_path: Path
) -> None:
    write("2028-01-08")
    new_ledger = {"ledger_url": f"sqlite:///{tmp_path}/new.db"}
    apollo.inject(Fault(SEARCH, FaultKind.RATE_LIMITED, after=2, retry_after=3600))
    assert write("2028-01-08", max_wait_seconds=0, **new_ledger).exit_code == 3
    gone = [one for one in apollo.store.tasks.all() if one["due_at"] >= "2028-01-16"]
    for task in gone:
        apollo.store.tasks.delete(task["id"])
        apollo.store.tasks.add(due_at="2027-01-01T00:00:00.000+00:00")

    done = write("2028-01-08", **new_ledger)

    assert apollo.count(CREATE) == 1, done.records


def test_a_search_that_an_earlier_release_began_begins_anew(
    apollo: Sandbox, write: Run, tmp_path: Path
) -> None:
    url, place = f"sqlite:///{tmp_path}/own.db", f"{apollo.store.team_id}/tasks"
    apollo.inject(Fault(SEARCH, FaultKind.RATE_LIMITED, after=2, retry_after=3600))
    write("2027-03-01", max_wait_seconds=0, ledger_url=url)
    with Ledger.open(url) as ledger:
        walk = ledger.walk(place)
        assert walk is not None
        assert walk.newest is not None
        began = walk.newest.partition(" ")[0]
        # Such a release kept the number of tasks, and not up to which time they were read.
        ledger.save_walk(place, Walk(walk.next_page, f"{began} 300"))
    read = apollo.count(SEARCH)

    done = write("2027-03-01", ledger_url=url)

    assert done.records == {"received": 1, "created": 1}
    assert apollo.count(SEARCH) - read == 3


def test_rows_that_are_due_before_all_that_apollo_shows_are_rejected(
    apollo: Sandbox, write: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_search, "MOST_PAGES", 2)

    done = write("2027-03-01", "2028-01-29")
    read = apollo.count(SEARCH)
    later = write("2027-03-01", "2027-03-02", "2028-01-30")

    assert done.records == {"received": 2, "created": 1, "rejected": 1}
    assert later.records == {"received": 3, "created": 1, "rejected": 2}
    assert set(done.reasons + later.reasons) == {"outcome_unknown"}
    assert apollo.count(SEARCH) == read == 2


@pytest.mark.parametrize(("lacking", "exit_code"), [(1, 0), (2, 1)])
def test_a_page_that_lacks_tasks_makes_the_search_begin_again_once(
    apollo: Sandbox,
    write: Run,
    monkeypatch: pytest.MonkeyPatch,
    lacking: int,
    exit_code: int,
) -> None:
    send, pages = TaskClient._send, [*range(lacking)]

    def cut(client: TaskClient, endpoint: str, *some: Any, **more: Any) -> CheckedBody:
        body = send(client, endpoint, *some, **more)
        if endpoint == SEARCH and pages:
            pages.pop()
            body.whole()["tasks"].pop()
        return body

    monkeypatch.setattr(TaskClient, "_send", cut)

    done = write("2027-03-01")

    assert done.exit_code == exit_code, done.log
    assert apollo.count(CREATE) == (1 if exit_code == 0 else 0)


@pytest.mark.parametrize(("deletions", "exit_code"), [(1, 0), (2, 1)])
def test_tasks_that_are_deleted_meanwhile_make_the_search_begin_again_once(
    apollo: Sandbox,
    write: Run,
    monkeypatch: pytest.MonkeyPatch,
    deletions: int,
    exit_code: int,
) -> None:
    page = TaskClient.page
    left = [one["id"] for one in apollo.store.tasks.all()[-deletions:]]

    def disturbed(client: TaskClient, number: int) -> CountedPage:
        answer = page(client, number)
        if number == 1 and left:
            apollo.store.tasks.delete(left.pop())
        return answer

    monkeypatch.setattr(TaskClient, "page", disturbed)

    done = write("2027-03-01")

    assert done.exit_code == exit_code, done.log
    assert apollo.count(CREATE) == (1 if exit_code == 0 else 0)
    assert ("Tasks were deleted in Apollo" in done.log) is (exit_code == 1)
