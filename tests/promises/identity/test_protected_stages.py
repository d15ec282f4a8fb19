"""No sync moves a contact out of a stage in which nobody may be contacted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message
from tests.promises.identity.people import people

PROTECTED = "Do Not Contact"
WRITING = one_fast("upsert", "update")


def stage_id(world: World, name: str) -> str:
    return next(one["id"] for one in world.apollo.store.contact_stages if one["name"] == name)


def stages(world: World) -> dict[str, str]:
    names = {one["id"]: one["name"] for one in world.apollo.store.contact_stages}
    return {one["email"]: names[one["contact_stage_id"]] for one in world.apollo.store.contacts()}


def protect(world: World, *numbers: int, stage: str = PROTECTED) -> None:
    """What a rep does in Apollo."""
    for contact in world.apollo.store.contact_by_id.values():
        if contact.own["email"] in {f"p{n}@a.com" for n in numbers}:
            contact.own["contact_stage_id"] = stage_id(world, stage)
            contact.own["updated_at"] = "2030-01-01T00:00:00.000Z"


def table(count: int, **values: Any) -> list[Message]:
    return people(range(count), **values)


@pytest.mark.parametrize("mode", WRITING)
@pytest.mark.parametrize("count", one_fast(3, 30))
def test_a_contact_that_is_not_to_be_contacted_stays_so(
    world: World, mode: str, count: int
) -> None:
    world.run(table(count, contact_stage="New", title="Old"))
    protect(world, 0)
    rows = table(count, contact_stage="Replied", title="New")

    done = world.run(rows, mode=mode)

    assert done.exit_code == 0, done.log
    assert stages(world) == {f"p{n}@a.com": "Replied" if n else PROTECTED for n in range(count)}
    assert {one["title"] for one in world.apollo.store.contacts()} == {"New"}
    assert "protected" in str(done.summary)
    world.stays(rows, mode=mode)


@pytest.mark.full
def test_it_stays_so_where_the_stage_is_all_that_changes(world: World) -> None:
    world.run(table(3, contact_stage="New"))
    protect(world, 0)
    rows = table(3, contact_stage="Replied")

    done = world.run(rows)

    assert done.exit_code == 0, done.log
    assert stages(world) == {"p0@a.com": PROTECTED, "p1@a.com": "Replied", "p2@a.com": "Replied"}
    world.stays(rows)


def test_it_stays_so_without_a_ledger(bare_world: World) -> None:
    bare_world.apollo.store.add_contact(
        email="p0@a.com", contact_stage_id=stage_id(bare_world, PROTECTED)
    )
    rows = table(2, contact_stage="Replied")

    bare_world.run(rows)

    assert stages(bare_world) == {"p0@a.com": PROTECTED, "p1@a.com": "Replied"}
    bare_world.stays(rows)


@pytest.mark.full
def test_it_stays_so_for_a_contact_that_somebody_made(world: World) -> None:
    world.apollo.store.add_contact(email="p0@a.com", contact_stage_id=stage_id(world, PROTECTED))
    rows = table(1, contact_stage="Replied")

    world.run(rows)

    assert stages(world) == {"p0@a.com": PROTECTED}
    world.stays(rows)


@pytest.mark.full
def test_rows_may_move_contacts_into_a_protected_stage(world: World) -> None:
    world.run(table(1, contact_stage="New"))

    done = world.run(table(1, contact_stage=PROTECTED))

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert stages(world) == {"p0@a.com": PROTECTED}


@pytest.mark.full
def test_a_row_that_is_gone_leaves_a_protected_contact_in_its_stage(world: World) -> None:
    whole: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
    settings = {"on_delete": "stage:Bad Data"}
    world.run([*table(2), whole], **settings)
    protect(world, 1)

    world.run([*table(1), whole], **settings)

    assert stages(world)["p1@a.com"] == PROTECTED


@pytest.mark.full
def test_the_stages_are_a_setting(world: World) -> None:
    world.run(table(2, contact_stage="New"))
    protect(world, 0)
    protect(world, 1, stage="Changed Job")
    rows = table(2, contact_stage="Replied")

    world.run(rows, protected_stages=["Changed Job"])

    assert stages(world) == {"p0@a.com": "Replied", "p1@a.com": "Changed Job"}


@pytest.mark.full
def test_no_stage_is_protected_where_the_setting_is_empty(world: World) -> None:
    world.run(table(1, contact_stage="New"))
    protect(world, 0)

    done = world.run(table(1, contact_stage="Replied"), protected_stages=[])

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert stages(world) == {"p0@a.com": "Replied"}
