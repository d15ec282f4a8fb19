from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.values import moment

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
