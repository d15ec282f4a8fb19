"""Texts, moments and statuses come back from the bytes and numbers that links have for them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.ledger import LinkStatus, match_hash, source_key
from target_apollo.ledger.database_errors import UnreadableValue
from target_apollo.ledger.links import STATUS_NUMBERS, STATUSES
from target_apollo.ledger.values import moment_of_number, number_of_moment, pack, unpack

UUID = "550e8400-e29b-41d4-a716-446655440000"
hex_digits = st.text("0123456789abcdef", max_size=66)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    hex_digits,
    hex_digits.map(lambda digits: f"sha256:{digits}"),
    st.from_regex(r'"[0-9a-fA-F-]{36}"', fullmatch=True),
    st.from_regex(
        r"[0-9]{4}.[0-9]{2}.[0-9]{2}.[0-9]{2}.[0-9]{2}.[0-9]{2}.[0-9]{3}Z", fullmatch=True
    ),
    st.text("\0\1\2\3\4\5 aF", min_size=10),
)


@given(texts)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert unpack(pack(text)) == text


@given(texts, texts)
def test_two_texts_are_never_the_same_bytes(one: str, other: str) -> None:
    assert (pack(one) == pack(other)) is (one == other)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("66a0b1c2d3e4f5a6b7c8d9e0", 13),
        ("0123456789abcdef" * 2, 17),
        (match_hash("ada@example.com"), 33),
        (source_key(["ada@example.com"]), 33),
        (source_key([UUID]), 17),
        ("2024-05-01T12:34:56.789Z", 10),
        (source_key([42]), 2),
    ],
)
def test_ids_hashes_and_keys_take_half_their_length_or_less(text: str, size: int) -> None:
    assert len(pack(text)) == size


@pytest.mark.parametrize(
    "text",
    [
        "66A0B1C2D3E4F5A6B7C8D9E0",
        "66 a0 b1 c2 d3 e4 f5 a6 ",
        "sha256:22x",
        f'"{UUID.upper()}"',
        "2024-05-01 12:34:56.789Z",
        "deleted:66a0b1c2d3e4f5a6",
    ],
)
def test_a_text_of_nearly_such_a_shape_stays_as_it_is(text: str) -> None:
    assert pack(text) == text.encode()


@pytest.mark.parametrize("odd", [12, "text", 1.5, None])
def test_a_value_that_is_no_bytes_can_not_be_read(odd: object) -> None:
    with pytest.raises(UnreadableValue):
        unpack(odd)


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_comes_back_to_the_microsecond(moment: datetime) -> None:
    # In UTC, since an hour that a zone has twice equals no moment of another zone.
    assert moment_of_number(number_of_moment(moment)) == moment.astimezone(timezone.utc)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        number_of_moment(datetime(2024, 5, 1))


def test_a_moment_is_read_in_utc() -> None:
    noon = datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    found = moment_of_number(number_of_moment(noon))
    assert found is not None
    assert found.tzinfo is timezone.utc


@pytest.mark.parametrize("odd", ["soon", b"12", 1.5, 2**63])
def test_a_number_that_is_no_moment_can_not_be_read(odd: object) -> None:
    with pytest.raises(UnreadableValue):
        moment_of_number(odd)


def test_each_status_has_its_number_for_ever() -> None:
    assert {status.value: number for status, number in STATUS_NUMBERS.items()} == {
        "pending": 1, "created": 2, "updated": 3, "unchanged": 4, "existing": 5, "error": 6,
        "gone": 7,
    }  # fmt: skip
    assert set(STATUS_NUMBERS) == set(LinkStatus)
    assert STATUSES[2] is LinkStatus.CREATED
    with pytest.raises(UnreadableValue):
        STATUSES["created"]
