"""A run is killed while rows come to other records, or get other addresses; the next mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.rate_windows import Plan
from target_apollo.sandbox.store import Store
from tests.helpers.identity_story import MOMENTS
from tests.helpers.killing import Death, Moment, run_target
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World
from tests.promises.conftest import Message, Run, schema
from tests.promises.identity.people import people, person

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


def _is_whole(
    sandbox: Sandbox, sync: Run, folder: Path, situation: Situation, death: Death, method: str
) -> bool:
    """Kill one run and start it again; whether there was such a moment in it."""
    folder.mkdir()
    settings = {"ledger_url": f"sqlite:///{folder}/ledger.db", "update_method": method}
    world = World(sandbox, sync, {**settings, "sandbox": sandbox})
    world.run(people([1, 2]))
    situation.meddle(sandbox.store)
    config = {
        **settings,
        "api_key": sandbox.api_key,
        "api_url": sandbox.url,
        "rejects_path": str(folder / "rejects.singer"),
        "summary_path": str(folder / "summary.json"),
    }
    lines = [json.dumps(message).encode() + b"\n" for message in situation.now]

    ended = run_target(config, folder, lines, death)
    done = world.run(situation.now)

    assert done.exit_code == 0, done.log
    assert not done.rejects, (death, done.rejects)
    assert world.names() in (situation.left, situation.or_left), death
    world.stays(situation.now)
    return ended.killed


@pytest.mark.full
@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name.lower())
def test_a_run_killed_at_any_moment_is_put_right_by_the_next(
    sync: Run, tmp_path: Path, name: str, moment: Moment
) -> None:
    options = SandboxOptions(strict=True, plan=Plan.UNLIMITED)
    for nth in range(1, _MOST_POINTS):
        # Both kinds of updates, in turn.
        method = ("individual", "bulk")[nth % 2]
        with new_sandbox(options) as sandbox:
            situation, death = SITUATIONS[name], Death(moment, nth)
            if not _is_whole(sandbox, sync, tmp_path / str(nth), situation, death, method):
                break
    assert nth > 1
