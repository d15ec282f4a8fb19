"""What the ledger notes of a deleted row, and what it still knows after more moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sync.deletions.marks import (
    HELD,
    DeletionMark,
    Move,
    digits_of,
    is_moved_to,
)

FIRST, SECOND, OWN = ("a" * 24, "b" * 24, "c" * 24)
stages = st.sampled_from([FIRST, SECOND, OWN])
lists = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)
moves = st.builds(Move, stages, st.none() | stages) | st.builds(Move, lists)


@given(st.lists(moves, max_size=4))
def test_a_mark_is_read_as_it_was_written(found: list[Move]) -> None:
    mark = DeletionMark(tuple(found))
    assert DeletionMark.of(mark.text) == mark


@pytest.mark.parametrize("text", [None, "", "sha256:1", "0" * 32])
def test_another_payload_hash_is_no_mark(text: str | None) -> None:
    assert DeletionMark.of(text) is None


@pytest.mark.parametrize("place", [FIRST, "Deleted, in CRM"])
def test_a_mark_of_an_earlier_version_names_the_place_alone(place: str) -> None:
    mark = DeletionMark.of(f"deleted:{place}")
    assert mark == DeletionMark((Move(place),))
    assert is_moved_to(mark.text, f"deleted:{place}", "")


def test_a_row_whose_record_stayed_was_moved_nowhere() -> None:
    assert HELD.text == "deleted:"
    assert not is_moved_to(HELD.text, f"deleted:{FIRST}", "")


def test_of_two_moves_the_stage_before_the_first_counts() -> None:
    twice = HELD.moved_to(FIRST, OWN).moved_to(SECOND, FIRST)
    assert twice.stage == Move(SECOND, OWN)


def test_a_stage_that_somebody_set_between_two_moves_counts() -> None:
    assert HELD.moved_to(FIRST, SECOND).moved_to(SECOND, OWN).stage == Move(SECOND, OWN)


@given(lists)
def test_a_list_beside_a_stage_leaves_the_stage_known(name: str) -> None:
    both = HELD.moved_to(FIRST, OWN).moved_to(name, None)
    assert (both.stage, both.lists, both.is_at(name, "")) == (Move(FIRST, OWN), (name,), True)


def test_a_move_that_is_noted_again_keeps_what_is_known() -> None:
    once = HELD.moved_to(FIRST, OWN)
    assert once.moved_to(FIRST, None) == once


@given(st.lists(moves, min_size=1, max_size=3))
def test_a_move_under_way_is_not_taken_for_made_and_keeps_what_is_known(found: list[Move]) -> None:
    mark = DeletionMark(tuple(found), is_open=True)
    read = DeletionMark.of(mark.text)
    assert read == mark
    assert not mark.is_at(found[0].place, "")


@given(st.lists(moves, max_size=3), st.booleans())
def test_a_record_in_a_protected_stage_is_done_with_until_other_stages_are_protected(
    found: list[Move], is_open: bool
) -> None:
    now, later = digits_of(["Do Not Contact"]), digits_of([])
    kept = DeletionMark(tuple(found), is_open).left_at(SECOND, now)
    assert DeletionMark.of(kept.text) == kept
    assert (kept.is_at(SECOND, now), kept.is_at(SECOND, later)) == (True, False)
    assert kept.moved_to(SECOND, OWN).is_at(SECOND, later)
