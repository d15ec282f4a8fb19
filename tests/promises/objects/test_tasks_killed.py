"""Tasks under kills and faults: no row has two, and a row with none is rejected as unknown."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.sync.objects import mark_index
from tests.helpers.killing import NEVER, Death, Ended, Moment, Values, run_target, some_of_each
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import (
    Message,
    TargetRun,
    lines_of,
    read_rejects,
    record,
    schema,
    state,
)

ROWS = 12
#: Rows that a task was made of before.
KNOWN = 4
#: Requests that are under way together.
TOGETHER = 4
ADDRESS = "ann@a.com"
#: A row that makes no task, so that the rejects file is written.
BAD = 99


@pytest.fixture(scope="module")
def place() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        sandbox.store.add_contact(email=ADDRESS)
        yield sandbox


@pytest.fixture(autouse=True)
def _no_tasks(place: Sandbox) -> None:
    empty(place)


def empty(apollo: Sandbox) -> None:
    for task in apollo.store.tasks.all():
        apollo.store.tasks.delete(task["id"])


def messages(apollo: Sandbox, rows: range, version: int) -> list[Message]:
    names = ("id", "email", "owner_id", "type", "due_at", "title")
    owner = apollo.store.users()[0]["id"]
    values = {"email": ADDRESS, "owner_id": owner, "type": "call", "due_at": "2027-03-01"}
    return [
        schema("calls", {"properties": {name: {} for name in names}}),
        *(record("calls", id=n, title=f"{n} of {version}", **values) for n in rows),
        record("calls", **{**values, "id": BAD, "type": "fax", "title": f"{version}"}),
        state({"at": len(rows)}),
    ]


def problems_of(apollo: Sandbox, unknown: set[int], version: int) -> list[str]:
    """What is wrong with the tasks; rows that are `unknown` need none, but have one at most."""
    found = Counter(str(task["title"]) for task in apollo.store.tasks.all())
    wanted = Counter(f"{n} of {version}" for n in range(ROWS) if n not in unknown)
    allowed = {f"{n} of {v}" for n in unknown for v in (1, 2)}
    left = found - wanted
    if wanted - found or not set(left) <= allowed or max(found.values(), default=0) > 1:
        return [f"{dict(found)} in place of {dict(wanted)}, unknown {unknown}"]
    return []


def unknown_rows(rejects: list[Message]) -> set[int]:
    reasons = {one["record"]["id"]: one["record"]["_reject"]["reason"] for one in rejects}
    assert reasons.pop(BAD, "unknown_name") == "unknown_name"
    assert set(reasons.values()) <= {"outcome_unknown"}
    return set(reasons)


class Point:
    """Tasks of twelve rows, of which four were made and changed since."""

    def __init__(self, apollo: Sandbox, folder: Path) -> None:
        self._apollo = apollo
        self._folder = folder
        folder.mkdir()
        empty(apollo)
        self._config: Values = {
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "ledger_url": f"sqlite:///{folder}/ledger.db",
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            "max_rejected_percent": 100,
            "streams": {"calls": {"object": "tasks", "mode": "upsert"}},
            "state_interval_seconds": 0,
        }
        assert self.run(None, range(KNOWN), version=1).exit_code == 0

    def run(self, death: Death | None, rows: range = range(ROWS), version: int = 2) -> Ended:
        lines = lines_of(messages(self._apollo, rows, version)).splitlines(keepends=True)
        return run_target(self._config, self._folder, lines, death)

    def problems(self) -> list[str]:
        unknown = unknown_rows(read_rejects(self._folder / "rejects.singer"))
        found = problems_of(self._apollo, unknown, 2)
        return found if len(unknown) <= TOGETHER else [*found, f"{len(unknown)} are unknown"]


def killed_and_run_again(apollo: Sandbox, folder: Path, death: Death) -> list[str]:
    point = Point(apollo, folder)
    point.run(death)
    done = point.run(None)
    return point.problems() + ([] if done.exit_code == 0 else [done.log])


def test_a_run_killed_at_a_sampled_moment_makes_each_task_at_most_once(
    place: Sandbox, tmp_path: Path
) -> None:
    nth = random.Random(str(tmp_path)).randint(8, 14)
    assert killed_and_run_again(place, tmp_path / "one", Death(Moment.BEFORE_ANSWER, nth)) == []


@pytest.mark.full
@pytest.mark.parametrize("moment", list(Moment), ids=lambda moment: moment.name.lower())
def test_a_run_killed_at_any_kind_of_moment_makes_each_task_at_most_once(
    place: Sandbox, tmp_path: Path, moment: Moment
) -> None:
    passed = Point(place, tmp_path / "whole").run(Death(moment, NEVER)).passed
    deaths = some_of_each(moment, passed, random.Random(str(tmp_path)))
    assert deaths
    problems = {
        death: found
        for number, death in enumerate(deaths)
        if (found := killed_and_run_again(place, tmp_path / str(number), death))
    }
    assert problems == {}


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.full) for n in range(2, 13))]
)
def test_faults_of_every_kind_make_no_task_twice_and_lose_none_without_a_word(
    place: Sandbox, sync: Callable[..., TargetRun], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(mark_index, "SHOWN_AFTER", mark_index.SHOWN_AFTER * 0)
    chance = random.Random(seed)
    settings: Values = {"streams": {"calls": {"object": "tasks", "mode": "upsert"}}}
    kinds = [kind for kind in FaultKind if kind is not FaultKind.SLOW]
    endpoints = ("POST /tasks", "PATCH /tasks/{id}", "GET /tasks/{id}", "POST /tasks/search")
    unknown: set[int] = set()
    for version in (1, 2):
        for turn in range(12):
            for endpoint in endpoints if turn < 9 else ():
                fault = Fault(
                    endpoint, chance.choice(kinds), times=1, after=chance.randrange(6), records=1
                )
                place.inject(fault)
            sent = messages(place, range(ROWS), version)
            done = sync(sent, sandbox=place, max_retries=0, **settings)
            place.clear_faults()
            unknown |= unknown_rows([one for one in done.rejects if "outcome_unknown" in str(one)])
            if done.exit_code == 0 and turn >= 9:
                break
        assert problems_of(place, unknown, version) == [], done.log
