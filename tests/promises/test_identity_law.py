"""The law of identity, over generated stories of runs.

Keys shift, swap, merge, vanish and come back, from two sources; people in Apollo merge, delete and
make contacts between the runs; runs are cut off. In the end no record has the address of one person
and the name of another; no two records have one address; each row is in Apollo once, or in the
rejects file with its reason; STATE is true.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.databases import shared_server
from tests.helpers.identity_story import Story, options_of
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.tiers import mostly_chaos
from tests.ledger.conftest import own_schema
from tests.promises.conftest import Run


def told(seed: int, sync: Run, folder: Path, ledger_url: str, steps: int, **own: object) -> None:
    with new_sandbox(options_of(random.Random(seed))) as sandbox:
        story = Story(seed, sandbox, sync, folder, ledger_url, **own)  # type: ignore[arg-type]
        assert story.play(steps) == [], "\n".join(story.told)


@pytest.mark.parametrize("seed", range(2))
def test_nobody_becomes_another_and_nobody_is_twice(sync: Run, tmp_path: Path, seed: int) -> None:
    told(seed, sync, tmp_path, f"sqlite:///{tmp_path}/ledger.db", steps=4)


@pytest.mark.full
def test_nobody_is_twice_without_a_ledger(sync: Run, tmp_path: Path) -> None:
    told(50, sync, tmp_path, "", steps=3)


@pytest.mark.full
def test_nobody_becomes_another_in_mode_insert(sync: Run, tmp_path: Path) -> None:
    told(60, sync, tmp_path, f"sqlite:///{tmp_path}/ledger.db", steps=3, mode="insert")


@pytest.mark.full
def test_nobody_becomes_another_though_runs_are_killed(sync: Run, tmp_path: Path) -> None:
    told(70, sync, tmp_path, f"sqlite:///{tmp_path}/ledger.db", steps=4, kills=True)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos([151, *range(100, 116)], 7))
def test_the_law_holds_in_many_stories(sync: Run, tmp_path: Path, seed: int) -> None:
    ledger_url = f"sqlite:///{tmp_path}/ledger.db"
    told(seed, sync, tmp_path, ledger_url, steps=8, rows=seed % 17 + 4, kills=seed % 3 == 0)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(range(200, 205), 2))
def test_the_law_holds_without_a_ledger(sync: Run, tmp_path: Path, seed: int) -> None:
    told(seed, sync, tmp_path, "", steps=6, rows=seed % 7 + 4)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(range(300, 305), 2))
def test_the_law_holds_in_mode_insert(sync: Run, tmp_path: Path, seed: int) -> None:
    ledger_url = f"sqlite:///{tmp_path}/ledger.db"
    told(seed, sync, tmp_path, ledger_url, steps=6, rows=seed % 7 + 4, mode="insert", kills=True)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(range(400, 403)))
def test_the_law_holds_with_a_ledger_in_postgresql(sync: Run, tmp_path: Path, seed: int) -> None:
    with own_schema(shared_server().url) as url:
        told(seed, sync, tmp_path, url, steps=6, rows=seed % 17 + 4, kills=True)


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(range(500, 510), 3))
def test_a_plan_says_what_its_run_does(sync: Run, tmp_path: Path, seed: int) -> None:
    told(seed, sync, tmp_path, f"sqlite:///{tmp_path}/ledger.db", steps=3, rows=3, plans=True)


# --- the oracle itself


@pytest.fixture
def settled(sync: Run, tmp_path: Path) -> Iterator[Story]:
    """A story without any happening, whose rows are in Apollo."""
    with new_sandbox(options_of(random.Random(1))) as sandbox:
        story = Story(1, sandbox, sync, tmp_path, "", rows=4)
        for source in story.sources:
            sync(story.messages(source.rows()), sandbox=sandbox, ledger_url="")
        yield story


def test_the_oracle_is_content_with_what_is_right(settled: Story) -> None:
    settled.check_records()

    assert settled.problems == []


def test_the_oracle_sees_the_name_of_another_person(settled: Story) -> None:
    contact = next(iter(settled.store.contact_by_id.values()))
    contact.own["first_name"] = "Ann999"

    settled.check_records()

    assert len(settled.problems) == 1


def test_the_oracle_sees_two_records_of_one_address(settled: Story) -> None:
    settled.store.add_contact(email=settled.sources[0].people[0].email)

    settled.check_records()

    assert len(settled.problems) == 1


def test_the_oracle_sees_a_lost_row(settled: Story, sync: Run) -> None:
    source = settled.sources[0]
    done = sync(settled.messages(source.rows()), sandbox=settled.sandbox, ledger_url="")
    address = source.people[0].email
    (record,) = (one for one in settled.store.contacts() if one["email"] == address)
    settled.store.forget_contact(record["id"])

    settled.check_rows(source, done)

    assert len(settled.problems) == 2
