"""Rows that come back after `on_delete` moved their records, and what they find in Apollo."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, record, schema
from tests.promises.deletions.tables import (
    STAGE,
    TO_LIST,
    TO_STAGE,
    columns,
    deleted,
    moved,
    row,
    set_stage,
    stages,
    whole,
    whole_of_sdk,
)

REMOVE = "POST /labels/remove_entity_ids_from_label_names"
READ = "GET /contacts/{id}"
FORMER = "Replied"
ROUTES = ("marked", "missing")


def leave(world: World, route: str, **settings: Any) -> None:
    """Person 1 is deleted at the source, in one of the two ways in which a tap tells it."""
    if route == "marked":
        world.run([columns(), deleted(1)], **settings)
    else:
        world.run(whole_of_sdk([0]), **settings)


def come_back(world: World, route: str, **settings: Any) -> Any:
    values = settings.pop("values", {})
    table = [row(0), row(1, **values)]
    if route == "marked":
        return world.run([columns(), *table], **settings)
    return world.run([*whole([])[:-2], *table, *whole([])[-2:]], **settings)


@pytest.fixture
def two(world: World) -> World:
    """Two people, the second in a stage that somebody in Apollo gave her."""
    world.run(whole([0, 1]))
    set_stage(world, 1, FORMER)
    return world


@pytest.mark.parametrize("route", ROUTES)
def test_a_row_that_returns_gets_the_stage_back_that_its_record_had(two: World, route: str) -> None:
    leave(two, route, **TO_STAGE)
    assert moved(two) == [1]

    done = come_back(two, route, **TO_STAGE)

    assert stages(two)["p1@a.com"] == FORMER, done.log
    assert done.summary["returned"] == {"contacts": 1}
    assert done.records["updated"] == 1
    two.stays(whole([0, 1]), **TO_STAGE)


@pytest.mark.full
@pytest.mark.parametrize("route", ROUTES)
def test_a_row_that_returns_is_taken_off_the_list(two: World, route: str) -> None:
    leave(two, route, **TO_LIST)
    assert moved(two) == [1]

    done = come_back(two, route, **TO_LIST)

    assert moved(two) == []
    assert done.summary["returned"] == {"contacts": 1}
    two.stays(whole([0, 1]), **TO_LIST)


@pytest.mark.parametrize("route", ROUTES)
def test_a_stage_that_somebody_set_meanwhile_stays(two: World, route: str) -> None:
    leave(two, route, **TO_STAGE)
    set_stage(two, 1, "Unresponsive")

    done = come_back(two, route, **TO_STAGE)

    assert stages(two)["p1@a.com"] == "Unresponsive"
    assert done.summary["returned"] == {}


@pytest.mark.full
def test_the_stage_of_the_row_itself_wins(two: World) -> None:
    leave(two, "missing", **TO_STAGE)

    come_back(two, "missing", **TO_STAGE, values={"contact_stage": "Interested"})

    assert stages(two)["p1@a.com"] == "Interested"


@pytest.mark.parametrize("values", [{}, {"contact_stage": "Interested"}], ids=["none", "own"])
def test_a_record_comes_back_out_of_a_protected_stage(two: World, values: dict[str, Any]) -> None:
    place = {"on_delete": "stage:Do Not Contact"}
    leave(two, "missing", **place)
    assert moved(two, "Do Not Contact") == [1]

    come_back(two, "missing", **place, values=values)

    assert stages(two)["p1@a.com"] == (values.get("contact_stage") or FORMER)


def test_a_record_of_a_protected_stage_was_not_moved_and_stays_there(two: World) -> None:
    set_stage(two, 1, "Do Not Contact")
    leave(two, "missing", **TO_STAGE)

    come_back(two, "missing", **TO_STAGE)

    assert stages(two)["p1@a.com"] == "Do Not Contact"


@pytest.mark.parametrize("now", [{}, {"on_delete": "stage:Unresponsive"}, TO_LIST])
def test_a_record_comes_back_after_on_delete_was_changed_or_removed(
    two: World, now: dict[str, Any]
) -> None:
    leave(two, "missing", **TO_STAGE)

    come_back(two, "missing", **now)

    assert stages(two)["p1@a.com"] == FORMER


@pytest.mark.full
def test_a_record_that_was_moved_twice_comes_back_from_both_places(two: World) -> None:
    leave(two, "missing", **TO_STAGE)
    leave(two, "missing", **TO_LIST)
    leave(two, "missing", on_delete="stage:Unresponsive")

    come_back(two, "missing", on_delete="stage:Unresponsive")

    assert stages(two)["p1@a.com"] == FORMER
    assert moved(two) == []


def test_a_person_who_returns_under_another_key_gets_the_record_back(two: World) -> None:
    leave(two, "missing", **TO_STAGE)

    two.run([*whole([0])[:-2], row(7, email="p1@a.com"), *whole([])[-2:]], **TO_STAGE)

    assert stages(two)["p1@a.com"] == FORMER
    assert len(two.apollo.store.contacts()) == 2


@pytest.mark.full
def test_somebody_else_who_gets_the_key_leaves_the_deleted_one_where_she_is(world: World) -> None:
    ann: dict[str, Any] = {"first_name": "Ann", "last_name": "Lee"}
    world.run([columns(), row(0), row(1, **ann), *whole([])[-2:]])
    leave(world, "missing", **TO_STAGE)

    bob: dict[str, Any] = {"email": "p5@a.com", "first_name": "Bob", "last_name": "Ray"}
    world.run([columns(), row(0), row(1, **bob), *whole([])[-2:]], **TO_STAGE)

    assert moved(world) == [1]
    assert stages(world).keys() == {"p0@a.com", "p1@a.com", "p5@a.com"}
    assert world.contact("p1@a.com")["first_name"] == "Ann"


@pytest.mark.full
def test_one_of_two_rows_of_a_record_brings_it_back(two: World) -> None:
    twin = row(2, email="p1@a.com")
    two.run([columns(), row(0), row(1), twin, *whole([])[-2:]])
    leave(two, "missing", **TO_STAGE)
    assert moved(two) == [1]

    two.run([columns(), row(0), twin, *whole([])[-2:]], **TO_STAGE)

    assert stages(two)["p1@a.com"] == FORMER


@pytest.mark.full
def test_a_record_that_went_and_came_back_goes_again(two: World) -> None:
    for _ in range(2):
        leave(two, "missing", **TO_STAGE)
        assert moved(two) == [1]
        come_back(two, "missing", **TO_STAGE)
        assert stages(two)["p1@a.com"] == FORMER


@pytest.mark.full
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("place", one_fast("stage", "list"))
def test_an_account_comes_back_as_a_contact_does(world: World, route: str, place: str) -> None:
    stage = world.apollo.store.account_stages[-1]
    settings = {"on_delete": f"{place}:{stage['name'] if place == 'stage' else 'Gone'}"}

    def firms(*numbers: int) -> list[Message]:
        found = [record("accounts", id=n, domain=f"firm{n}.com", name=f"F{n}") for n in numbers]
        end = [{**one, "stream": "accounts"} for one in whole([])[-2:]]
        return [schema("accounts"), *found, *end]

    world.run(firms(0, 1), **settings)
    former = world.account("firm1.com")["account_stage_id"]
    if route == "missing":
        world.run(firms(0), **settings)
    else:
        mark = record("accounts", id=1, _sdc_deleted_at="2026-01-01")
        world.run([schema("accounts"), mark], **settings)
    left = world.account("firm1.com")
    assert left["account_stage_id"] == stage["id"] or left["label_ids"]

    world.run(firms(0, 1), **settings)

    found = world.account("firm1.com")
    assert (found["account_stage_id"], found["label_ids"]) == (former, [])


def test_a_list_that_the_row_itself_names_is_kept(two: World) -> None:
    leave(two, "missing", **TO_LIST)

    come_back(two, "missing", **TO_LIST, values={"label_names": ["Gone"]})

    assert moved(two) == [1]


def test_a_key_that_may_read_no_record_moves_it_and_says_that_its_stage_is_lost(
    two: World,
) -> None:
    two.apollo.inject(
        Fault(endpoint=READ, kind=FaultKind.ERROR_BEFORE_WRITE, status=403, times=None)
    )
    settings = {**TO_STAGE, "protected_stages": []}
    leave(two, "missing", **settings)
    assert moved(two) == [1]

    done = come_back(two, "missing", **settings)

    assert stages(two)["p1@a.com"] == STAGE
    assert "it is not known which stage their records had before" in done.log


def test_a_key_that_may_take_nobody_off_a_list_says_so_and_goes_on(two: World) -> None:
    leave(two, "missing", **TO_LIST)
    two.apollo.inject(
        Fault(endpoint=REMOVE, kind=FaultKind.ERROR_BEFORE_WRITE, status=403, times=None)
    )

    done = come_back(two, "missing", **TO_LIST, values={"title": "A"})

    assert done.exit_code == 0
    assert two.contact("p1@a.com")["title"] == "A"
    assert "their records stay on the list 'Gone'" in done.log


@pytest.mark.full
@pytest.mark.parametrize("settings", [TO_STAGE, TO_LIST], ids=["stage", "list"])
def test_a_plan_says_what_would_move_and_come_back_and_moves_nothing(
    two: World, settings: dict[str, Any]
) -> None:
    before = two.records()
    plan = two.run(whole([0]), **settings, dry_run=True)
    assert two.records() == before
    assert "1 record would be moved, since their rows are gone" in plan.log
    leave(two, "missing", **settings)

    before = two.records()
    plan = come_back(two, "missing", **settings, dry_run=True)

    assert two.records() == before
    assert "1 record would be given back, since their rows have returned" in plan.log


@pytest.mark.full
@pytest.mark.parametrize("route", ROUTES)
def test_a_move_whose_answer_was_lost_still_knows_the_former_stage(two: World, route: str) -> None:
    for endpoint in ("POST /contacts/update_stages", "PATCH /contacts/{id}"):
        two.apollo.inject(Fault(endpoint=endpoint, kind=FaultKind.RESET_AFTER_WRITE, times=None))
    leave(two, route, **TO_STAGE, max_retries=0)
    two.apollo.clear_faults()
    assert moved(two) == [1]

    leave(two, route, **TO_STAGE)
    come_back(two, route, **TO_STAGE)

    assert stages(two)["p1@a.com"] == FORMER


@pytest.mark.parametrize("route", ROUTES)
def test_a_record_that_was_in_the_stage_already_stays_there(two: World, route: str) -> None:
    set_stage(two, 1, STAGE)
    leave(two, route, **TO_STAGE)

    done = come_back(two, route, **TO_STAGE)

    assert moved(two) == [1]
    assert done.summary["returned"] == {}
    assert "it is not known which stage" not in done.log
