from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.ledger import payload_hash, payload_hash_of_texts, source_key

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.text()
    | st.dates()
    | st.datetimes(timezones=st.just(timezone.utc))
)
#: Lone surrogates too, which no UTF-8 has a form for.
any_texts = st.text(st.characters(exclude_categories=()))
finite_decimals = st.decimals(allow_nan=False, allow_infinity=False)


def meaning(value: object) -> object:
    """What makes two key values the same: their kind and, for numbers, their exact value."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return type(value).__name__, value
    return "number", Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([42], "42"),
        (["42"], '"42"'),
        ([Decimal("42.00")], "42"),
        ([42.0], "42"),
        ([Decimal("4.20")], "42E-1"),
        ([-0.0], "0"),
        ([10**18], "1E18"),
        ([True], "true"),
        ([None], "null"),
        ([date(2024, 5, 1)], "2024-05-01"),
        ([datetime(2024, 5, 1, 2, 30)], "2024-05-01T02:30:00"),
        (
            [datetime(2024, 5, 1, 2, 30, tzinfo=timezone(timedelta(hours=2)))],
            "2024-05-01T00:30:00+00:00",
        ),
        ([7, "de"], '7,"de"'),
        (['7,"de"'], r'"7,\"de\""'),
        (["Zoë\x00\ud83d"], r'"Zo\u00eb\u0000\ud83d"'),
    ],
)
def test_a_key_is_spelled_the_same_in_every_release(values: list[object], text: str) -> None:
    assert source_key(values) == text


def test_a_key_that_is_an_email_is_stored_hashed() -> None:
    key = source_key(["ada@example.com"])
    assert key == "sha256:" + "c525d356ee379bcf0bc280eab6d3a94fb85f7905b5b8e6419f7549379eb64413"


@given(st.text(), st.text())
def test_no_key_shows_a_text_with_an_at_sign(before: str, after: str) -> None:
    for sign in ("@", "＠", "﹫", "%40"):
        key = source_key([1, before + sign + after])
        assert len(key) == len("1,sha256:") + 64
        assert "@" not in key


def test_a_long_key_is_hashed_so_that_it_fits_an_index() -> None:
    assert source_key(["x" * 498]) == '"' + "x" * 498 + '"'
    assert source_key(["x" * 499]).startswith("sha256:")
    assert source_key(["x" * 499]) != source_key(["x" * 500])


@given(st.lists(scalars, min_size=1, max_size=3), st.lists(scalars, min_size=1, max_size=3))
def test_keys_are_equal_exactly_where_their_values_are(
    left: list[object], right: list[object]
) -> None:
    same = [meaning(value) for value in left] == [meaning(value) for value in right]
    assert (source_key(left) == source_key(right)) is same


@given(st.integers(), st.integers(min_value=0, max_value=5))
def test_a_whole_decimal_is_the_integer(number: int, zeros: int) -> None:
    assert source_key([Decimal(f"{number}.{'0' * zeros}")]) == source_key([number])


def test_a_number_with_a_giant_exponent_stays_short() -> None:
    assert source_key([Decimal("1E+999999")]) == "1E999999"


@pytest.mark.parametrize("value", [["a"], {"a": "secret"}, b"secret"])
def test_a_key_that_is_no_scalar_is_refused_without_naming_it(value: object) -> None:
    with pytest.raises(ValueError, match="keys must be text") as refusal:
        source_key([value])
    assert "secret" not in str(refusal.value)


def test_a_record_without_key_properties_has_no_source_key() -> None:
    with pytest.raises(ValueError, match="without key properties"):
        source_key([])


@given(st.dictionaries(st.text(), scalars | st.lists(scalars)))
def test_the_order_of_properties_makes_no_difference_to_a_hash(payload: dict[str, object]) -> None:
    assert payload_hash(dict(reversed(payload.items()))) == payload_hash(payload)


@given(finite_decimals, st.integers(min_value=0, max_value=5))
def test_the_spelling_of_a_number_makes_no_difference_to_a_hash(
    number: Decimal, zeros: int
) -> None:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert payload_hash({"a": [longer]}) == payload_hash({"a": [number]})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_hashes_as_the_decimal_that_it_is_written_as(number: float) -> None:
    assert payload_hash({"a": number}) == payload_hash({"a": Decimal(repr(number))})


@given(
    st.integers() | st.floats(allow_nan=False) | finite_decimals,
    st.integers() | st.floats(allow_nan=False) | finite_decimals,
)
def test_numbers_hash_alike_exactly_where_they_are_equal(
    left: int | float | Decimal, right: int | float | Decimal
) -> None:
    same = meaning(left) == meaning(right)
    assert (payload_hash({"a": left}) == payload_hash({"a": right})) is same


@given(st.text(), st.text())
def test_texts_hash_alike_exactly_where_they_are_equal(left: str, right: str) -> None:
    assert (payload_hash({"a": left}) == payload_hash({"a": right})) is (left == right)


def test_the_escapes_of_a_text_make_no_difference_to_a_hash() -> None:
    assert payload_hash(json.loads(r'{"a": "Zo\u00eb"}')) == payload_hash({"a": "Zoë"})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": None}, {}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": "\ud83d"}, {"a": "\ud83e"}),
        ({"a": "\ud83d", "b": 1}, {"a": "\ud83d", "b": "1"}),
        ({"a": float("nan")}, {"a": "NaN"}),
    ],
)
def test_different_payloads_have_different_hashes(
    left: dict[str, object], right: dict[str, object]
) -> None:
    assert payload_hash(left) != payload_hash(right)


def test_a_hash_is_the_same_in_every_release() -> None:
    payload = {"email": "ada@example.com", "score": Decimal("12.50"), "label_names": ["A", "ß"]}
    assert payload_hash(payload) == "b7f36d7eb7db3ee33b69665d4dff9c41"


@given(st.dictionaries(any_texts, st.none() | any_texts), st.lists(any_texts).map(tuple))
def test_a_payload_of_texts_has_the_same_hash_the_short_way(
    values: dict[str, str | None], lists: tuple[str, ...]
) -> None:
    payload = {"values": values, "custom": {}, "lists": lists}

    assert payload_hash_of_texts(payload) == payload_hash(payload)


def test_a_payload_that_json_cannot_carry_is_refused_without_naming_it() -> None:
    with pytest.raises(ValueError, match="JSON can't carry") as refusal:
        payload_hash({"a": type("Secret", (), {"__repr__": lambda self: "secret"})()})
    assert "secret" not in str(refusal.value)


def test_a_payload_nested_without_end_is_refused() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ValueError, match="nested too deeply"):
        payload_hash({"a": nested})
