"""A run is killed while rows come to other records, or get other addresses; the next mends it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from target_apollo.sandbox import SandboxOptions
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.identity_story import MOMENTS
from tests.helpers.killing import NEVER, Death, Ended, Moment, run_target, some_of_each
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World
from tests.promises.conftest import Message, Run, schema
from tests.promises.identity.people import people, person

METHODS = ("individual", "bulk")
_MOST_POINTS = 60


def _rows(*rows: Message) -> list[Message]:
    return [schema("contacts"), *rows]


def _nothing(store: Store) -> None:
    pass


def _add_contact(store: Store) -> None:
    store.add_contact(email="new1@a.com", first_name="Ann1")


def _merge_first(store: Store) -> None:
    survivor = store.add_contact(email="q1@b.com", first_name="Ann1", last_name="Lee1")["id"]
    (merged,) = (one["id"] for one in store.contacts() if one.get("email") == "p1@a.com")
    store.merge_contacts(merged, survivor)


@dataclass(frozen=True)
class Situation:
    """What becomes of two people, of whom each has a record and a link.

    Attributes:
        meddle: What people do in Apollo.
        now: The rows of the next runs.
        left: (e-mail address, first name) of each contact afterwards.
        or_left: The same where the next run can't tell whether the address was written.
    """

    now: list[Message]
    left: list[tuple[str, str]]
    meddle: Callable[[Store], None] = _nothing
    or_left: list[tuple[str, str]] | None = None


SITUATIONS = {
    "shifted": Situation(
        people([3, 1, 2], title="New"),
        [("p1@a.com", "Ann1"), ("p2@a.com", "Ann2"), ("p3@a.com", "Ann3")],
    ),
    "address changed": Situation(
        _rows(person(1, 1, email="new1@a.com"), person(2, 2)),
        [("new1@a.com", "Ann1"), ("p2@a.com", "Ann2")],
    ),
    "swapped": Situation(
        _rows(person(1, 1, email="p2@a.com"), person(2, 2, email="p1@a.com")),
        [("p1@a.com", "Ann2"), ("p2@a.com", "Ann1")],
    ),
    "moved": Situation(
        _rows(person(1, 1, email="new1@a.com", title="New"), person(2, 2)),
        [("new1@a.com", "Ann1"), ("p1@a.com", "Ann1"), ("p2@a.com", "Ann2")],
        _add_contact,
    ),
    "new": Situation(
        _rows(person(3, 1), person(2, 2)),
        [("p1@a.com", "Ann1"), ("p2@a.com", "Ann2"), ("p3@a.com", "Ann3")],
    ),
    "merged": Situation(
        people([1, 2], title="New"),
        [("p2@a.com", "Ann2"), ("q1@b.com", "Ann1")],
        _merge_first,
        [("p1@a.com", "Ann1"), ("p2@a.com", "Ann2")],
    ),
}


@dataclass(frozen=True)
class Kills:
    """Runs of a situation that are killed, each with a new ledger and an Apollo of its own."""

    sync: Run
    folder: Path
    situation: Situation
    method: str

    def passed(self, moment: Moment) -> list[str]:
        """What each moment of this kind is in a run that nobody kills."""
        return self._play("whole", Death(moment, NEVER)).passed

    def was_killed(self, death: Death) -> bool:
        """Kill one run and start it again; whether there was such a moment in it."""
        return self._play(f"{death.nth} {death.at}".replace("/", "-"), death).killed

    def _play(self, name: str, death: Death) -> Ended:
        folder = self.folder / f"{self.method} {name}"
        folder.mkdir()
        settings = {"ledger_url": f"sqlite:///{folder}/ledger.db", "update_method": self.method}
        with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
            world = World(sandbox, self.sync, {**settings, "sandbox": sandbox})
            world.run(people([1, 2]))
            self.situation.meddle(sandbox.store)
            config = {
                **settings,
                "api_key": sandbox.api_key,
                "api_url": sandbox.url,
                "rejects_path": str(folder / "rejects.singer"),
                "summary_path": str(folder / "summary.json"),
            }
            lines = [json.dumps(message).encode() + b"\n" for message in self.situation.now]

            ended = run_target(config, folder, lines, death)
            done = world.run(self.situation.now)

            assert done.exit_code == 0, done.log
            assert not done.rejects, (death, done.rejects)
            assert world.names() in (self.situation.left, self.situation.or_left), death
            world.stays(self.situation.now)
        return ended


EVERY_WAY = [
    pytest.param(name, moment, method, id=f"{moment.name.lower()}-{name}-{method}")
    for name in SITUATIONS
    for moment in MOMENTS
    for method in METHODS
]


@pytest.mark.full
# Each situation and each moment with either method, though not each with each.
@pytest.mark.parametrize(("name", "moment", "method"), [*EVERY_WAY[::4], *EVERY_WAY[3::4]])
def test_a_run_killed_at_each_request_and_transaction_is_put_right_by_the_next(
    sync: Run, tmp_path: Path, name: str, moment: Moment, method: str
) -> None:
    kills = Kills(sync, tmp_path, SITUATIONS[name], method)
    deaths = some_of_each(moment, kills.passed(moment), random.Random(f"{name} {moment}"), most=1)
    assert deaths
    assert [death for death in deaths if not kills.was_killed(death)] == []


@pytest.mark.full
@pytest.mark.chaos
@pytest.mark.parametrize(("name", "moment", "method"), EVERY_WAY)
def test_a_run_killed_at_any_moment_is_put_right_by_the_next(
    sync: Run, tmp_path: Path, name: str, moment: Moment, method: str
) -> None:
    kills = Kills(sync, tmp_path, SITUATIONS[name], method)
    for nth in range(1, _MOST_POINTS):
        if not kills.was_killed(Death(moment, nth)):
            break
    assert nth > 1
