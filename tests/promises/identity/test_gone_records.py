"""A record of a row vanished or was deleted in Apollo: one policy, whatever the route."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from target_apollo.sandbox import SandboxOptions
from target_apollo.sandbox.options import UnknownId
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, Run, schema
from tests.promises.identity.people import firms, named, people, person

WAYS = one_fast("deleted", "vanished")
#: Rows that change, and how many of their records are gone; from 20 on, `auto` updates in bulk.
SIZES = one_fast((4, 1), (30, 3))


def take_away(world: World, way: str, *numbers: int) -> None:
    store = world.apollo.store
    take: Callable[[str], None] = store.delete_contact if way == "deleted" else store.forget_contact
    for number in numbers:
        take(world.contact(f"p{number}@a.com")["id"])


def table(count: int, title: str) -> list[Message]:
    return people(range(count), title=title)


def left(count: int, gone: int) -> list[tuple[str, str]]:
    return named(range(gone, count))


# --- leave


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("count", "gone"), SIZES)
def test_rows_of_gone_records_are_skipped_and_the_others_updated(
    world: World, way: str, count: int, gone: int
) -> None:
    world.run(table(count, "Old"))
    take_away(world, way, *range(gone))
    rows = table(count, "New")

    done = world.run(rows)

    assert done.exit_code == 0, done.log
    assert done.records == {"received": count, "updated": count - gone, "skipped": gone}
    assert world.names() == left(count, gone)
    assert {one["title"] for one in world.apollo.store.contacts()} == {"New"}
    assert "on_apollo_delete" in done.log
    world.stays(rows)


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("count", "gone"), SIZES)
def test_rows_of_gone_records_are_skipped_in_mode_update(
    world: World, way: str, count: int, gone: int
) -> None:
    world.run(table(count, "Old"))
    take_away(world, way, *range(gone))
    rows = table(count, "New")

    done = world.run(rows, mode="update")

    assert done.records == {"received": count, "updated": count - gone, "skipped": gone}, done.log
    assert world.names() == left(count, gone)
    world.stays(rows, mode="update")


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "update", "insert"))
def test_an_unchanged_row_of_a_gone_record_costs_nothing(world: World, mode: str) -> None:
    world.run(table(4, "Same"))
    take_away(world, "deleted", 0)

    world.stays(table(4, "Same"), mode=mode)


def test_a_skipped_row_that_changes_again_is_not_paid_for_again(world: World) -> None:
    world.run(table(2, "Old"))
    take_away(world, "deleted", 0)
    world.run(table(2, "New"))

    done = world.run(table(2, "Newest"))

    assert done.records == {"received": 2, "updated": 1, "skipped": 1}, done.log
    assert sum(world.sent().values()) == 1


def test_gone_records_are_spoken_of_once_and_counted_in_each_run(world: World) -> None:
    world.run(table(4, "Old"))
    take_away(world, "deleted", 0, 1, 2)

    first, second = world.run(table(4, "New")), world.run(table(4, "New"))

    assert first.log.count("on_apollo_delete") == 1
    assert "on_apollo_delete" not in second.log
    assert first.records["skipped"] == second.records["skipped"] == 3
    assert first.summary["identity"]["contacts"]["gone"]["count"] == 3
    assert second.summary["identity"] == {}


@pytest.mark.full
def test_a_skipped_row_whose_address_changes_is_looked_at_again(world: World) -> None:
    world.run(table(2, "Old"))
    take_away(world, "deleted", 0)
    world.run(table(2, "New"))
    rows = [schema("contacts"), person(0, 1, email="new@a.com"), person(1, 2, title="New")]

    done = world.run(rows)

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}, done.log
    assert world.names() == [("new@a.com", "Ann0"), ("p1@a.com", "Ann1")]
    world.stays(rows)


@pytest.mark.full
def test_a_skipped_row_that_somebody_makes_again_is_found_by_a_full_resync(world: World) -> None:
    world.run(table(2, "Old"))
    take_away(world, "deleted", 0)
    world.run(table(2, "New"))
    world.apollo.store.add_contact(email="p0@a.com", first_name="Ann0", last_name="Lee0")

    done = world.run(table(2, "New"), full_resync=True)

    assert (done.exit_code, done.records.get("rejected", 0)) == (0, 0), done.log
    assert world.names() == named([0, 1])
    assert world.contact("p0@a.com")["title"] == "New"
    world.stays(table(2, "New"))


@pytest.mark.full
def test_a_full_resync_alone_makes_no_deleted_contact_again(world: World) -> None:
    world.run(table(3, "Old"))
    take_away(world, "deleted", 0)

    done = world.run(table(3, "Old"), full_resync=True)

    assert (done.records["skipped"], done.records.get("created", 0)) == (1, 0), done.log
    assert world.names() == named([1, 2])
    world.stays(table(3, "Old"))


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_somebody_made_with_the_address_is_linked(world: World, way: str) -> None:
    world.run(table(2, "Old"))
    take_away(world, way, 0)
    made = world.apollo.store.add_contact(email="p0@a.com")["id"]
    rows = table(2, "New")

    done = world.run(rows)

    assert done.records == {"received": 2, "updated": 2}, done.log
    assert world.contact("p0@a.com")["id"] == made
    assert world.names() == named([0, 1])
    world.stays(rows)


@pytest.mark.full
def test_a_bulk_update_leaves_out_the_rows_of_gone_records(world: World) -> None:
    world.run(table(30, "Old"))
    take_away(world, "deleted", 0, 7)
    take_away(world, "vanished", 29)
    rows = table(30, "New")

    done = world.run(rows, update_method="bulk")

    assert done.records == {"received": 30, "updated": 27, "skipped": 3}, done.log
    assert sum(world.sent().values()) <= 12
    world.stays(rows)


@pytest.mark.parametrize("way", WAYS)
def test_another_person_under_the_key_of_a_gone_record_is_created(world: World, way: str) -> None:
    world.run(people([1, 2]))
    take_away(world, way, 2)
    rows = people([1, 5])

    done = world.run(rows)

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}, done.log
    assert world.names() == named([1, 5])
    world.stays(rows)


# --- recreate


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("count", "gone"), SIZES)
def test_rows_of_gone_records_are_created_anew_where_that_is_wanted(
    world: World, way: str, count: int, gone: int
) -> None:
    world.run(table(count, "Old"))
    take_away(world, way, *range(gone))
    rows = table(count, "New")

    done = world.run(rows, on_apollo_delete="recreate")

    assert done.records == {"received": count, "updated": count - gone, "created": gone}, done.log
    assert world.names() == named(range(count))
    assert {one["title"] for one in world.apollo.store.contacts()} == {"New"}
    world.stays(rows, on_apollo_delete="recreate")


@pytest.mark.full
def test_a_row_that_was_left_is_created_when_the_policy_changes(world: World) -> None:
    world.run(table(2, "Old"))
    take_away(world, "deleted", 0)
    world.run(table(2, "New"))

    done = world.run(table(2, "New"), on_apollo_delete="recreate")

    assert done.records == {"received": 2, "created": 1, "unchanged": 1}, done.log
    assert world.names() == named([0, 1])


@pytest.mark.full
def test_mode_update_never_creates_anew(world: World) -> None:
    world.run(table(4, "Old"))
    take_away(world, "deleted", 0)
    rows = table(4, "New")

    done = world.run(rows, mode="update", on_apollo_delete="recreate")

    assert done.records["updated"] == 3, done.log
    assert world.names() == named([1, 2, 3])
    world.stays(rows, asks=True, mode="update", on_apollo_delete="recreate")


# --- accounts


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", one_fast("leave", "recreate"))
@pytest.mark.parametrize(("count", "gone"), SIZES)
def test_accounts_have_the_same_policy(
    world: World, way: str, policy: str, count: int, gone: int
) -> None:
    world.run(firms(range(count), phone_number="+49301"))
    store = world.apollo.store
    for number in range(gone):
        take = store.delete_account if way == "deleted" else store.forget_account
        take(world.account(f"firm{number}.com")["id"])
    rows = firms(range(count), phone_number="+49302")

    done = world.run(rows, on_apollo_delete=policy)

    outcome = "skipped" if policy == "leave" else "created"
    assert done.records == {"received": count, "updated": count - gone, outcome: gone}, done.log
    assert len(store.accounts()) == count - (gone if policy == "leave" else 0)
    world.stays(rows, on_apollo_delete=policy)


# --- every form in which Apollo says so


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", one_fast("leave", "recreate"))
@pytest.mark.parametrize("form", one_fast("not_found", "as_single"))
@pytest.mark.parametrize("names_value", [True, False])
@pytest.mark.parametrize("unknown_id", list(UnknownId))
@pytest.mark.parametrize("method", one_fast("individual", "bulk", "auto"))
def test_whatever_words_apollo_has_for_it(
    sync: Run,
    way: str,
    policy: str,
    form: str,
    names_value: bool,
    unknown_id: UnknownId,
    method: str,
) -> None:
    options = SandboxOptions(
        strict=True, gone_in_bulk=form, bad_id_names_value=names_value, unknown_id=unknown_id
    )
    with new_sandbox(options) as apollo:
        settings = {"sandbox": apollo, "update_method": method, "on_apollo_delete": policy}
        world = World(apollo, sync, settings)
        world.run(table(30, "Old"))
        take_away(world, way, 0, 7, 8)

        done = world.run(table(30, "New"))

        outcome = "skipped" if policy == "leave" else "created"
        assert done.records == {"received": 30, "updated": 27, outcome: 3}, done.log
        world.stays(table(30, "New"))


@pytest.mark.full
@pytest.mark.parametrize("policy", one_fast("leave", "recreate"))
@pytest.mark.parametrize("way", WAYS)
def test_a_phone_that_only_a_single_update_carries_has_the_same_policy(
    world: World, way: str, policy: str
) -> None:
    world.run(people(range(3), mobile_phone="+49151"))
    take_away(world, way, 0)
    rows = people(range(3), mobile_phone="+49152")

    done = world.run(rows, on_apollo_delete=policy)

    outcome = "skipped" if policy == "leave" else "created"
    assert done.records == {"received": 3, "updated": 2, outcome: 1}, done.log
    world.stays(rows, on_apollo_delete=policy)
