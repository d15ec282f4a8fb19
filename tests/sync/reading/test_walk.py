"""Walks through all records of an object while others change them, and in several runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import QuotaExhausted, Stage
from target_apollo.apollo.endpoints import ObjectEndpoints
from target_apollo.sync.reading.parts import SHOWN, SHOWN_FROM_BOTH_ENDS
from target_apollo.sync.reading.walk import Progress
from tests.sync.reading.conftest import PagedApollo, at


def numbers(pages: Iterable[list[dict[str, object]]]) -> list[int]:
    return [int(str(record["id"]), 16) for page in pages for record in page]


def test_all_records_come_once_the_oldest_first(apollo: PagedApollo) -> None:
    for number in range(250):
        apollo.put(number)
    assert numbers(apollo.walk().all()) == list(range(250))
    assert len(apollo.asked) == 3


def test_an_object_without_records_is_one_request(apollo: PagedApollo) -> None:
    assert numbers(apollo.walk().all()) == []
    assert len(apollo.asked) == 1


def test_an_empty_page_is_not_the_end(apollo: PagedApollo) -> None:
    for number in range(250):
        apollo.put(number)
    apollo.empty = frozenset({2})
    assert numbers(apollo.walk().all())[-50:] == list(range(200, 250))


@given(
    dropped=st.lists(st.sets(st.integers(0, 449), max_size=150), max_size=6),
    added=st.lists(st.integers(0, 30), max_size=6),
)
def test_no_record_that_stays_is_missed_while_others_are_deleted_or_made(
    dropped: list[set[int]], added: list[int]
) -> None:
    """Deleted between two pages, as far as no record is made between the same two."""
    apollo = PagedApollo()
    for number in range(450):
        apollo.put(number)

    def change(page: int) -> None:
        gone = dropped[page] if page < len(dropped) else set()
        apollo.drop(*(one for one in gone if f"{one:024x}" in apollo.records))
        for extra in range(added[page] if not gone and page < len(added) else 0):
            apollo.put(1000 + 100 * page + extra)

    apollo.meanwhile = change
    found = numbers(apollo.walk().all())
    assert set(found) >= {int(one, 16) for one in apollo.records} - set(range(450, 9999))
    assert len(found) == len(set(found))


@given(st.integers(1, 8), st.sets(st.integers(0, 649), max_size=250))
def test_a_walk_that_the_quota_ends_goes_on_in_the_next_run(pages: int, deleted: set[int]) -> None:
    apollo = PagedApollo()
    for number in range(650):
        apollo.put(number)
    found: list[int] = []
    progress: Progress | None = None
    for run in range(12):
        apollo.quota = len(apollo.asked) + pages + 1
        walk = apollo.walk(progress)
        try:
            for page in walk.all():
                found += numbers([page])
                progress = Progress.of_state(json.loads(json.dumps(walk.progress.to_state())))
            break
        except QuotaExhausted:
            if run == 0:
                apollo.drop(*deleted)
    assert set(found) >= set(range(650)) - deleted


def test_apollo_shows_fifty_thousand_records_of_a_search() -> None:
    assert (SHOWN, SHOWN_FROM_BOTH_ENDS) == (50_000, 100_000)


def test_more_records_than_a_search_shows_are_read_from_both_ends(narrow: PagedApollo) -> None:
    for number in range(750):
        narrow.put(number)
    walk = narrow.walk()
    assert sorted(numbers(walk.all())) == list(range(750))
    assert walk.is_split
    assert walk.not_shown == 0
    assert len(narrow.asked) == 5 + 3


def test_more_than_both_ends_show_are_read_by_stages_and_lists(narrow: PagedApollo) -> None:
    for number in range(1300):
        on_list = ["l1"] if 400 <= number < 900 else []
        narrow.put(number, contact_stage_id="s2" if number % 20 == 7 else "s1", label_ids=on_list)
    walk = narrow.walk()
    assert len(set(numbers(walk.all()))) == 1300
    assert walk.not_shown == 0
    read = {(selection.stage_id, selection.label_id) for selection, _ in narrow.asked}
    assert read == {("", ""), ("s1", ""), ("s1", "l1"), ("s2", "")}


def test_a_walk_by_stages_goes_on_in_the_next_run(narrow: PagedApollo) -> None:
    for number in range(1300):
        narrow.put(number, contact_stage_id="s2" if number % 2 else "s1")
    found: list[int] = []
    progress: Progress | None = None
    for _ in range(20):
        narrow.quota = len(narrow.asked) + 4
        walk = narrow.walk(progress)
        try:
            for page in walk.all():
                found += numbers([page])
                progress = Progress.of_state(json.loads(json.dumps(walk.progress.to_state())))
            break
        except QuotaExhausted:
            pass
    assert set(found) == set(range(1300))


@pytest.mark.parametrize("refused_at", [1, 2, 4])
def test_stages_that_can_t_be_read_yet_are_asked_for_by_the_next_run(
    narrow: PagedApollo, monkeypatch: pytest.MonkeyPatch, refused_at: int
) -> None:
    for number in range(1300):
        narrow.put(number, contact_stage_id="s2" if number % 2 else "s1")
    stages, calls = narrow.stages, 0

    def refused(of: ObjectEndpoints) -> list[Stage]:
        nonlocal calls
        calls += 1
        if calls < refused_at:
            raise QuotaExhausted("GET /contact_stages", retry_at=datetime.now(timezone.utc))
        return stages(of)

    monkeypatch.setattr(narrow, "stages", refused)
    found: set[int] = set()
    state: object = None
    for _ in range(refused_at):
        walk = narrow.walk(Progress.of_state(state))
        with suppress(QuotaExhausted):
            for page in walk.all():
                found.update(numbers([page]))
                state = json.loads(json.dumps(walk.progress.to_state()))
    assert found == set(range(1300))


def test_a_walk_that_goes_on_still_says_that_records_are_not_shown(narrow: PagedApollo) -> None:
    narrow.stage_ids = ("s1",)
    for number in range(1930):
        narrow.put(number)
    narrow.quota = 9
    first = narrow.walk()
    with pytest.raises(QuotaExhausted):
        numbers(first.all())
    narrow.quota = 10_000
    walk = narrow.walk(Progress.of_state(first.progress.to_state()))
    numbers(walk.all())
    assert walk.is_split
    assert walk.not_shown == 930


def test_records_that_no_search_shows_are_counted(narrow: PagedApollo) -> None:
    narrow.stage_ids = ("s1",)
    for number in range(1130):
        narrow.put(number)
    walk = narrow.walk()
    assert len(set(numbers(walk.all()))) == 1000
    assert walk.not_shown == 130


def test_changes_are_read_down_to_the_time_of_the_walk_before(apollo: PagedApollo) -> None:
    for number in range(1000):
        apollo.put(number)
    for number in (3, 5, 700):
        apollo.put(number, changed=10_000 + number)
    walk = apollo.walk()
    found = numbers(walk.changed(datetime.fromisoformat(at(5_000))))
    assert found[:3] == [700, 5, 3]
    assert len(apollo.asked) == 2
    assert walk.progress.newest == at(10_700)


def test_what_changes_during_a_walk_is_left_to_the_next_one(apollo: PagedApollo) -> None:
    for number in range(1000):
        apollo.put(number, changed=10_000 + number)

    def change(page: int) -> None:
        if page == 3:
            apollo.put(0, changed=50_000)

    apollo.meanwhile = change
    first = apollo.walk()
    found = set(numbers(first.changed(datetime.fromisoformat(at(9_000)))))
    assert found == set(range(1, 1000))
    second = apollo.walk()
    since = datetime.fromisoformat(first.progress.newest)
    assert 0 in numbers(second.changed(since))


def test_more_changes_than_a_search_shows_are_told(narrow: PagedApollo) -> None:
    for number in range(501):
        narrow.put(number, changed=10_000 + number)
    walk = narrow.walk()
    assert len(numbers(walk.changed(datetime.fromisoformat(at(0))))) == 500
    assert walk.too_many_changed


@pytest.mark.parametrize(
    "state", [None, 5, {}, {"page": 0}, {"parts": [[1]], "page": 2, "reached": "", "newest": ""}]
)
def test_a_state_of_another_form_lets_the_walk_begin_anew(state: object) -> None:
    assert Progress.of_state(state) is None
