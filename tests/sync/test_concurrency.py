from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from target_apollo.apollo import RunStopped
from target_apollo.sync import concurrency as parallel
from target_apollo.sync.concurrency import Parallel, finish

#: Far longer than anything here takes; what waits for so long has failed.
LONG = 20.0


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def pool(stop: threading.Event) -> Iterator[Parallel]:
    made = Parallel(2, stop)
    yield made
    made.close()


def test_results_come_in_the_order_of_the_calls(pool: Parallel) -> None:
    second_is_over = threading.Event()

    def first() -> int:
        second_is_over.wait(LONG)
        return 1

    def second() -> int:
        second_is_over.set()
        return 2

    assert pool.run([first, second]) == [1, 2]


def test_an_exception_is_a_result_and_stops_no_other_call(pool: Parallel) -> None:
    def fails() -> int:
        raise ValueError("no")

    problem, result = pool.run([fails, lambda: 2])

    assert isinstance(problem, ValueError)
    assert result == 2


def test_a_result_is_handed_over_while_a_later_call_is_under_way(pool: Parallel) -> None:
    first_is_taken = threading.Event()
    taken: list[tuple[int, bool | Exception]] = []

    def take(place: int, result: bool | Exception) -> None:
        taken.append((place, result))
        first_is_taken.set()

    finish(pool.each([lambda: True, lambda: first_is_taken.wait(LONG)], take))

    assert taken == [(0, True), (1, True)]


def test_calls_are_under_way_when_it_pauses(pool: Parallel) -> None:
    called = threading.Event()
    taken: list[bool | Exception] = []

    def call() -> bool:
        called.set()
        return True

    calls = pool.each([call], lambda _, result: taken.append(result))
    next(calls)
    assert called.wait(LONG)
    assert taken == []
    finish(calls)
    assert taken == [True]


def test_without_calls_there_is_nothing_to_pause_for(pool: Parallel) -> None:
    assert list(pool.each([], lambda *_: None)) == []


def test_calls_are_over_before_what_went_wrong_with_a_result_goes_on(pool: Parallel) -> None:
    goes_wrong = threading.Event()
    ended: list[int] = []

    def second() -> int:
        goes_wrong.wait(LONG)
        ended.append(2)
        return 2

    def take(place: int, result: int | Exception) -> None:
        goes_wrong.set()
        raise KeyError(place)

    with pytest.raises(KeyError):
        finish(pool.each([lambda: 1, second], take))
    assert ended == [2]


def test_calls_that_outlast_a_stop_are_given_up(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "GRACE_SECONDS", 0.0)
    answered = threading.Event()
    pool = Parallel(2, stop)
    stop.set()

    results = pool.run([lambda: answered.wait(LONG)] * 4)

    assert all(isinstance(result, RunStopped) for result in results)
    assert pool.abandoned
    answered.set()
    pool.close()
