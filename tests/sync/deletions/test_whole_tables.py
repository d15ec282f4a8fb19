"""Which rows a table no longer holds, and whether a run has seen all of the table."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sync.deletions.whole_tables import TAP_STARTS_WITHIN, began_earlier

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
STARTED = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc)
#: What taps call active, years 2001 to 2100.
FIRST_VERSION, LAST_VERSION = 978_307_200_000, 4_133_980_799_999

moments = st.datetimes(datetime(2001, 2, 1), datetime(2100, 11, 30)).map(
    lambda moment: moment.replace(tzinfo=timezone.utc)
)
one_millisecond = timedelta(milliseconds=1)


def version_of(moment: datetime) -> int:
    return (moment - EPOCH) // one_millisecond


@given(moments, st.timedeltas(TAP_STARTS_WITHIN + one_millisecond, timedelta(days=20)))
def test_a_version_from_before_the_run_tells_when_its_table_was_begun(
    started_at: datetime, before: timedelta
) -> None:
    began = began_earlier(version_of(started_at - before), started_at)
    assert began is not None
    assert abs(started_at - before - began) <= one_millisecond


@given(moments, st.timedeltas(-timedelta(days=20), TAP_STARTS_WITHIN - one_millisecond))
def test_a_version_of_a_tap_that_started_with_the_run_is_of_this_run(
    started_at: datetime, before: timedelta
) -> None:
    assert began_earlier(version_of(started_at - before), started_at) is None


@given(st.integers(max_value=FIRST_VERSION - 1) | st.integers(min_value=LAST_VERSION + 1))
def test_a_number_that_is_no_time_of_these_years_tells_nothing(version: int) -> None:
    assert began_earlier(version, STARTED) is None


@pytest.mark.parametrize(
    "version", [None, True, "1600000000000", "v1", [], {"at": 1}, Decimal("1E+999999"), 0.5]
)
def test_a_version_that_is_no_whole_number_tells_nothing(version: object) -> None:
    assert began_earlier(version, STARTED) is None


def test_a_version_with_a_decimal_point_is_read_as_its_number() -> None:
    assert began_earlier(Decimal("1600000000000.0"), STARTED) == datetime(
        2020, 9, 13, 12, 26, 40, tzinfo=timezone.utc
    )


def test_all_years_in_which_a_tap_may_run_are_read() -> None:
    late = datetime(2150, 1, 1, tzinfo=timezone.utc)
    assert began_earlier(FIRST_VERSION, late) == datetime(2001, 1, 1, tzinfo=timezone.utc)
    assert began_earlier(LAST_VERSION, late) is not None
