"""Characters that nobody sees: which are taken out of text, and which shape what is seen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model import values
from target_apollo.model.texts.characters import bare, visible
from target_apollo.model.texts.spelling import folded

quick = settings(deadline=None, max_examples=200)
#: Zero-width space, joiners, marks of direction, word joiner, byte order mark, soft hyphen.
UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\u00ad\u061c\u180e"
BLANKS = "\u00a0\u2003\u2009\u202f\u3000"
printable = st.text().filter(str.isprintable)
hostile = st.text(st.characters(exclude_categories=())) | st.text(
    st.sampled_from(f"{UNSEEN}{BLANKS}aÉé\u0301\u094d\u0915\u0647👩👧\ufe0f\n\x85\u2028 ")
)


@quick
@given(printable)
def test_text_that_is_all_seen_stays_as_it_is(value: str) -> None:
    assert visible(value) == value.strip()


@quick
@given(hostile)
def test_cleaning_twice_is_cleaning_once(value: str) -> None:
    assert visible(visible(value)) == visible(value)
    assert bare(bare(value)) == bare(value)


@quick
@given(hostile)
def test_a_clean_text_has_no_unseen_character_but_joiners(value: str) -> None:
    clean = visible(value)
    assert not set(clean) & set(UNSEEN + BLANKS) - {"\u200c", "\u200d"}
    assert not any(unicodedata.category(sign) == "Cs" for sign in clean)
    assert clean == clean.strip()


@pytest.mark.parametrize("unseen", UNSEEN)
def test_an_unseen_character_is_taken_out_of_a_name(unseen: str) -> None:
    assert values.text("first_name", f"{unseen}An{unseen}n{unseen}") == "Ann"
    assert folded(f"Not{unseen} Interested{unseen}") == folded("Not Interested")


@pytest.mark.parametrize("unseen", UNSEEN)
def test_a_text_of_unseen_characters_only_is_nothing(unseen: str) -> None:
    assert values.text("first_name", f" {unseen}{unseen}") is None


@pytest.mark.parametrize("blank", BLANKS)
def test_every_blank_becomes_a_plain_one(blank: str) -> None:
    assert values.text("title", f"{blank}Chief{blank}Officer{blank}") == "Chief Officer"


def test_a_line_separator_becomes_a_newline() -> None:
    assert values.text("address", "1 Pine St\u2028San Francisco\x85CA") == (
        "1 Pine St\nSan Francisco\nCA"
    )


@pytest.mark.parametrize(
    "shaped",
    [
        "👩\u200d👩\u200d👧",
        "❤\ufe0f\u200d🔥",
        "👩🏽\u200d🚀",
        "علی\u200cرضا",
        "क्\u200dष",
        "അവന്\u200d",
    ],
)
def test_a_joiner_that_shapes_what_is_seen_stays(shaped: str) -> None:
    assert values.text("first_name", f"\ufeff{shaped} ") == shaped


def test_names_are_compared_without_what_only_shapes_them() -> None:
    assert folded("VIP \u2764\ufe0f") == folded("vip \u2764")
    assert folded("علی\u200cرضا") == folded("علیرضا")


def test_composed_and_decomposed_letters_are_one_in_comparisons_and_two_in_text() -> None:
    decomposed = unicodedata.normalize("NFD", "Müller")
    assert folded(decomposed) == folded("Müller")
    assert values.text("last_name", decomposed) == decomposed


@quick
@given(hostile, hostile)
def test_names_that_look_the_same_are_one_name(before: str, after: str) -> None:
    assert folded(f"{before}a\u200b\ufeffb{after}") == folded(f"{before}ab{after}")
