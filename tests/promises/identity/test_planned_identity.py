"""A plan shows identity changes as such, with their keys, before anything is written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.endpoints import READING
from target_apollo.sandbox import Sandbox
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, Run, TargetRun, lines_of, schema, state
from tests.promises.identity.people import people, person


def moved(count: int, total: int) -> list[Message]:
    """People of whom the first ``count`` have another address than before."""
    rows = [
        person(n, n, email=f"{'new' if n <= count else 'p'}{n}@a.com") for n in range(1, total + 1)
    ]
    return [schema("contacts"), *rows, state({"at": total})]


def planned(world: World, rows: list[Message], **settings: Any) -> TargetRun:
    """A dry run, which leaves Apollo as it is."""
    before = world.records()
    done = world.run(rows, dry_run=True, **settings)
    assert world.records() == before
    assert {request.endpoint for request in world.apollo.requests} <= READING
    assert done.states == []
    return done


def verdicts(done: TargetRun) -> dict[str, tuple[int, list[str]]]:
    """Verdict -> (number of contacts, the keys that are listed)."""
    told = done.summary["identity"].get("contacts", {})
    return {name: (found["count"], found["keys"]) for name, found in told.items()}


@pytest.mark.full
def test_changed_addresses_are_counted_with_their_keys(world: World) -> None:
    world.run(people(range(1, 15)))

    done = planned(world, moved(12, 14))

    assert done.exit_code == 0, done.log
    assert done.records == {"received": 14, "updated": 12, "unchanged": 2}
    assert verdicts(done)["address_changed"] == (12, [str(n) for n in range(1, 13)])
    sentence = "12 rows carry another address than the record they are linked to: 1, 2, 3"
    assert sentence in done.log


@pytest.mark.full
def test_no_more_than_twenty_keys_are_listed(world: World) -> None:
    world.run(people(range(1, 41)))

    count, keys = verdicts(planned(world, moved(40, 40)))["address_changed"]

    assert (count, len(keys)) == (40, 20)


@pytest.mark.full
def test_rows_as_they_were_are_no_identity_change(world: World) -> None:
    world.run(people(range(1, 4)))

    done = planned(world, people(range(1, 4), title="New"))

    assert verdicts(done) == {}
    assert "another address" not in done.log


def test_a_run_says_the_same_as_its_plan(world: World) -> None:
    world.run(people(range(1, 15)))
    world.apollo.store.add_contact(email="new1@a.com")
    rows = moved(12, 14)

    plan = planned(world, rows)
    done = world.run(rows)

    assert verdicts(done) == verdicts(plan)
    assert verdicts(plan)["moved"] == (1, ["1"])
    assert verdicts(plan)["address_changed"] == (11, [str(n) for n in range(2, 13)])


@pytest.mark.full
def test_a_plan_gives_an_address_that_a_row_leaves_to_a_new_row(world: World) -> None:
    world.run(people([1, 2]))
    rows = [schema("contacts"), person(1, 1, email="new1@a.com"), person(3, 3, email="p1@a.com")]

    plan = planned(world, rows)
    done = world.run(rows)

    assert plan.records == done.records == {"received": 2, "created": 1, "updated": 1}, plan.log


@pytest.mark.full
def test_conflicts_are_counted_with_their_keys(world: World) -> None:
    world.run(people([1, 2]))
    rows = [schema("contacts"), person(1, 1, email="p2@a.com"), person(2, 2)]

    done = planned(world, rows)

    assert done.records == {"received": 2, "unchanged": 1, "rejected": 1}, done.log
    assert verdicts(done)["held_by_another"] == (1, ["1"])


@pytest.mark.full
def test_several_records_of_one_address_are_told(world: World) -> None:
    world.run(people([1]))
    for _ in range(2):
        world.apollo.store.add_contact(email="new1@a.com")

    done = planned(world, moved(1, 1))

    assert done.records == {"received": 1, "rejected": 1}, done.log
    assert verdicts(done)["ambiguous"] == (1, ["1"])


@pytest.mark.full
def test_keys_that_shifted_are_planned_as_the_run_does_it(world: World) -> None:
    world.run(people(range(1, 31)))

    done = planned(world, people(range(31)))

    assert done.records == {"received": 31, "created": 1, "unchanged": 30}, done.log


def test_a_run_that_would_stop_for_unstable_keys_is_planned_as_such(world: World) -> None:
    world.run(people(range(1, 51), title="Old"))

    done = planned(world, people(range(51), title="New"))

    assert done.exit_code == 1
    assert "max_identity_changes" in done.summary["ended_because"]


@pytest.mark.full
def test_the_searches_for_new_addresses_are_in_the_plan(world: World) -> None:
    world.run(people(range(1, 15)))
    rows = moved(12, 14)

    requests = planned(world, rows).summary["estimate"]["requests"]
    world.run(rows)

    assert requests["POST /contacts/search"] == world.sent()["POST /contacts/search"]


@pytest.mark.full
def test_the_command_shows_the_sentence(
    apollo: Sandbox, sync: Run, target_config: Callable[..., Path]
) -> None:
    sync(people(range(1, 15)))
    config = target_config(apollo)

    done = subprocess.run(
        [Path(sys.executable).with_name("apollo-sync"), "plan", "--config", str(config)],
        input=lines_of(moved(12, 14)).decode(),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=config.parent,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "12 rows carry another address than the record they are linked to" in said
    assert "1, 2, 3" in said
    summary = json.loads((config.parent / "summary.json").read_text())
    assert summary["identity"]["contacts"]["address_changed"]["count"] == 12


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "update", "insert"))
def test_a_plan_counts_what_its_run_does(world: World, mode: str) -> None:
    world.run(people(range(1, 13)))
    world.apollo.store.add_contact(email="new1@a.com")
    rows = [
        *moved(3, 6),
        person(8, 7),
        person(7, 8),
        person(900, 9),
        person(10, 10, email="p12@a.com"),
        person(11, 11, title="New"),
        person(12, 12),
    ]

    plan = planned(world, rows, mode=mode)
    done = world.run(rows, mode=mode)

    assert plan.records == done.records
    assert verdicts(plan) == verdicts(done)
