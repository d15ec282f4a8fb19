"""Whole tables: which rows count as gone, whatever the order in which a tap says so."""

from __future__ import annotations

import time
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, contact, state
from tests.promises.deletions.tables import (
    STAGE,
    TO_LIST,
    TO_STAGE,
    activate,
    columns,
    moved,
    row,
    rows,
    set_stage,
    whole,
    whole_of_sdk,
)

TWO_TABLES = {
    **TO_STAGE,
    "stream_maps": {
        "crm-contacts_eu": {"__alias__": "contacts"},
        "crm-contacts_us": {"__alias__": "contacts"},
    },
}
EU, US = TWO_TABLES["stream_maps"]


@pytest.mark.full
@pytest.mark.parametrize("settings", one_fast(TO_STAGE, TO_LIST))
def test_a_row_is_gone_that_does_not_come_after_its_version(
    world: World, settings: dict[str, Any]
) -> None:
    world.run(whole_of_sdk(range(13)), **settings)

    done = world.run(whole_of_sdk(range(12)), **settings)

    assert moved(world) == [12], done.log
    assert done.summary["deleted"] == {"contacts": 1}
    assert "; moved 1 whose rows are gone; " in done.log
    world.stays(whole_of_sdk(range(12)), **settings)


def test_nothing_moves_where_two_tables_have_one_alias_and_all_rows_came(world: World) -> None:
    both = [*whole(range(6), EU)[:-1], *whole(range(6, 12), US)]
    world.run(both, **TWO_TABLES)

    world.run(both, **TWO_TABLES)

    assert moved(world) == []


def test_the_gone_row_of_one_of_two_tables_with_one_alias_moves(world: World) -> None:
    world.run([*whole(range(6), EU), *whole(range(6, 12), US)], **TWO_TABLES)

    world.run([*whole(range(1, 6), EU), *whole(range(6, 12), US)], **TWO_TABLES)

    assert moved(world) == [0]


def test_nothing_moves_while_one_of_two_tables_with_one_alias_did_not_come(world: World) -> None:
    world.run([*whole(range(6), EU), *whole(range(6, 12), US)], **TWO_TABLES)

    done = world.run(whole(range(6), EU), **TWO_TABLES)

    assert moved(world) == []
    assert f"its rows also come from '{US}', which was not" in done.log


@pytest.mark.parametrize("second", ["changes", "no version"])
def test_nothing_moves_while_one_of_two_tables_with_one_alias_is_not_whole(
    world: World, second: str
) -> None:
    world.run([*whole(range(6), EU), *whole(range(6, 12), US)], **TWO_TABLES)

    bookmarks = {"bookmark_properties": ["updated_at"]} if second == "changes" else {}
    part = [columns(US, **bookmarks), *rows([7], US), state({"at": 2})]
    if bookmarks:
        part.append(activate(US))
    world.run([*whole(range(6), EU), *part], **TWO_TABLES)

    assert moved(world) == []


def test_a_child_stream_with_a_version_for_each_parent_keeps_all_its_rows(world: World) -> None:
    def children() -> list[Message]:
        version = int(time.time())
        parts = [[activate(version=version), *rows(range(n, n + 3))] for n in (0, 3, 6)]
        return [columns(), *[one for part in parts for one in part], state({"at": 1})]

    world.run(children(), **TO_STAGE)

    world.run(children(), **TO_STAGE)

    assert moved(world) == []


def test_a_version_in_the_middle_of_a_table_moves_nothing_that_comes_after_it(
    world: World,
) -> None:
    table = [columns(), *rows(range(3)), activate(), *rows(range(3, 6)), state({"at": 1})]
    world.run(table, **TO_STAGE)

    world.run(table, **TO_STAGE)

    assert moved(world) == []


@pytest.mark.parametrize("bookmarks", [["updated_at"], [None]])
def test_a_tap_that_sends_changes_only_makes_no_row_gone(
    world: World, bookmarks: list[str | None]
) -> None:
    world.run(whole(range(6)), **TO_STAGE)

    changes = {"bookmark_properties": bookmarks}
    done = world.run([columns(**changes), row(1), activate(), state({"at": 2})], **TO_STAGE)

    assert moved(world) == []
    assert "has bookmark_properties" in done.log


def test_a_table_that_a_tap_began_before_the_run_moves_nothing(world: World) -> None:
    world.run(whole_of_sdk(range(6)), **TO_STAGE)

    earlier = int(time.time() - 600) * 1000
    done = world.run(whole_of_sdk(range(5), version=earlier), **TO_STAGE)

    assert moved(world) == []
    assert "before this run" in done.log


