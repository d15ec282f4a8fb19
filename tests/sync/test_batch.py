from __future__ import annotations

import pytest

from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Flush, Received, flush_size


def received(number: int) -> Received:
    return Received(number, "contacts", {"id": 1}, None, ("id",))


@pytest.fixture
def flush() -> Flush:
    return Flush({number: received(number) for number in (1, 2, 3)})


def test_a_record_has_its_outcome_once_its_row_is_settled(flush: Flush) -> None:
    flush.settle(Row(2, (1,), "ada@example.com", {}), Outcome.CREATED)
    assert flush.done == {Outcome.CREATED: [received(2)]}
    assert list(flush.open) == [1, 3]


def test_earlier_records_of_a_row_were_skipped(flush: Flush) -> None:
    flush.settle(Row(3, (1,), "ada@example.com", {}, supersedes=(1, 2)), Outcome.UPDATED)
    assert flush.done == {
        Outcome.SKIPPED: [received(1), received(2)],
        Outcome.UPDATED: [received(3)],
    }
    assert not flush.open


def test_full_requests_are_sent_four_times_over_before_the_disk_is_waited_for() -> None:
    assert flush_size(100, 4) == 1600


def test_whoever_asks_for_small_requests_gets_state_in_small_steps() -> None:
    assert flush_size(20, 4) == 80
