"""Somebody merged the contact of a row into another one, which then carries both addresses."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.options import UnknownId
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World, names_both, one_fast
from tests.promises.conftest import Run, schema
from tests.promises.identity.people import firm, people, person

WRITING = one_fast("upsert", "update")


def merge_into_new(world: World, *numbers: int) -> dict[int, str]:
    """Merge the contacts of these people into contacts of other addresses; ids of the survivors."""
    store = world.apollo.store
    survivors = {}
    for number in numbers:
        survivor = store.add_contact(
            email=f"q{number}@b.com", first_name=f"Ann{number}", last_name=f"Lee{number}"
        )["id"]
        store.merge_contacts(world.contact(f"p{number}@a.com")["id"], survivor)
        survivors[number] = survivor
    return survivors


def titles_by_id(world: World) -> dict[str, object]:
    return {one["id"]: one["title"] for one in world.apollo.store.contacts()}


@pytest.mark.parametrize("mode", WRITING)
@pytest.mark.parametrize(
    ("rows", "merged"),
    one_fast((4, 2), (1, 1), (30, 3), (60, 25)),
    ids=["2 of 4", "1", "3 of 30", "25 of 60"],
)
def test_the_survivor_is_found_by_the_address_and_updated(
    world: World, mode: str, rows: int, merged: int
) -> None:
    world.run(people(range(rows), title="Old"))
    survivors = merge_into_new(world, *range(merged))
    changed = people(range(rows), title="New")

    done = world.run(changed, mode=mode)

    assert done.records == {"received": rows, "updated": rows}, done.log
    assert len(world.apollo.store.contacts()) == rows
    assert set(titles_by_id(world).values()) == {"New"}
    assert set(survivors.values()) <= titles_by_id(world).keys()
    world.stays(changed, mode=mode)


def test_a_bulk_update_finds_the_survivors(world: World) -> None:
    world.run(people(range(30), title="Old"))
    survivors = merge_into_new(world, 0, 7, 29)

    done = world.run(people(range(30), title="New"), update_method="bulk")

    assert done.records == {"received": 30, "updated": 30}, done.log
    assert survivors.keys() == {0, 7, 29}
    assert set(titles_by_id(world).values()) == {"New"}
    assert sum(world.sent().values()) <= 12


@pytest.mark.full
def test_the_survivor_is_linked_from_then_on(world: World) -> None:
    world.run(people([1], title="Old"))
    merge_into_new(world, 1)
    world.run(people([1], title="New"))

    done = world.run(people([1], title="Newest"))

    assert done.records == {"received": 1, "updated": 1}
    assert sum(world.sent().values()) == 1
    assert set(titles_by_id(world).values()) == {"Newest"}


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "insert", "update"))
def test_an_unchanged_row_of_a_merged_contact_costs_nothing(world: World, mode: str) -> None:
    world.run(people([1, 2]))
    merge_into_new(world, 1)

    world.stays(people([1, 2]), mode=mode)


@pytest.mark.full
def test_a_full_resync_finds_the_survivor(world: World) -> None:
    world.run(people([1, 2], title="Same"))
    merge_into_new(world, 1)

    done = world.run(people([1, 2], title="Same"), full_resync=True)

    assert not done.rejects, done.log
    assert len(world.apollo.store.contacts()) == 2
    assert set(titles_by_id(world).values()) == {"Same"}
    world.stays(people([1, 2], title="Same"))


@pytest.mark.full
def test_rows_of_one_person_in_two_sources_share_the_survivor(world: World) -> None:
    world.run(people([1]), source="tap-one")
    world.run(people([1]), source="tap-two")
    survivor = merge_into_new(world, 1)[1]

    world.run(people([1], title="New"), source="tap-one")
    done = world.run(people([1], title="Newer"), source="tap-two")

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert titles_by_id(world) == {survivor: "Newer"}
    world.stays(people([1], title="Newer"), source="tap-two")


def test_without_a_ledger_the_survivor_is_matched(bare_world: World) -> None:
    bare_world.run(people([1], title="Old"))
    merge_into_new(bare_world, 1)

    done = bare_world.run(people([1], title="New"))

    assert done.records == {"received": 1, "updated": 1}
    assert len(bare_world.apollo.store.contacts()) == 1


@pytest.mark.full
def test_a_row_whose_apollo_id_was_merged_finds_the_survivor(any_world: World) -> None:
    loser = any_world.apollo.store.add_contact(email="p1@a.com", title="Old")["id"]
    merge_into_new(any_world, 1)
    rows = [schema("contacts"), person(1, 1, apollo_id=loser, title="New")]

    done = any_world.run(rows, mode="update")

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert list(titles_by_id(any_world).values()) == ["New"]


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_the_survivor_that_is_another_rows_is_not_written_over(world: World, mode: str) -> None:
    world.run(people([1, 2], title="Old"))
    survivor = world.contact("p2@a.com")["id"]
    world.apollo.store.merge_contacts(world.contact("p1@a.com")["id"], survivor)
    rows = [schema("contacts"), person(1, 1, title="New"), person(2, 2, title="Old")]

    done = world.run(rows, mode=mode)

    assert done.reasons == ["identity_conflict"], done.log
    assert names_both(done, [survivor])
    assert [(c["first_name"], c["title"]) for c in world.apollo.store.contacts()] == [
        ("Ann2", "Old")
    ]
    world.stays(rows, asks=True, mode=mode)


@pytest.mark.full
@pytest.mark.parametrize(
    "order", one_fast(((1, 2),), ((2, 1),)), ids=["loser first", "survivor first"]
)
def test_a_full_resync_writes_nobody_over_the_survivor_of_another_row(
    world: World, order: tuple[int, ...]
) -> None:
    world.run(people([1, 2], title="Same"))
    survivor = world.contact("p2@a.com")["id"]
    world.apollo.store.merge_contacts(world.contact("p1@a.com")["id"], survivor)
    rows = [schema("contacts"), *(person(n, n, title="Same") for n in order)]

    for _ in range(2):
        done = world.run(rows, full_resync=True)

        assert world.names() == [("p2@a.com", "Ann2")], done.log
        assert done.reasons == ["identity_conflict"]


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_a_new_row_is_not_written_over_the_survivor_of_another_row(world: World, mode: str) -> None:
    world.run(people([2], title="Old"), mode=mode)
    made = world.apollo.store.add_contact(email="p1@a.com", first_name="Ann1", last_name="Lee1")
    world.apollo.store.merge_contacts(made["id"], world.contact("p2@a.com")["id"])
    rows = [schema("contacts"), person(1, 9, title="New"), person(2, 1, title="Old")]

    done = world.run(rows, mode=mode)

    assert world.names() == [("p2@a.com", "Ann2")]
    assert world.contact("p2@a.com")["title"] == "Old"
    assert done.records.get("created", 0) == 0
    world.stays(rows, asks=True, mode=mode)


@pytest.mark.parametrize("form", one_fast("not_found", "as_single"))
@pytest.mark.parametrize("names_value", [True, False])
@pytest.mark.parametrize("unknown_id", list(UnknownId))
@pytest.mark.full
def test_whatever_words_apollo_has_for_it(
    sync: Run, form: str, names_value: bool, unknown_id: UnknownId
) -> None:
    options = SandboxOptions(
        strict=True, gone_in_bulk=form, bad_id_names_value=names_value, unknown_id=unknown_id
    )
    with new_sandbox(options) as sandbox:
        for method in ("bulk", "individual"):
            world = _another_world(sandbox, sync, method)
            world.run(people(range(30), title="Old"))
            merge_into_new(world, *range(3))

            done = world.run(people(range(30), title="New"))

            assert done.records == {"received": 30, "updated": 30}, done.log
            assert set(titles_by_id(world).values()) == {"New"}
            for one in sandbox.store.contacts():
                sandbox.store.delete_contact(one["id"])


def _another_world(sandbox: Sandbox, sync: Run, method: str) -> World:
    return World(sandbox, sync, {"sandbox": sandbox, "update_method": method, "source": method})


@pytest.mark.full
def test_a_row_of_a_merged_account_is_as_good_as_gone(world: World) -> None:
    world.run([schema("accounts"), firm(1, 1)])
    store = world.apollo.store
    survivor = store.add_account(domain="survivor.com", name="Survivor")["id"]
    store.merge_accounts(world.account("firm1.com")["id"], survivor)
    rows = [schema("accounts"), firm(1, 1, phone_number="+49301")]

    done = world.run(rows)

    assert done.records == {"received": 1, "skipped": 1}, done.log
    assert world.firms() == [("survivor.com", "Survivor")]
    world.stays(rows)
