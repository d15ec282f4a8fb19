"""The owner of many rows leaves the team: what did not change is unchanged all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.worlds import World, keys_rejected, one_fast
from tests.promises.conftest import Message
from tests.promises.identity.people import people, person

ADA, ROBIN, KIM = "ada@team.example", "robin@team.example", "kim@team.example"


def leave(world: World, email: str) -> None:
    for user in world.apollo.store.workspace.users.values():
        if user["email"] == email:
            user["deleted"] = True


def owners(world: World) -> dict[str, str]:
    emails = {user["id"]: user["email"] for user in world.apollo.store.users()}
    return {one["email"]: emails[one["owner_id"]] for one in world.apollo.store.contacts()}


def of_ada(count: int, **values: Any) -> list[Message]:
    return people(range(count), owner_email=ADA, **values)


@pytest.fixture
def team(world: World) -> World:
    for email in (ADA, ROBIN, KIM):
        world.apollo.store.add_user(email=email)
    return world


@pytest.mark.parametrize("mode", one_fast("upsert", "update", "insert"))
@pytest.mark.parametrize("count", [150, pytest.param(3000, marks=pytest.mark.full)])
def test_unchanged_rows_stay_unchanged_and_new_rows_of_others_are_written(
    team: World, mode: str, count: int
) -> None:
    team.apollo.set_options(plan="unlimited")
    team.run(of_ada(count))
    leave(team, ADA)
    rows = [*of_ada(count), person(9000, 9000, owner_email=ROBIN)]

    done = team.run(rows, mode=mode, abort_rejected_percent=50, max_rejected_percent=5)

    known = "existing" if mode == "insert" else "unchanged"
    assert (done.exit_code, done.records[known]) == (0, count), done.log
    if mode != "update":
        assert owners(team)["p9000@a.com"] == ROBIN
        assert done.records["created"] == 1
        team.stays(rows, mode=mode)


@pytest.mark.full
def test_changed_rows_of_an_owner_who_left_are_rejected(team: World) -> None:
    team.run(of_ada(3))
    leave(team, ADA)

    done = team.run([*of_ada(2)[:2], person(1, 2, owner_email=ADA, title="New"), *of_ada(3)[3:]])

    assert done.records == {"received": 3, "unchanged": 2, "rejected": 1}, done.log
    assert (done.reasons, keys_rejected(done)) == (["unknown_name"], [2])


@pytest.mark.full
def test_rows_may_be_written_without_an_owner_who_left(team: World) -> None:
    team.run(of_ada(3, title="Old"))
    leave(team, ADA)
    settings = {"unresolved": {"owner_email": "drop"}}

    done = team.run(of_ada(4, title="New"), **settings)

    assert done.records == {"received": 4, "created": 1, "updated": 3}, done.log
    assert {one["title"] for one in team.apollo.store.contacts()} == {"New"}
    team.stays(of_ada(4, title="New"), **settings)


def test_the_default_owner_takes_the_rows_of_an_owner_who_left(team: World) -> None:
    team.run(of_ada(3, title="Old"))
    leave(team, ADA)

    done = team.run(of_ada(4, title="New"), default_owner=KIM)

    assert done.records == {"received": 4, "created": 1, "updated": 3}, done.log
    assert owners(team) == {f"p{n}@a.com": KIM for n in range(4)}
    team.stays(of_ada(4, title="New"), default_owner=KIM)


@pytest.mark.full
def test_the_default_owner_takes_no_unchanged_row(team: World) -> None:
    team.run(of_ada(3))
    leave(team, ADA)

    done = team.run(of_ada(3), default_owner=KIM)

    assert done.records == {"received": 3, "unchanged": 3}, done.log
    assert team.sent() == {}


# --- other names that Apollo does not know


@pytest.mark.full
def test_a_stage_that_apollo_does_not_know_rejects_its_row(any_world: World) -> None:
    rows = people([1], contact_stage="No Such Stage")

    done = any_world.run(rows)

    assert done.records == {"received": 1, "rejected": 1}
    any_world.stays(rows)


@pytest.mark.full
def test_a_row_may_be_written_without_a_stage_that_apollo_does_not_know(any_world: World) -> None:
    rows = people([1], contact_stage="No Such Stage")
    settings = {"unresolved": {"contact_stage": "drop"}}

    done = any_world.run(rows, **settings)

    assert done.records == {"received": 1, "created": 1}, done.log
    assert "contact_stage" in done.log
    any_world.stays(rows, **settings)