def test_a_table_with_the_start_of_its_tap_in_seconds_is_whole_however_old(world: World) -> None:
    world.run(whole_of_sdk(range(6), version=1_795_801_704), **TO_STAGE)

    world.run(whole_of_sdk(range(5), version=1_795_801_705), **TO_STAGE)

    assert moved(world) == [5]


def test_a_tap_that_ends_after_a_row_may_have_been_cut_off(world: World) -> None:
    world.run(whole_of_sdk(range(6)), **TO_STAGE)

    done = world.run(whole_of_sdk(range(5))[:-1], **TO_STAGE)

    assert moved(world) == []
    assert "as if the tap had been cut off" in done.log


def test_rows_of_another_version_than_the_active_one_make_no_row_gone(world: World) -> None:
    world.run(whole(range(6)), **TO_STAGE)

    resumed = [{**one, "version": 4} for one in rows(range(5))]
    done = world.run([columns(), *resumed, activate(version=5), state({"at": 1})], **TO_STAGE)

    assert moved(world) == []
    assert "have another version" in done.log


def test_nothing_moves_after_a_run_that_ended_before_its_end(world: World) -> None:
    world.run(whole_of_sdk(range(6)), **TO_STAGE)

    world.run(whole_of_sdk(range(5), title="A"), **TO_STAGE, max_updates=2)

    assert moved(world) == []


def test_a_row_that_a_filter_leaves_out_stays_and_another_that_is_gone_moves(
    world: World,
) -> None:
    world.run(whole(range(6)), **TO_STAGE)

    filtered = {"contacts": {"__filter__": "id != 2"}}
    world.run(whole(range(5)), **TO_STAGE, stream_maps=filtered)

    assert moved(world) == [5]


def test_a_row_that_a_filter_leaves_out_for_one_of_two_streams_is_gone_from_none(
    world: World,
) -> None:
    def split(condition: str) -> dict[str, Any]:
        copied = {"__source__": "contacts", "__filter__": condition}
        return {**TO_STAGE, "stream_maps": {"contacts": {}, "vip-contacts": copied}}

    world.sync(whole(range(4)), **split("id > 0"))

    world.sync(whole(range(4)), **split("id > 1"))

    assert moved(world) == []


def test_a_filter_whose_map_makes_the_key_leaves_all_rows_where_they_are(world: World) -> None:
    settings = {
        **TO_STAGE,
        "stream_maps": {"contacts": {"id": "id + 100", "__filter__": "id != 2"}},
    }
    world.run(whole([0, 1, 3]), **settings)

    world.run(whole([0, 1, 2]), **settings)

    assert moved(world) == []


def test_a_stream_that_maps_drop_says_nothing_about_another_of_its_name(world: World) -> None:
    settings = {
        **TO_STAGE,
        "stream_maps": {"contacts": None, "people": {"__alias__": "contacts"}},
    }
    dropped = [columns(), *rows(range(20, 23))]
    world.run([*dropped, *whole(range(4), "people")], **settings)

    world.run([*dropped, *whole(range(3), "people")], **settings)

    assert moved(world) == [3]


def test_a_rejected_row_keeps_the_record_of_its_address(world: World) -> None:
    world.run(whole(range(4)), **TO_STAGE)

    # The person has a new key, and a value that Apollo refuses.
    again = row(9, email="p3@a.com", owner_id="nobody")
    done = world.run([columns(), *rows(range(3)), again, activate()], **TO_STAGE)

    assert done.records["rejected"] == 1
    assert moved(world) == []


def test_a_row_that_comes_by_another_stream_keeps_its_record(world: World) -> None:
    world.run(whole(range(4)), **TO_STAGE)

    other = [columns("more-contacts"), contact(7, email="p3@a.com")]
    other[1]["stream"] = "more-contacts"
    world.run([*whole(range(3)), *other], **TO_STAGE)

    assert moved(world) == []


def in_tables(first: list[int], second: list[int]) -> list[Message]:
    """Two whole tables, which may hold the same people."""
    return [*whole(first, "a-contacts")[:-1], *whole(second, "b-contacts")]


@pytest.mark.full
def test_a_record_of_two_whole_tables_moves_once_it_is_gone_from_both(world: World) -> None:
    world.run(in_tables([0, 1], [1, 2]), **TO_STAGE)

    world.run(in_tables([0], [1, 2]), **TO_STAGE)
    after_the_first = moved(world)
    world.run(in_tables([0], [2]), **TO_STAGE)

    assert after_the_first == []
    assert moved(world) == [1]
    world.stays(in_tables([0], [2]), **TO_STAGE)


