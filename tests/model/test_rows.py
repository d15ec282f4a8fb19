"""Source keys as log lines show them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.rows import KeyFlag, key_text
from tests.helpers.row_parsers import EMAIL, hostile

quick = settings(deadline=None, max_examples=25)


@quick
@given(st.lists(hostile))
def test_a_key_of_any_kind_can_be_shown(key: list[object]) -> None:
    assert key_text(key).isprintable()


@quick
@given(
    st.from_regex(r"[a-z]{6,12}", fullmatch=True),
    st.sampled_from(["{}", " {} ", "mailto:{}", "{}|4", "{}@@x"]),
)
def test_an_e_mail_address_in_a_key_is_shown_as_its_hash(local: str, notation: str) -> None:
    shown = key_text([notation.format(f"{local}@example.com"), 4])
    assert local not in shown
    assert shown.startswith("sha256:")
    assert shown.endswith("/4")


def test_notations_of_one_address_have_one_hash() -> None:
    assert key_text([" ADA@Example.com "]) == key_text([EMAIL])


def test_ordinary_keys_are_shown_as_they_are() -> None:
    assert key_text(["eu", 4, Decimal("2.50")]) == "eu/4/2.50"


def test_a_boolean_is_shown_as_in_json() -> None:
    assert key_text([True, KeyFlag.FALSE]) == "true/false"


@pytest.mark.parametrize("key", ["x" * 81, "two\nlines", "\x1b[2J"])
def test_a_key_that_would_spoil_the_log_is_shown_by_its_length(key: str) -> None:
    assert key_text([key]) == f"({len(key)} chars)"
