"""The text by which a record tells its row: readable, and never that of another row."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.row_marks import LONGEST, mark_of
from target_apollo.model.rows import KeyFlag

_KEYS = st.lists(st.text("a/%, é\u200b1", min_size=1, max_size=5), min_size=1, max_size=3)
_NAMES = st.text("ab/%,", max_size=3)


@given(_NAMES, st.text("ab/%,", min_size=1, max_size=3), _KEYS, _NAMES, _NAMES, _KEYS)
def test_no_two_rows_have_one_text(
    source: str, stream: str, key: list[str], source2: str, stream2: str, key2: list[str]
) -> None:
    one, other = (source, stream, key), (source2, stream2 or "a", key2)
    assert (mark_of(*one) == mark_of(*other)) == (one == other)


def test_it_is_read_as_source_stream_and_key() -> None:
    assert mark_of("tap-hubspot", "deals", (4711,)) == "tap-hubspot/deals/4711"
    assert mark_of("", "deals", ("Größe 3", 2)) == "deals/Größe 3,2"


def test_equal_numbers_have_one_text_and_true_is_not_one() -> None:
    assert mark_of("", "d", (Decimal("17.00"),)) == mark_of("", "d", (17,)) == "d/17"
    assert mark_of("", "d", (KeyFlag.TRUE,)) == "d/true"


def test_a_long_text_ends_in_a_hash_that_tells_it_from_others() -> None:
    texts = {mark_of("crm", "deals", ("x" * 300 + end,)) for end in "ab"}
    assert len(texts) == 2
    assert all(len(text) <= LONGEST for text in texts)