def test_a_record_of_two_whole_tables_moves_where_both_rows_go_at_once(world: World) -> None:
    world.run(in_tables([0, 1], [1, 2]), **TO_STAGE)

    done = world.run(in_tables([0], [2]), **TO_STAGE)

    assert moved(world) == [1]
    assert sum(done.summary["deleted"].values()) == 1


@pytest.mark.full
@pytest.mark.parametrize("apart", one_fast("stream", "source"))
def test_a_record_of_two_pipelines_moves_with_the_last_of_its_rows(
    world: World, apart: str
) -> None:
    def pipeline(name: str, numbers: list[int]) -> None:
        stream = f"{name}-contacts" if apart == "stream" else "contacts"
        own = {"source": name} if apart == "source" else {}
        world.run(whole(numbers, stream), **TO_STAGE, **own)

    pipeline("a", [0, 1])
    pipeline("b", [1, 2])

    pipeline("a", [0])
    after_the_first = moved(world)
    pipeline("b", [2])

    assert after_the_first == []
    assert moved(world) == [1]
    pipeline("a", [0])
    pipeline("b", [2])
    assert moved(world) == [1]


def test_a_record_that_a_person_moved_there_is_not_moved_again(world: World) -> None:
    world.run(whole([0, 1]), **TO_STAGE)
    world.run(whole([0]), **TO_STAGE)

    done = world.run(whole([0]), **TO_STAGE)

    assert "POST /contacts/update_stages" not in world.written()
    assert done.summary["deleted"] == {}
    assert moved(world, STAGE) == [1]


def test_without_a_ledger_no_missing_row_is_known(bare_world: World) -> None:
    bare_world.run(whole_of_sdk(range(3)), **TO_STAGE)

    done = bare_world.run(whole_of_sdk(range(2)), **TO_STAGE)

    assert moved(bare_world) == []
    assert "there is no ledger that knows which rows there were" in done.log


CREATE = "POST /contacts/bulk_create"


def killed(world: World, numbers: list[int], kind: FaultKind) -> None:
    """A run that sends rows and never hears whether they were created."""
    world.apollo.inject(Fault(endpoint=CREATE, kind=kind, times=None))
    done = world.run(whole_of_sdk(numbers), **TO_STAGE, max_retries=0)
    assert done.exit_code == 1
    world.apollo.clear_faults()


@pytest.mark.full
def test_a_record_that_a_killed_run_made_moves_though_its_row_is_gone(world: World) -> None:
    world.run(whole_of_sdk([0, 1]), **TO_STAGE)
    killed(world, [0, 1, 2], FaultKind.RESET_AFTER_WRITE)

    done = world.run(whole_of_sdk([0, 1]), **TO_STAGE)

    assert moved(world) == [2], done.log
    world.stays(whole_of_sdk([0, 1]), **TO_STAGE)


@pytest.mark.full
def test_a_record_that_a_killed_run_never_made_is_looked_for_once(world: World) -> None:
    world.run(whole_of_sdk([0, 1]), **TO_STAGE)
    killed(world, [0, 1, 2], FaultKind.RESET_BEFORE_WRITE)

    world.run(whole_of_sdk([0, 1]), **TO_STAGE)

    assert moved(world) == []
    world.stays(whole_of_sdk([0, 1]), **TO_STAGE)


def test_a_record_stays_while_a_row_of_the_same_key_in_another_stream_has_it(world: World) -> None:
    world.run(in_tables([0, 1], [1, 2]), **TO_STAGE)
    for _ in range(2):
        world.run(whole([0], "a-contacts"), **TO_STAGE)

    assert moved(world) == []


@pytest.mark.full
@pytest.mark.parametrize("two", one_fast(False, True))
def test_a_record_that_a_protected_stage_kept_moves_once_nothing_protects_it(
    world: World, two: bool
) -> None:
    others = ["old-contacts"] if two else []

    def tables(numbers: range) -> list[Message]:
        more = [one for name in others for one in whole(numbers, name)[:-1]]
        return [*more, *whole(numbers)]

    world.run(tables(range(4)), **TO_STAGE)
    set_stage(world, 3, "Do Not Contact")
    world.run(tables(range(3)), **TO_STAGE)
    assert moved(world) == []
    world.stays(tables(range(3)), **TO_STAGE)

    world.run(tables(range(3)), **TO_STAGE, protected_stages=[])

    assert moved(world) == [3]
    world.stays(tables(range(3)), **TO_STAGE, protected_stages=[])
