"""Before a round that must wait, a run says how many requests are due and until when."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import pytest

from target_apollo.apollo import WindowState
from target_apollo.sync.counts import RequestCounter

MINUTE = WindowState(seconds=60.6, allowed=200, used=150, ends_in=20.0)
HOUR = WindowState(seconds=3601.0, allowed=400, used=150, ends_in=3000.0)


def lines(states: Sequence[WindowState], count: int, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.INFO)
    counter = RequestCounter(lambda endpoint: states, logging.getLogger("request-counter-test"))
    counter.plan_requests({"PATCH /contacts/{id}": count})
    return [record.getMessage() for record in caplog.records]


def test_a_round_that_fits_the_minute_needs_no_word(caplog: pytest.LogCaptureFixture) -> None:
    assert lines([MINUTE, HOUR], 50, caplog) == []


def test_a_round_that_must_wait_is_announced_with_its_end(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = lines([MINUTE, HOUR], 100, caplog)

    assert re.fullmatch(
        r"100 requests to PATCH /contacts/\{id\} are due and this minute takes 50 more: they will "
        r"be sent by \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 20 s",
        line,
    )


def test_an_endpoint_of_which_nothing_is_known_needs_no_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unknown = WindowState(seconds=60.6, allowed=float("inf"))
    assert lines([unknown, unknown], 10_000, caplog) == []


def test_planned_requests_are_summed() -> None:
    counter = RequestCounter(lambda endpoint: [MINUTE], None)

    counter.plan_requests({"PATCH /contacts/{id}": 3, "POST /contacts/bulk_update": 0})
    counter.plan_requests({"PATCH /contacts/{id}": 2})

    assert counter.requests == {"PATCH /contacts/{id}": 5}
