from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.texts.spelling import folded, nearest_address, no_such

STAGES = ["New", "Approaching", "Replied", "Interested", "Not Interested", "Do Not Contact"]
quick = settings(deadline=None, max_examples=200)


def test_a_misspelled_name_is_shown_with_the_one_that_was_meant() -> None:
    assert no_such("contact stage", "contact_stage", "Intrested", STAGES) == (
        "Apollo has no contact stage 'Intrested' ('contact_stage'); did you mean 'Interested'?"
    )


def test_a_value_that_is_only_somewhat_like_a_name_is_not_shown() -> None:
    assert no_such("contact stage", "contact_stage", "Uninteresting", STAGES) == (
        "Apollo has no contact stage of the name in 'contact_stage'; did you mean 'Interested'?"
    )


def test_a_value_like_no_name_is_not_shown_and_the_known_names_are() -> None:
    said = no_such("contact stage", "contact_stage", "ann@customer.example", STAGES[:2])
    assert said.endswith("of the name in 'contact_stage'; it has New, Approaching")


def test_of_many_known_names_the_first_are_listed() -> None:
    said = no_such("option", "tier", "???", [f"{number:04}" for number in range(30)])
    assert said.endswith("0018, 0019 and 10 more")


def test_that_there_are_no_names_at_all_is_said() -> None:
    assert no_such("option", "tier", "x", []).endswith("; it has none")


@quick
@given(st.text(max_size=30), st.sampled_from([[], *(STAGES[:n] for n in range(1, 6))]))
def test_a_value_is_shown_only_where_it_is_like_a_known_name(value: str, known: list[str]) -> None:
    said = no_such("stage", "property", value, known)
    best = max(
        (difflib.SequenceMatcher(None, folded(one), folded(value)).ratio() for one in known),
        default=0.0,
    )
    if f"stage '{' '.join(value.split())}' (" in said:
        assert best >= 0.8
    else:
        assert said == no_such("stage", "property", "x" * len(value), known) or best >= 0.6
    assert said.isprintable() or not value.isprintable()


def test_a_value_of_a_megabyte_costs_no_time_and_is_not_shown() -> None:
    assert len(no_such("stage", "property", "Interested" * 100_000, STAGES)) < 200


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("robin.repp@one.example", "2"),
        ("robin.rep@one.exmaple", "2"),
        ("somebody@else.example", None),
        ("r" * 1_000_000, None),
        ("", None),
    ],
)
def test_the_nearest_user_is_named_by_id(address: str, found: str | None) -> None:
    users = {"avery.admin@one.example": "1", "robin.rep@one.example": "2"}
    assert nearest_address(address, users) == found
