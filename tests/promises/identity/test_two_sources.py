"""Two taps of one project have a stream of the same name, and number their rows from 1."""

from __future__ import annotations

import pytest

from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, schema
from tests.promises.identity.people import firms, firms_named, named, people, person

EXTRACTOR = "MELTANO_EXTRACTOR_NAME"
WHOLE: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}


@pytest.fixture(autouse=True)
def no_meltano(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXTRACTOR, raising=False)


def titles(world: World) -> dict[str, object]:
    return {str(one["email"]): one["title"] for one in world.apollo.store.contacts()}


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_both_sources_have_their_people_in_apollo(any_world: World, mode: str) -> None:
    first, second = people(range(30)), people(range(100, 130))
    any_world.run(first, mode=mode, source="tap-one")

    done = any_world.run(second, mode=mode, source="tap-two")

    assert done.records == {"received": 30, "created": 30}, done.log
    assert any_world.names() == named([*range(30), *range(100, 130)])
    for rows, source in ((first, "tap-one"), (second, "tap-two")):
        any_world.stays(rows, mode=mode, source=source)


@pytest.mark.full
def test_each_source_updates_its_own_people(world: World) -> None:
    for numbers, source in ((range(30), "tap-one"), (range(100, 130), "tap-two")):
        world.run(people(numbers, title="Old"), source=source)

    for mode, source, numbers in (
        ("upsert", "tap-one", range(30)),
        ("update", "tap-two", range(100, 130)),
    ):
        done = world.run(people(numbers, title=source), mode=mode, source=source)
        assert done.records == {"received": 30, "updated": 30}, done.log

    assert world.names() == named([*range(30), *range(100, 130)])
    assert titles(world) == {
        **{f"p{n}@a.com": "tap-one" for n in range(30)},
        **{f"p{n}@a.com": "tap-two" for n in range(100, 130)},
    }


@pytest.mark.full
def test_accounts_of_two_sources_are_all_there(world: World) -> None:
    world.run(firms(range(20)), source="tap-one")

    done = world.run(firms(range(50, 70)), source="tap-two")

    assert done.records == {"received": 20, "created": 20}, done.log
    assert world.firms() == firms_named([*range(20), *range(50, 70)])
    world.stays(firms(range(20)), source="tap-one")


@pytest.mark.full
def test_a_person_of_both_sources_is_one_contact(any_world: World) -> None:
    any_world.run(people([1, 2]), source="tap-one")

    done = any_world.run(people([2, 3]), source="tap-two")

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}, done.log
    assert any_world.names() == named([1, 2, 3])
    any_world.stays(people([2, 3]), source="tap-two")


@pytest.mark.full
@pytest.mark.parametrize("made", one_fast({}, {"first_name": "Ann1", "last_name": "Lee1"}))
def test_a_person_of_both_sources_moves_to_the_record_of_the_new_address(
    world: World, made: dict[str, str]
) -> None:
    for source in ("tap-one", "tap-two"):
        world.run(people([1, 2]), source=source)
    world.apollo.store.add_contact(email="new@a.com", **made)
    moved = [schema("contacts"), person(1, 1, email="new@a.com"), person(2, 2)]

    for source in ("tap-one", "tap-two"):
        done = world.run(moved, source=source)

        assert not done.rejects, done.log
        assert world.names() == [("new@a.com", "Ann1"), ("p1@a.com", "Ann1"), ("p2@a.com", "Ann2")]
    for source in ("tap-one", "tap-two"):
        world.stays(moved, source=source)


@pytest.mark.full
@pytest.mark.parametrize("changed_by", one_fast("tap-one", "tap-two", "neither"))
def test_a_changed_person_of_both_sources_moves_to_the_record_of_the_new_address(
    world: World, changed_by: str
) -> None:
    for source in ("tap-one", "tap-two"):
        world.run(people([1, 2], title="Old"), source=source)
    if changed_by != "neither":
        world.run(people([1, 2], title="New"), source=changed_by)
    world.apollo.store.add_contact(email="new@a.com")
    moved = [schema("contacts"), person(1, 1, email="new@a.com", title="New")]

    for source in ("tap-one", "tap-two", "tap-one", "tap-two"):
        done = world.run(moved, source=source)

        assert not done.rejects, done.log
        assert world.names() == [("new@a.com", "Ann1"), ("p1@a.com", "Ann1"), ("p2@a.com", "Ann2")]
    assert world.updates() == {}


