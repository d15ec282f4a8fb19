"""Rows of one run hand addresses to each other, and each stays the person whose name it has."""

from __future__ import annotations

import pytest

from tests.helpers.worlds import World, names_both, one_fast
from tests.promises.conftest import Message, schema
from tests.promises.identity.people import firm, firms, people, person

WRITING = one_fast("upsert", "update")


def with_addresses(*addresses: int) -> list[Message]:
    """Row 1 with the address of person ``addresses[0]`` and its own name, and so on."""
    rows = [person(key, key, email=f"p{address}@a.com") for key, address in enumerate(addresses, 1)]
    return [schema("contacts"), *rows]


def ids(world: World) -> dict[str, str]:
    return {one["first_name"]: one["id"] for one in world.apollo.store.contacts()}


def addresses(world: World) -> dict[str, str]:
    return {one["first_name"]: one["email"] for one in world.apollo.store.contacts()}


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
@pytest.mark.parametrize(
    "now",
    one_fast(((2, 1, 3),), ((2, 3, 1),), ((2, 3, 9),), ((9, 1, 2),)),
    ids=["swap", "ring", "chain to a free address", "chain from a free address"],
)
def test_addresses_go_round_and_the_people_stay(
    world: World, mode: str, now: tuple[int, ...]
) -> None:
    world.run(people([1, 2, 3]))
    before = ids(world)

    done = world.run(with_addresses(*now), mode=mode)

    assert done.exit_code == 0, done.log
    assert not done.rejects
    assert addresses(world) == {f"Ann{key}": f"p{n}@a.com" for key, n in enumerate(now, 1)}
    assert ids(world) == before
    world.stays(with_addresses(*now), mode=mode)


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_a_row_that_waits_for_the_address_of_a_rejected_row_is_not_written(
    world: World, mode: str
) -> None:
    world.run(people([1, 2, 3]))
    before = world.names()
    # The second row can't have the address that the third one keeps, so it keeps its own.
    rows = with_addresses(2, 3, 3)

    done = world.run(rows, mode=mode)

    assert world.names() == before, done.log
    assert done.reasons == ["identity_conflict"] * 2
    world.stays(rows, asks=True, mode=mode)


def test_a_swap_is_written_whole_or_not_at_all(world: World) -> None:
    world.run(people([1, 2]), source="tap-one")
    world.run(people([1]), source="tap-two")
    before = world.names()

    for _ in range(2):
        done = world.run(with_addresses(2, 1), source="tap-one")

        # The other source has not heard of the swap, and keeps the first contact's address.
        swapped = [("p1@a.com", "Ann2"), ("p2@a.com", "Ann1")]
        assert world.names() in (before, swapped), done.log
        assert done.reasons in ([], ["identity_conflict"] * 2)


@pytest.mark.full
def test_many_rows_swap_in_bulk_and_stay(world: World) -> None:
    world.run(people(range(1, 31)))
    before = ids(world)
    now = [n + 1 if n % 2 else n - 1 for n in range(1, 31)]

    done = world.run(with_addresses(*now))

    assert done.records == {"received": 30, "updated": 30}, done.log
    assert ids(world) == before
    assert addresses(world) == {f"Ann{key}": f"p{n}@a.com" for key, n in enumerate(now, 1)}
    world.stays(with_addresses(*now))


def test_whole_rows_that_swap_their_keys_are_unchanged(world: World) -> None:
    world.run(people([1, 2, 3]))
    turned = people([2, 1, 3])

    done = world.run(turned)

    assert done.records == {"received": 3, "unchanged": 3}, done.log
    assert world.sent() == {}
    world.stays(turned)


@pytest.mark.full
def test_whole_rows_that_swap_their_keys_and_change_are_written_to_their_own(world: World) -> None:
    world.run(people([1, 2, 3], title="Old"))
    before = ids(world)
    turned = people([2, 1, 3], title="New")

    done = world.run(turned)

    assert done.exit_code == 0, done.log
    assert ids(world) == before
    assert addresses(world) == {f"Ann{n}": f"p{n}@a.com" for n in (1, 2, 3)}
    assert {one["title"] for one in world.apollo.store.contacts()} == {"New"}
    world.stays(turned)


@pytest.mark.full
def test_a_freed_address_goes_to_a_new_row(world: World) -> None:
    world.run(people([1]))
    before = ids(world)
    rows = [schema("contacts"), person(1, 1, email="new@a.com"), person(2, 2, email="p1@a.com")]

    done = world.run(rows)

    assert done.records == {"received": 2, "created": 1, "updated": 1}, done.log
    assert addresses(world) == {"Ann1": "new@a.com", "Ann2": "p1@a.com"}
    assert ids(world)["Ann1"] == before["Ann1"]
    world.stays(rows)


