"""Keys that are the numbers of rows: one new or missing row gives all others another person."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Fault, FaultKind
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import TargetRun, schema, state
from tests.promises.identity.people import firms, firms_named, named, people, person

WRITING = one_fast("upsert", "update")
WRITING_OR_INSERT = one_fast("upsert", "insert")
CREATE = "POST /contacts/bulk_create"
BIG = 200


def titles(world: World) -> set[object]:
    return {one["title"] for one in world.apollo.store.contacts()}


def assert_stopped_for_keys(done: TargetRun) -> None:
    assert done.exit_code == 1, done.records
    because = done.summary["ended_because"]
    for word in ("key", "`source`", "`max_identity_changes`"):
        assert word.strip("`") in because
    assert done.states == []
    assert not done.records.keys() & {"created", "updated"}


# --- one row more or less, the others as they were


def test_a_new_first_row_is_created_and_all_others_are_unchanged(world: World) -> None:
    world.run(people(range(1, BIG + 1), title="T"))
    shifted = people(range(BIG + 1), title="T")

    done = world.run(shifted)

    assert done.exit_code == 0, done.log
    assert done.records == {"received": BIG + 1, "created": 1, "unchanged": BIG}
    assert world.names() == named(range(BIG + 1))
    assert world.updates() == {}
    assert sum(world.sent().values()) <= 10
    assert done.last_state == {"at": BIG + 1}
    world.stays(shifted)


def test_a_full_resync_writes_also_the_rows_whose_keys_have_shifted(world: World) -> None:
    world.run(people(range(1, 31), title="T"))
    for contact in list(world.apollo.store.contact_by_id.values()):
        contact.own["title"] = "changed in Apollo"

    done = world.run(people(range(31), title="T"), full_resync=True)

    assert done.records == {"received": 31, "created": 1, "updated": 30}, done.log
    assert world.names() == named(range(31))
    assert titles(world) == {"T"}


@pytest.mark.full
def test_a_new_first_row_without_a_ledger_is_created(bare_world: World) -> None:
    bare_world.run(people(range(1, BIG + 1)))
    shifted = people(range(BIG + 1))

    done = bare_world.run(shifted)

    assert done.records == {"received": BIG + 1, "created": 1, "unchanged": BIG}
    assert bare_world.names() == named(range(BIG + 1))
    bare_world.stays(shifted)


@pytest.mark.full
def test_a_new_first_row_is_created_in_mode_insert(any_world: World) -> None:
    any_world.run(people(range(1, BIG + 1)), mode="insert")
    shifted = people(range(BIG + 1))

    done = any_world.run(shifted, mode="insert")

    assert (done.exit_code, done.records["created"]) == (0, 1), done.log
    assert any_world.names() == named(range(BIG + 1))
    assert any_world.updates() == {}
    assert sum(any_world.sent().values()) <= 10
    any_world.stays(shifted, mode="insert")


@pytest.mark.full
def test_a_new_first_row_is_never_written_over_another_in_mode_update(world: World) -> None:
    world.run(people(range(1, BIG + 1)))
    before = world.records()
    shifted = people(range(BIG + 1))

    done = world.run(shifted, mode="update")

    assert world.records() == before
    assert done.records["unchanged"] >= BIG - 1
    assert set(done.reasons) <= {"identity_conflict", "update_needs_id"}
    world.stays(shifted, asks=True, mode="update")


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_a_removed_first_row_leaves_all_others_unchanged_without_a_request(
    world: World, mode: str
) -> None:
    world.run(people(range(BIG)))
    shifted = people(range(1, BIG))

    done = world.run(shifted, mode=mode)

    assert done.records == {"received": BIG - 1, "unchanged": BIG - 1}, done.log
    assert world.sent() == {}
    assert world.names() == named(range(BIG))
    world.stays(shifted, mode=mode)


@pytest.mark.full
def test_a_removed_first_row_changes_nothing_in_mode_insert(any_world: World) -> None:
    any_world.run(people(range(BIG)), mode="insert")
    before = any_world.records()
    shifted = people(range(1, BIG))

    done = any_world.run(shifted, mode="insert")

    assert (done.exit_code, any_world.records()) == (0, before), done.log
    any_world.stays(shifted, mode="insert")


@pytest.mark.full
@pytest.mark.parametrize("batch_size", one_fast(1, 3))
def test_keys_that_shift_in_small_batches_write_over_nobody(world: World, batch_size: int) -> None:
    settings = {"batch_size": batch_size, "parallel_requests": 1}
    world.run(people(range(1, 9)), **settings)
    shifted = people(range(9))

    done = world.run(shifted, **settings)

    assert done.exit_code == 0, done.log
    assert world.names() == named(range(9))
    assert world.updates() == {}
    world.stays(shifted, **settings)


@pytest.mark.full
def test_rows_in_another_order_are_unchanged(world: World) -> None:
    world.run(people(range(30)))
    turned = people(reversed(range(30)))

    done = world.run(turned)

    assert done.records == {"received": 30, "unchanged": 30}, done.log
    assert world.sent() == {}
    world.stays(turned)


def test_accounts_whose_keys_shift_are_unchanged(world: World) -> None:
    world.run(firms(range(1, 31)))
    shifted = firms(range(31))

    done = world.run(shifted)

    assert done.records == {"received": 31, "created": 1, "unchanged": 30}, done.log
    assert world.firms() == firms_named(range(31))
    assert world.updates() == {}
    world.stays(shifted)


# --- and another value in each row: nobody can tell the rows by what was written


@pytest.mark.parametrize("mode", WRITING)
@pytest.mark.parametrize("people_now", one_fast(range(51), range(2, 51)), ids=["added", "removed"])
def test_shifted_keys_with_a_change_in_each_row_stop_the_run_before_it_writes(
    world: World, mode: str, people_now: range
) -> None:
    world.run(people(range(1, 51), title="Old"))
    before = world.records()
    shifted = people(people_now, title="New")

    for _ in range(2):
        done = world.run(shifted, mode=mode)

        assert_stopped_for_keys(done)
        assert world.records() == before
        assert world.written() == {}


@pytest.mark.full
def test_the_names_of_a_sample_of_records_are_read_before_the_run_is_stopped(world: World) -> None:
    world.run(people(range(1, 101), title="Old"))

    world.run(people(range(101), title="New"))

    assert sum(world.sent().values()) <= 25


@pytest.mark.full
def test_shifted_accounts_with_a_change_in_each_row_stop_the_run(world: World) -> None:
    world.run(firms(range(1, 31), phone_number="+49301"))
    before = world.records()

    done = world.run(firms(range(31), phone_number="+49302"))

    assert_stopped_for_keys(done)
    assert world.records() == before


@pytest.mark.full
def test_rows_that_may_change_identity_are_written_by_their_addresses(world: World) -> None:
    world.run(people(range(1, 51), title="Old"))
    shifted = people(range(51), title="New")

    done = world.run(shifted, max_identity_changes=100)

    assert done.exit_code == 0, done.log
    assert world.names() == named(range(51))
    assert titles(world) == {"New"}
    world.stays(shifted, max_identity_changes=100)


@pytest.mark.full
def test_shifted_keys_with_changes_are_harmless_without_a_ledger(bare_world: World) -> None:
    bare_world.run(people(range(1, 51), title="Old"))

    done = bare_world.run(people(range(51), title="New"))

    assert done.records == {"received": 51, "created": 1, "updated": 50}
    assert bare_world.names() == named(range(51))
    assert titles(bare_world) == {"New"}


@pytest.mark.full
def test_shifted_keys_with_changes_are_harmless_in_mode_insert(any_world: World) -> None:
    any_world.run(people(range(1, 51), title="Old"), mode="insert")
    shifted = people(range(51), title="New")

    done = any_world.run(shifted, mode="insert")

    assert (done.exit_code, done.records["created"]) == (0, 1), done.log
    assert any_world.names() == named(range(51))
    assert [one["title"] for one in any_world.apollo.store.contacts()].count("Old") == 50
    any_world.stays(shifted, mode="insert")


# --- and a run before that was cut off


@pytest.mark.parametrize("mode", WRITING_OR_INSERT)
def test_keys_that_shift_after_a_lost_answer_write_over_nobody(world: World, mode: str) -> None:
    world.apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE, times=None))
    cut_off = world.run(people(range(1, 6)), mode=mode, max_retries=0)
    assert (cut_off.exit_code, world.names()) == (1, named(range(1, 6)))
    world.apollo.clear_faults()

    done = world.run(people(range(6)), mode=mode)

    assert done.exit_code == 0, done.log
    assert world.names() == named(range(6))
    assert world.updates() == {}
    world.stays(people(range(6)), mode=mode)


@pytest.mark.full
@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_BEFORE_WRITE, FaultKind.RESET_AFTER_WRITE], ids=["before", "after"]
)
def test_an_address_of_another_record_is_none_for_a_creation_that_was_cut_off(
    world: World, kind: FaultKind
) -> None:
    world.apollo.inject(Fault(CREATE, kind, times=None))
    world.run(people([1]), max_retries=0)
    world.apollo.clear_faults()
    made = world.apollo.store.add_contact(email="new@a.com")
    rows = [schema("contacts"), person(1, 1, email="new@a.com")]

    done = world.run(rows)

    assert not done.rejects, done.log
    assert world.contact("new@a.com")["id"] == made["id"]
    assert world.contact("new@a.com")["first_name"] == "Ann1"
    world.stays(rows)


@pytest.mark.full
def test_keys_that_shift_after_an_update_was_cut_off_write_over_nobody(world: World) -> None:
    world.run(people(range(1, 6), title="Old"))
    for endpoint in ("PATCH /contacts/{id}", "POST /contacts/bulk_update"):
        world.apollo.inject(Fault(endpoint, FaultKind.RESET_AFTER_WRITE, times=None))
    world.run(people(range(1, 6), title="New"), max_retries=0)
    world.apollo.clear_faults()

    done = world.run(people(range(6), title="New"))

    assert done.exit_code == 0, done.log
    assert world.names() == named(range(6))
    assert titles(world) == {"New"}
    world.stays(people(range(6), title="New"))


# --- where the run is stopped, and where not


def with_newcomers(newcomers: int, total: int) -> list[dict[str, object]]:
    """Other people under the first keys, the rest as before."""
    rows = [
        person(1000 + key if key <= newcomers else key, key, title="T")
        for key in range(1, total + 1)
    ]
    return [schema("contacts"), *rows, state({"at": total})]


@pytest.mark.full
def test_ten_keys_with_other_people_make_new_contacts(world: World) -> None:
    world.run(with_newcomers(0, 30))
    rows = with_newcomers(10, 30)

    done = world.run(rows)

    assert done.records == {"received": 30, "created": 10, "unchanged": 20}, done.log
    assert world.updates() == {}
    assert len(world.apollo.store.contacts()) == 40
    world.stays(rows)


@pytest.mark.full
def test_more_than_ten_and_more_than_a_tenth_stop_the_run(world: World) -> None:
    world.run(with_newcomers(0, 60))
    before = world.records()

    done = world.run(with_newcomers(11, 60))

    assert_stopped_for_keys(done)
    assert world.records() == before


@pytest.mark.full
def test_as_many_as_max_identity_changes_allows_do_not_stop_the_run(world: World) -> None:
    world.run(with_newcomers(0, 60))
    rows = with_newcomers(11, 60)

    done = world.run(rows, max_identity_changes=11)

    assert done.records == {"received": 60, "created": 11, "unchanged": 49}, done.log
    assert world.updates() == {}
    world.stays(rows, max_identity_changes=11)


@pytest.mark.full
def test_a_move_of_all_people_to_another_domain_does_not_stop_the_run(world: World) -> None:
    world.run(people(range(40)))
    rows = [person(n, n + 1, email=f"p{n}@new.com") for n in range(40)]
    moved = [schema("contacts"), *rows, state({"at": 40})]

    done = world.run(moved)

    assert done.records == {"received": 40, "updated": 40}, done.log
    assert world.names() == sorted((f"p{n}@new.com", f"Ann{n}") for n in range(40))
    world.stays(moved)
