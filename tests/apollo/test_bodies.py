"""The bodies of requests decode to the values that they were made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.apollo.answers import decode_body
from target_apollo.apollo.transport import encode_body

quick = settings(deadline=None, max_examples=100)

# What rows hold; counts and switches stand around them in a request.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner),
    max_leaves=8,
)


@quick
@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_sent_reads_back_as_the_body(body: dict[str, Any]) -> None:
    assert json.loads(encode_body(body) or b"") == body


@pytest.mark.parametrize("text", ["null", "NaN", "-Infinity", "a null and a NaN"])
def test_a_text_may_hold_the_words_of_json(text: str) -> None:
    assert decode_body(encode_body({"title": text}) or b"") == {"title": text}


def test_no_body_is_no_content() -> None:
    assert encode_body(None) is None