@pytest.mark.full
def test_a_row_that_goes_to_another_record_leaves_its_own_behind_with_the_address(
    world: World,
) -> None:
    world.run(people([1, 2, 3]))
    # The first row is the second person now; nobody gives the first record another address.
    rows = [person(2, 1), person(4, 2), person(3, 3, email="p1@a.com")]

    world.run([schema("contacts"), *rows])

    held = sorted(one["email"] for one in world.apollo.store.contacts())
    assert held == ["p1@a.com", "p2@a.com", "p3@a.com", "p4@a.com"]
    assert ("p1@a.com", "Ann3") in world.names()
    world.stays([schema("contacts"), *rows])


def test_in_mode_update_a_new_row_does_not_get_the_record_that_leaves_its_address(
    world: World,
) -> None:
    world.run(people([1, 2]))
    rows = [person(1, 1, email="p9@a.com"), person(3, 3, email="p1@a.com")]

    done = world.run([schema("contacts"), *rows], mode="update")

    assert done.reasons == ["update_needs_id"], done.rejects
    assert world.names() == [("p2@a.com", "Ann2"), ("p9@a.com", "Ann1")]


@pytest.mark.full
def test_an_address_that_a_shared_record_loses_is_free(world: World) -> None:
    world.run(people([1, 2]), source="tap-one")
    world.run(people([1, 2]), source="tap-two")
    # The first record is that of a row of the other source too.
    rows = [person(1, 1, email="p9@a.com"), person(5, 2, email="p1@a.com")]

    world.run([schema("contacts"), *rows], source="tap-two")

    assert world.names() == [("p1@a.com", "Ann5"), ("p2@a.com", "Ann2"), ("p9@a.com", "Ann1")]
    world.stays([schema("contacts"), *rows], source="tap-two")


def test_another_person_does_not_get_the_record_that_gets_another_address(world: World) -> None:
    world.run(people([1, 2]))
    rows = [person(1, 1, email="p9@a.com"), person(5, 2, email="p1@a.com")]

    world.run([schema("contacts"), *rows])

    assert world.names() == [("p1@a.com", "Ann5"), ("p2@a.com", "Ann2"), ("p9@a.com", "Ann1")]
    world.stays([schema("contacts"), *rows])


@pytest.mark.parametrize("key", [2, 8, 0])
def test_an_address_that_two_rows_come_to_have_is_on_one_record(world: World, key: int) -> None:
    world.run(people([1, 2, 3]))
    # The third person has another address, and comes under a second key too.
    rows = [person(3, key, email="p9@a.com"), person(3, 3, email="p9@a.com")]

    done = world.run([schema("contacts"), *rows])

    assert done.exit_code == 0, done.log
    assert world.names() == [("p1@a.com", "Ann1"), ("p2@a.com", "Ann2"), ("p9@a.com", "Ann3")]
    world.stays([schema("contacts"), *rows])


def test_two_people_do_not_both_take_one_address(world: World) -> None:
    world.run(people([1, 2, 3]))
    ids_before = ids(world)
    rows = with_addresses(9, 9, 3)

    done = world.run(rows)

    assert addresses(world) == {"Ann1": "p9@a.com", "Ann2": "p2@a.com", "Ann3": "p3@a.com"}
    assert names_both(done, [ids_before["Ann1"], ids_before["Ann2"]])
    world.stays(rows, asks=True)


@pytest.mark.full
def test_a_swap_meets_the_survivor_of_a_merge(world: World) -> None:
    world.run(people([1, 2]))
    store = world.apollo.store
    survivor = store.add_contact(email="q2@b.com", first_name="Ann2", last_name="Lee2")["id"]
    store.merge_contacts(world.contact("p2@a.com")["id"], survivor)

    world.run(with_addresses(2, 1))

    assert ("p1@a.com", "Ann2") in world.names()
    with_first_address = [one for one in store.contacts() if one["email"] == "p2@a.com"]
    assert not with_first_address, "the survivor has it as an additional address"
    world.stays(with_addresses(2, 1))


def test_in_mode_insert_a_swap_writes_nothing(any_world: World) -> None:
    any_world.run(people([1, 2, 3]), mode="insert")
    before = any_world.records()

    done = any_world.run(with_addresses(2, 1, 3), mode="insert")

    assert (done.exit_code, any_world.records()) == (0, before), done.log
    any_world.stays(with_addresses(2, 1, 3), mode="insert")


@pytest.mark.full
def test_accounts_swap_their_domains(world: World) -> None:
    world.run(firms([1, 2]))
    before = {one["name"]: one["id"] for one in world.apollo.store.accounts()}
    rows = [schema("accounts"), firm(1, 1, domain="firm2.com"), firm(2, 2, domain="firm1.com")]

    done = world.run(rows)

    assert done.records == {"received": 2, "updated": 2}, done.log
    assert world.firms() == [("firm1.com", "Works2"), ("firm2.com", "Works1")]
    assert {one["name"]: one["id"] for one in world.apollo.store.accounts()} == before
    world.stays(rows)