@pytest.mark.full
def test_a_person_of_both_sources_gets_a_new_address(world: World) -> None:
    for source in ("tap-one", "tap-two"):
        world.run(people([1, 2]), source=source)
    moved = [schema("contacts"), person(1, 1, email="new@a.com"), person(2, 2)]

    for source in ("tap-one", "tap-two"):
        done = world.run(moved, source=source)

        assert not done.rejects, done.log
        assert world.names() == [("new@a.com", "Ann1"), ("p2@a.com", "Ann2")]
    for source in ("tap-one", "tap-two"):
        world.stays(moved, source=source)


def test_meltanos_name_of_the_extractor_is_the_source(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXTRACTOR, "tap-one")
    world.run(people(range(30)))
    monkeypatch.setenv(EXTRACTOR, "tap-two")

    done = world.run(people(range(100, 130)))

    assert done.records == {"received": 30, "created": 30}, done.log
    assert world.names() == named([*range(30), *range(100, 130)])
    monkeypatch.setenv(EXTRACTOR, "tap-one")
    world.stays(people(range(30)))


@pytest.mark.full
def test_the_setting_goes_before_meltanos_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(people(range(30)), source="mine")
    monkeypatch.setenv(EXTRACTOR, "tap-one")

    done = world.run(people(range(30)), source="mine")

    assert done.records == {"received": 30, "unchanged": 30}, done.log
    assert world.sent() == {}


def test_rows_of_another_source_are_not_gone_when_a_table_is_whole(world: World) -> None:
    gone = f"stage:{world.apollo.store.contact_stages[-1]['name']}"
    world.run([*people(range(5)), WHOLE], source="tap-one", on_delete=gone)
    before = {one["email"]: one["contact_stage_id"] for one in world.apollo.store.contacts()}
    world.run([*people([100, 101]), WHOLE], source="tap-two", on_delete=gone)

    world.run([*people([100]), WHOLE], source="tap-two", on_delete=gone)

    stages = {one["email"]: one["contact_stage_id"] for one in world.apollo.store.contacts()}
    assert {email: stages[email] for email in before} == before
    assert stages["p101@a.com"] == world.apollo.store.contact_stages[-1]["id"]


# --- without the setting: the ledger can't tell the sources apart, and still nobody is overwritten


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_a_few_people_of_a_second_tap_are_created_beside_those_of_the_first(
    any_world: World, mode: str
) -> None:
    any_world.run(people(range(3), title="One"), mode=mode)

    done = any_world.run(people(range(100, 103), title="Two"), mode=mode)

    assert done.records == {"received": 3, "created": 3}, done.log
    assert any_world.names() == named([0, 1, 2, 100, 101, 102])
    assert set(titles(any_world).values()) == {"One", "Two"}


def test_both_taps_may_run_in_turn_and_overwrite_nobody(world: World) -> None:
    both = people(range(3), title="One"), people(range(100, 103), title="Two")
    for rows in both:
        world.run(rows)

    for _ in range(2):
        for rows in both:
            done = world.run(rows)
            assert done.records == {"received": 3, "unchanged": 3}, done.log
            assert world.updates() == {}

    assert world.names() == named([0, 1, 2, 100, 101, 102])


@pytest.mark.full
def test_in_mode_update_a_second_tap_writes_over_nobody(world: World) -> None:
    world.run(people(range(3)))
    before = world.records()

    done = world.run(people(range(100, 103), title="Two"), mode="update")

    assert world.records() == before
    assert done.reasons == ["identity_conflict"] * 3


def test_many_people_of_a_second_tap_stop_the_run_with_the_way_out(world: World) -> None:
    world.run(people(range(30)))
    before = world.records()

    done = world.run(people(range(100, 130)))

    assert (done.exit_code, world.records()) == (1, before), done.log
    assert "source" in done.summary["ended_because"]


@pytest.mark.full
def test_many_people_of_a_second_tap_are_created_in_mode_insert(any_world: World) -> None:
    any_world.run(people(range(30)), mode="insert")

    done = any_world.run(people(range(100, 130)), mode="insert")

    assert done.records == {"received": 30, "created": 30}, done.log
    assert any_world.names() == named([*range(30), *range(100, 130)])
    any_world.stays(people(range(100, 130)), mode="insert")


@pytest.mark.full
def test_streams_of_two_names_are_apart_as_before(world: World) -> None:
    world.run(people(range(3)))
    other = [
        {**schema("contacts"), "stream": "b-contacts"},
        *({**person(100 + n, n + 1), "stream": "b-contacts"} for n in range(3)),
    ]

    done = world.run(other)

    assert done.records == {"received": 3, "created": 3}
    assert world.names() == named([0, 1, 2, 100, 101, 102])
