from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo.retry_after import (
    LONGEST,
    parse_http_date,
    parse_retry_after,
    window_named_in,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
moments = st.datetimes(
    min_value=datetime(1971, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.just(timezone.utc),
).map(lambda moment: moment.replace(microsecond=0))


@given(st.integers(min_value=1, max_value=int(LONGEST)))
def test_whole_seconds_are_taken_as_they_are(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) == seconds


@given(st.integers(min_value=1, max_value=int(LONGEST) * 1000 - 1))
def test_fractions_of_a_second_are_taken_as_they_are(milliseconds: int) -> None:
    text = f"{milliseconds // 1000}.{milliseconds % 1000:03}"
    assert parse_retry_after(f"  {text} ", NOW) == pytest.approx(milliseconds / 1000)


@given(moments, st.integers(min_value=1, max_value=int(LONGEST)))
def test_a_date_is_as_far_away_as_the_clock_says(now: datetime, seconds: int) -> None:
    date = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(date, now) == seconds


@given(moments, st.integers(min_value=0, max_value=10**6))
def test_a_date_in_the_past_says_nothing(now: datetime, seconds: int) -> None:
    date = format_datetime(now - timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(date, now) is None


@given(st.integers(max_value=0) | st.integers(min_value=int(LONGEST) + 1))
def test_zero_negative_and_absurd_seconds_say_nothing(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) is None


@given(
    st.text()
    | st.from_regex(r"[0-9.eE+-]{0,20}", fullmatch=True)
    | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [A-Z+0-9-]{0,6}")
)
def test_whatever_the_header_holds_the_result_is_nothing_or_a_wait_in_bounds(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 < seconds <= LONGEST


def test_a_missing_header_says_nothing() -> None:
    assert parse_retry_after(None, NOW) is None


@given(moments)
def test_a_date_is_read_as_an_aware_time(moment: datetime) -> None:
    assert parse_http_date(format_datetime(moment, usegmt=True)) == moment


@given(st.text())
def test_a_text_is_a_date_or_nothing(text: str) -> None:
    moment = parse_http_date(text)
    assert moment is None or moment.tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("… for api/v1/contacts is 200 times per minute. Please upgrade …", 60),
        ("… for api/v1/contacts is 600 times per hour. Please upgrade …", 3600),
        ("… is 2000 times Per Day …", 86400),
        ("… times per fortnight, one per minuteman", None),
        ("", None),
    ],
)
def test_the_window_is_read_off_the_words_of_a_429(message: str, seconds: float | None) -> None:
    assert window_named_in(message) == seconds
