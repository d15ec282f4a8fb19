"""Bodies are the same JSON by the fast and by the exact way of writing them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.apollo.decoding import _encode_exactly, _encode_plain, decode_body, encode_body

quick = settings(deadline=None, max_examples=100)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=4), values, max_size=4)


@quick
@given(bodies)
def test_what_is_sent_reads_back_as_the_body(body: dict[str, Any]) -> None:
    assert json.loads(encode_body(body) or b"") == body


@quick
@given(bodies)
def test_the_fast_way_says_what_the_exact_way_says_or_nothing(body: dict[str, Any]) -> None:
    plain = _encode_plain(body)
    assert plain is None or json.loads(plain) == json.loads(_encode_exactly(body))


def test_a_decimal_keeps_all_its_digits() -> None:
    content = encode_body({"n": Decimal("1234567890123456789.0123456789")})
    assert content == b'{"n":1234567890123456789.0123456789}'


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("Infinity")]
)
def test_a_number_that_json_lacks_is_refused(number: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_body({"values": [1, number]})


@pytest.mark.parametrize("text", ["null", "NaN", "-Infinity", "a null and a NaN"])
def test_a_text_may_hold_the_words_that_make_the_fast_way_doubt(text: str) -> None:
    assert decode_body(encode_body({"title": text}) or b"") == {"title": text}


def test_no_body_is_no_content() -> None:
    assert encode_body(None) is None
