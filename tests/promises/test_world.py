"""Worlds of tables, settings and people that change between runs, against a plain model.

Nothing is lost, twice, wrong or spoiled after any run, whatever changed before it and wherever the
runs before it were cut off. The long form is ``python -m tests.helpers.many_worlds``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.helpers.databases import shared_server
from tests.helpers.identity_story import options_of
from tests.helpers.many_worlds import kind_of_ledger, play, shortest
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.tiers import mostly_chaos
from tests.helpers.world_facts import Record
from tests.helpers.world_runs import World
from tests.ledger.conftest import own_schema

#: Short worlds; in the second, fields that need a request each follow their rows.
SAMPLE = (2, 1005)
SEEDS = range(1_000, 1_016)
POSTGRESQL = [seed for seed in range(2_000, 2_200) if kind_of_ledger(seed) == "postgresql"][:4]


def holds(seed: int, folder: Path, *, postgresql: str = "", steps: int | None = None) -> None:
    first = None if steps is None else range(steps)
    own = folder / "world"
    own.mkdir()
    figures, told = play(seed, own, postgresql=postgresql, steps=first)
    if figures.problems and not postgresql and first is None:
        _, shorter = shortest(seed, folder)
        told = shorter or told
    assert figures.problems == [], "\n".join([f"seed {seed}:", *told])


@pytest.mark.parametrize("seed", SAMPLE)
def test_nothing_is_wrong_in_a_short_world(tmp_path: Path, seed: int) -> None:
    holds(seed, tmp_path, steps=3)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(SEEDS, 6))
def test_nothing_is_wrong_in_any_world(tmp_path: Path, seed: int) -> None:
    holds(seed, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(POSTGRESQL, 2))
def test_nothing_is_wrong_in_a_world_with_a_ledger_in_postgresql(tmp_path: Path, seed: int) -> None:
    with own_schema(shared_server().url) as url:
        holds(seed, tmp_path, postgresql=url)


# --- the model itself


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which runs have written all rows of all sources."""
    folder = tmp_path_factory.mktemp("world")
    with new_sandbox(options_of(random.Random(1))) as sandbox:
        world = World(1, sandbox, folder, f"sqlite:///{folder}/ledger.db")
        assert world.play([]) == []
        yield world


@pytest.fixture
def settled(written: World) -> Iterator[World]:
    """The same, with a model of its own."""
    model = written.model
    written.model = deepcopy(model)
    yield written
    written.model = model


def judged(world: World, after: list[Record]) -> list[str]:
    """What the model says to a run of the same rows that leaves these records."""
    return world.judge_once_more(after)


def test_the_model_is_content_with_what_is_right(settled: World) -> None:
    assert judged(settled, settled.team.records()) == []


def test_the_model_sees_a_lost_record(settled: World) -> None:
    (problem,) = judged(settled, settled.team.records()[1:])

    assert problem.startswith("lost: ")


def test_the_model_sees_a_record_that_is_there_twice(settled: World) -> None:
    records = settled.team.records()

    problems = judged(settled, [*records, replace(records[0], id="f" * 24)])

    assert {problem.split(":")[0] for problem in problems} == {"twice"}


def test_the_model_sees_a_wrong_value(settled: World) -> None:
    first, *others = settled.team.records()
    owner = settled.model.entities[settled.model.owner_of[first.address]]
    owner.values["title"].add("Former title")
    wrong = replace(first, values={**first.values, "title": "Former title"})

    (problem,) = judged(settled, [wrong, *others])

    assert problem.startswith("wrong: ")


def test_the_model_sees_the_value_of_somebody_else(settled: World) -> None:
    records = settled.team.records()
    first, second = [one for one in records if one.kind == "accounts"][:2]
    spoiled = replace(first, values={**first.values, "name": second.values["name"]})

    problems = judged(settled, [spoiled if one is first else one for one in records])

    assert any(problem.startswith("spoiled: ") for problem in problems)


def test_the_model_sees_a_record_that_was_moved_though_its_row_is_there(settled: World) -> None:
    first, *others = settled.team.records()

    (problem,) = judged(settled, [replace(first, stage="Former"), *others])

    assert problem.startswith("wrong: ")


def test_the_model_keeps_what_somebody_changed_in_apollo(settled: World) -> None:
    first, *others = settled.team.records()
    owner = settled.model.entities[settled.model.owner_of[first.address]]
    owner.values["title"].add("Sales' word")
    edited = replace(first, values={**first.values, "title": "Sales' word"})
    settled.model.edited(owner, ["title"], datetime.now(timezone.utc))

    problems = settled.judge_once_more([first, *others], before=[edited, *others])

    assert [problem.split(":")[0] for problem in problems] == ["wrong"]


def test_the_model_sees_a_row_without_a_key_that_is_not_rejected(settled: World) -> None:
    table = settled.tables.all[0]
    table.keyless.append(("", next(iter(table.rows.values()))))

    (problem,) = judged(settled, settled.team.records())

    table.keyless.clear()
    assert problem == "wrong: a row whose key is '' ends as None"


def test_worlds_have_each_kind_of_ledger() -> None:
    assert {kind_of_ledger(seed) for seed in SEEDS} == {"sqlite", "postgresql", "none"}
