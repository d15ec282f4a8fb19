"""JSON that strict JSON forbids, and what target and mapper read in it."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.texts.lenient_json import NUMBERS, read_lenient

_STRICT = msgspec.json.Decoder(float_hook=NUMBERS.create_decimal)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: "Infinity" not in json.dumps(value))


@pytest.mark.parametrize(
    "written",
    [b"NaN", b"Infinity", b"-Infinity", b"1e99999999", b"-1e99999999", b"1e-99999999999999999999",
     b"9" * 5000],
)  # fmt: skip
def test_what_is_no_number_of_this_world_is_nothing(written: bytes) -> None:
    assert read_lenient(b'{"a": %b, "b": 1}' % written) == {"a": None, "b": 1}


@pytest.mark.parametrize("written", [b"1e999", b"0.10", b"12345678901234567890.5", b"9" * 400])
def test_a_large_number_keeps_its_digits(written: bytes) -> None:
    assert Decimal(read_lenient(written)) == Decimal(written.decode())


def test_of_two_members_of_one_name_the_last_counts_as_for_the_strict_reader() -> None:
    line = b'{"a": 1, "a": 2}'
    assert read_lenient(line) == _STRICT.decode(line) == {"a": 2}


def test_half_of_a_surrogate_pair_becomes_the_sign_for_an_unknown_character() -> None:
    found = read_lenient(rb'{"\ud800": ["a\udc00b", "\ud83d\ude00"]}')
    assert found == {"\ufffd": ["a\ufffdb", "\U0001f600"]}


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_lenient(b'\xef\xbb\xbf{"a": NaN}') == {"a": None}


@pytest.mark.parametrize("written", [b"", b"{", b'{"a": nan}', b"[1,]", b'{"a": 01}', b'"\xff"'])
def test_what_is_no_json_even_so_is_refused(written: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds
        read_lenient(written)


@given(json_values)
def test_strict_json_is_read_as_by_the_strict_reader(value: object) -> None:
    line = json.dumps(value).encode()
    assert read_lenient(line) == _STRICT.decode(line)
