"""Lists after runs that were killed, lost answers, ran out of quota or met random faults.

To put a member on a list, or to take it off, can be repeated without harm. So whatever became of a
run, the next one leaves the lists as the table has them, and what others added stays.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.data.store import Store
from tests.helpers.killing import NEVER, Death, Moment, run_target, some_of_each
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import Message, lines_of
from tests.promises.objects.test_mirrored_lists import (
    ADD,
    MIRROR,
    REMOVE,
    Run,
    member,
    members,
    on_list,
    people,
    table,
)

#: A person, by hand, is on the list from the start.
BY_HAND = 9
BEFORE = [*members([0, 1, 2, 3])]
#: One row stays, one moves to another list, one is gone, one names somebody else, one is new.
AFTER = [member(0), member(1, "Cold"), member(3, email="p5@a.com"), member(4)]
ONE_LEFT = [member(0)]


def fill(apollo: Sandbox) -> None:
    people(apollo, range(6))
    people(apollo, [BY_HAND], "Hot")


def check_lists(apollo: Sandbox) -> None:
    assert on_list(apollo) == {0, 4, 5, BY_HAND}
    assert on_list(apollo, "Cold") == {1}


class Point:
    """A new Apollo and ledger, in which the first table is written."""

    def __init__(self, apollo: Sandbox, folder: Path) -> None:
        folder.mkdir()
        apollo.store = Store()
        apollo.reset_quota()
        self._folder = folder
        self._config: dict[str, Any] = {
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "state_interval_seconds": 0,
            "ledger_url": f"sqlite:///{folder}/ledger.db",
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            "max_updates": 100,
            **MIRROR,
        }
        fill(apollo)
        assert self.run(BEFORE) == 0

    def run(self, rows: list[Message], death: Death | None = None) -> int:
        return run_target(self._config, self._folder, [lines_of(table(*rows))], death).exit_code

    def passed(self, moment: Moment) -> list[str]:
        """The moments of that kind in a run of the second table."""
        messages = [lines_of(table(*AFTER))]
        return run_target(self._config, self._folder, messages, Death(moment, NEVER)).passed


def check_point(apollo: Sandbox, folder: Path, death: Death) -> bool:
    """Whether the run was killed there; what it left is made whole by the next."""
    point = Point(apollo, folder)
    killed = point.run(AFTER, death) < 0
    assert point.run(AFTER) == 0
    check_lists(apollo)
    # Nor has the ledger forgotten whom it put there.
    assert point.run(ONE_LEFT) == 0
    assert on_list(apollo) == {0, BY_HAND}
    assert on_list(apollo, "Cold") == set()
    return killed


_MOMENTS = (
    Moment.BEFORE_REQUEST,
    Moment.BEFORE_ANSWER,
    Moment.BEFORE_COMMIT,
    Moment.AFTER_COMMIT,
    Moment.BEFORE_STATE,
)


@pytest.mark.full
@pytest.mark.parametrize("moment", _MOMENTS, ids=lambda moment: moment.name.lower())
def test_lists_are_right_after_a_kill_at_any_moment(
    apollo: Sandbox, tmp_path: Path, moment: Moment
) -> None:
    passed = Point(apollo, tmp_path / "whole").passed(moment)
    deaths = some_of_each(moment, passed, random.Random(str(tmp_path)))
    killed = [
        check_point(apollo, tmp_path / str(number), death) for number, death in enumerate(deaths)
    ]
    assert any(killed) or moment is Moment.BEFORE_STATE


def test_lists_are_right_after_a_kill_between_addition_and_outcome(
    apollo: Sandbox, tmp_path: Path
) -> None:
    # The last requests of the run are those that write lists.
    passed = Point(apollo, tmp_path / "whole").passed(Moment.BEFORE_ANSWER)
    death = Death(Moment.BEFORE_ANSWER, len(passed) - 1)

    assert check_point(apollo, tmp_path / "killed", death)


@pytest.mark.parametrize("endpoint", [ADD, REMOVE])
def test_a_lost_answer_changes_nothing(apollo: Sandbox, sync: Run, endpoint: str) -> None:
    fill(apollo)
    sync(table(*BEFORE), **MIRROR)
    apollo.inject(Fault(endpoint=endpoint, kind=FaultKind.RESET_AFTER_WRITE, times=None))
    lost = sync(table(*AFTER), **MIRROR, max_retries=0)
    apollo.clear_faults()

    done = sync(table(*AFTER), **MIRROR)

    assert lost.exit_code == 1
    assert done.exit_code == 0, done.log
    check_lists(apollo)


def test_a_run_without_quota_stops_and_the_next_one_goes_on(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(4))
    rows = table(member(0), member(1, "Warm"), member(2, "Cold"), member(3, "Icy"))
    apollo.inject(
        Fault(endpoint=ADD, kind=FaultKind.RATE_LIMITED, retry_after=3600, after=2, times=None)
    )
    stopped = sync(rows)
    apollo.clear_faults()

    done = sync(rows)

    assert stopped.exit_code == 3
    assert stopped.last_state is None
    assert stopped.records == {"received": 4, "created": 2, "without_outcome": 2}
    assert done.records == {"received": 4, "created": 2, "unchanged": 2}


@pytest.mark.full
@pytest.mark.parametrize("seed", range(6))
def test_lists_follow_a_table_through_random_faults(sync: Run, seed: int) -> None:
    chance = random.Random(seed)
    options = SandboxOptions(strict=True, minute_limit=10**6, hour_limit=10**6, day_limit=10**6)
    names = ("Hot", "Cold", "Warm")
    with new_sandbox(options) as apollo:
        people(apollo, range(40))
        people(apollo, range(90, 95), "Hot")
        wanted: dict[int, tuple[str, int]] = {}
        for _ in range(6):
            for _ in range(chance.randrange(30)):
                wanted[chance.randrange(40)] = (chance.choice(names), chance.randrange(40))
            for key in chance.sample(sorted(wanted), len(wanted) // 3):
                del wanted[key]
            rows = [member(n, name, email=f"p{who}@a.com") for n, (name, who) in wanted.items()]
            chance.shuffle(rows)
            for endpoint in (ADD, REMOVE):
                kind = chance.choice([FaultKind.RESET_AFTER_WRITE, FaultKind.RESET_BEFORE_WRITE])
                apollo.inject(
                    Fault(endpoint=endpoint, kind=kind, times=3, probability=0.4, seed=seed)
                )
            tries = 0
            while sync(
                table(*rows), sandbox=apollo, max_updates=999, max_retries=0, **MIRROR
            ).exit_code:
                tries += 1
                assert tries < 8
            apollo.clear_faults()
            for name in names:
                others = set(range(90, 95)) if name == "Hot" else set()
                assert on_list(apollo, name) == others | {
                    who for of_row, who in wanted.values() if of_row == name
                }
