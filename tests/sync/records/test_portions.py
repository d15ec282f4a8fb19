"""Where too little is left for all rows, the oldest ones that it takes go first."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.rows import Row
from target_apollo.sync.records.plan import age, oldest_first
from target_apollo.sync.records.portions import fits, prefix


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(0, 40))
def test_a_portion_is_the_longest_beginning_that_is_small_enough(
    sizes: list[int], room: int
) -> None:
    found = prefix(sizes, lambda some: sum(some) <= room)
    right = max((n for n in range(len(sizes) + 1) if sum(sizes[:n]) <= room), default=0)
    assert found == max(right, min(1, len(sizes)))


def test_one_request_may_always_be_tried() -> None:
    assert fits({"a": 1}, lambda _: 0)
    assert not fits({"a": 2}, lambda _: 1)
    assert fits({"a": 2, "b": 900}, {"a": 2, "b": math.inf}.__getitem__)


rows = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 6)), max_size=12, unique_by=lambda one: one[0]
).map(
    lambda made: [
        Row(number, (number,), f"p{person}@a.com", {}, supersedes=(1,) if number % 5 == 0 else ())
        for number, person in made
    ]
)


@given(rows)
def test_the_oldest_rows_come_first_but_those_of_one_record_keep_their_order(
    given_rows: list[Row],
) -> None:
    found = oldest_first(CONTACT, given_rows)
    assert sorted(map(id, found)) == sorted(map(id, given_rows))
    for address in {row.match_key for row in given_rows}:
        before = [row for row in given_rows if row.match_key == address]
        assert [row for row in found if row.match_key == address] == before
    if len({row.match_key for row in given_rows}) == len(given_rows):
        assert [age(row) for row in found] == sorted(map(age, given_rows))
