"""Dates and times: the forms that are read, and those that are refused."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model import times
from target_apollo.model.outcomes import RecordError
from target_apollo.model.times import moment

quick = settings(deadline=None, max_examples=25)


@quick
@given(st.dates())
def test_a_date_stays_as_it_is(day: date) -> None:
    assert times.date("tier", day.isoformat()) == day.isoformat()


@quick
@given(
    st.datetimes(timezones=st.none() | st.just(timezone.utc)),
    st.sampled_from(["T", " "]),
)
def test_of_a_time_a_date_field_takes_the_day(moment: datetime, between: str) -> None:
    written = times.date("tier", moment.isoformat(between))
    assert written == moment.date().isoformat()


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-13-01", "2026-02-30", "01.02.2026", "2026-1-2", "2026-01", 7]
)
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(RecordError, match="must be a date"):
        times.date("tier", value)


@pytest.mark.parametrize("value", ["2026-01-1599", "2026-01-15nonsense", "2026-01-15-16"])
def test_a_text_that_only_begins_like_a_date_is_refused(value: str) -> None:
    with pytest.raises(RecordError, match="must be a date"):
        times.date("tier", value)


@pytest.mark.parametrize("value", ["20260115", "2026-W03-4", 20260115])
def test_a_date_is_read_in_the_form_that_the_refusal_names_on_every_python(value: object) -> None:
    # Python 3.11 and later read these forms, 3.10 does not.
    with pytest.raises(RecordError, match="YYYY-MM-DD"):
        times.date("tier", value)


@quick
@given(st.datetimes(timezones=st.none() | st.just(timezone.utc)), st.booleans())
def test_a_date_and_time_stays_as_it_is(moment: datetime, zulu: bool) -> None:
    written = moment.isoformat()
    written = written.replace("+00:00", "Z") if zulu else written
    assert times.date_time("tier", written) == written


@pytest.mark.parametrize("value", ["noon", "2026-01-15T25:00:00", "17684784000", True])
def test_what_is_no_date_and_time_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        times.date_time("tier", value)


# --- moments


NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01 12:00:00",
        "2026-01-01 12:00:00+00",
        "2026-01-01 12:00:00.0 UTC",
        "2026-01-01T13:00:00.000000000+01:00",
        " 2026-01-01T07:00:00-05:00 ",
    ],
)
def test_one_moment_has_many_spellings(written: str) -> None:
    assert moment(written) == NOON


@pytest.mark.parametrize("written", [None, 17, "", "soon", "2026-13-01", "12:00", "Z", ["x"]])
def test_what_is_no_time_is_none(written: object) -> None:
    assert moment(written) is None


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_time_is_read_back(when: datetime) -> None:
    assert moment(when.isoformat()) == when


@given(st.text())
def test_any_text_is_a_time_with_a_zone_or_none(written: str) -> None:
    found = moment(written)
    assert found is None or found.tzinfo is not None
