"""Before a round that must wait, a run says how many requests are due and until when."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import pytest

from target_apollo.apollo import WindowState
from target_apollo.model.objects import CONTACT
from target_apollo.sync.request_counter import Reckoner, update_requests
from target_apollo.sync.update_plan import Parts

MINUTE = WindowState(seconds=60.6, allowed=200, used=150, ends_in=20.0)
HOUR = WindowState(seconds=3601.0, allowed=400, used=150, ends_in=3000.0)


def lines(states: Sequence[WindowState], count: int, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.INFO)
    reckoner = Reckoner(lambda endpoint: states, logging.getLogger("reckoning-test"))
    reckoner.reckon({"PATCH /contacts/{id}": count})
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


def test_what_was_reckoned_is_summed() -> None:
    reckoner = Reckoner(lambda endpoint: [MINUTE], None)

    reckoner.reckon({"PATCH /contacts/{id}": 3, "POST /contacts/bulk_update": 0})
    reckoner.reckon({"PATCH /contacts/{id}": 2})

    assert reckoner.requests == {"PATCH /contacts/{id}": 5}


def test_updates_are_reckoned_by_the_endpoint_that_takes_each_part() -> None:
    parts = [Parts(single={"title": "CEO"}) for _ in range(3)]
    parts += [Parts(bulk={"title": "CEO"}) for _ in range(101)]
    parts += [Parts(bulk={"title": "CEO"}, rest={"direct_phone": "1"})]
    parts += [Parts(stage="a"), Parts(stage="b"), Parts(stage="a")]
    parts += [Parts(lists=("Warm",)), Parts(lists=("Warm",)), Parts(lists=("Warm", "Cold"))]
    parts += [Parts(owner="o")]

    assert update_requests(CONTACT, parts, list_size=500) == {
        "PATCH /contacts/{id}": 4,
        "POST /contacts/bulk_update": 2,
        "POST /contacts/update_stages": 2,
        "POST /contacts/update_owners": 1,
        "POST /labels/add_entity_ids_to_label_names": 2,
    }
