from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import pytest

from target_apollo.apollo import RunStopped
from target_apollo.sync import concurrency
from target_apollo.sync.concurrency import RequestPool, Steps, run_to_end, run_to_pause

#: Far longer than anything here takes; what waits for so long has failed.
LONG = 20.0


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def pool(stop: threading.Event) -> Iterator[RequestPool]:
    made = RequestPool(2, stop)
    yield made
    made.close()


def test_results_come_in_the_order_of_the_calls(pool: RequestPool) -> None:
    second_is_over = threading.Event()

    def first() -> int:
        second_is_over.wait(LONG)
        return 1

    def second() -> int:
        second_is_over.set()
        return 2

    assert pool.run([first, second]) == [1, 2]


def test_an_exception_is_a_result_and_stops_no_other_call(pool: RequestPool) -> None:
    def fails() -> int:
        raise ValueError("no")

    problem, result = pool.run([fails, lambda: 2])

    assert isinstance(problem, ValueError)
    assert result == 2


def test_a_result_that_was_taken_is_not_kept(pool: RequestPool) -> None:
    with pool.start([set[int], set[int]]) as results:
        taken = iter(results)
        answer = next(taken)
        found = weakref.ref(answer)
        del answer
        next(taken)
        assert found() is None


def test_a_result_is_handed_over_while_a_later_call_is_under_way(pool: RequestPool) -> None:
    first_is_taken = threading.Event()
    taken: list[bool | Exception] = []

    with pool.start([lambda: True, lambda: first_is_taken.wait(LONG)]) as results:
        for result in results:
            taken.append(result)
            first_is_taken.set()

    assert taken == [True, True]


def test_calls_are_under_way_before_a_result_is_asked_for(pool: RequestPool) -> None:
    called = threading.Event()

    def call() -> bool:
        called.set()
        return True

    with pool.start([call]) as results:
        assert called.wait(LONG)
        assert list(results) == [True]


def test_calls_are_over_before_what_went_wrong_with_a_result_goes_on(pool: RequestPool) -> None:
    goes_wrong = threading.Event()
    ended: list[int] = []

    def second() -> int:
        goes_wrong.wait(LONG)
        ended.append(2)
        return 2

    def fails_at_the_first_result() -> None:
        with pool.start([lambda: 1, second]) as results:
            for result in results:
                goes_wrong.set()
                raise KeyError(result)

    with pytest.raises(KeyError):
        fails_at_the_first_result()
    assert ended == [2]


def test_calls_are_over_when_nobody_takes_their_results(pool: RequestPool) -> None:
    ended = threading.Event()
    with pool.start([ended.set]):
        pass
    assert ended.is_set()


def test_calls_that_outlast_a_stop_are_given_up(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "GRACE_SECONDS", 0.0)
    answered = threading.Event()
    pool = RequestPool(2, stop)
    stop.set()

    results = pool.run([lambda: answered.wait(LONG)] * 4)

    assert all(isinstance(result, RunStopped) for result in results)
    assert pool.abandoned
    answered.set()
    pool.close()


def test_steps_give_their_result_after_all_their_pauses() -> None:
    def steps() -> Steps[int]:
        yield
        yield
        return 7

    assert run_to_end(steps()) == 7


@pytest.mark.parametrize(("pauses", "result"), [(0, 7), (1, None)])
def test_steps_that_never_pause_end_at_once(pauses: int, result: int | None) -> None:
    def steps() -> Steps[int]:
        for _ in range(pauses):
            yield
        return 7

    assert run_to_pause(steps()) == result


def most_at_a_time(pool: RequestPool, calls: int, *, together: int) -> int:
    """Most calls that are under way at a time; each waits until `together` of them are."""
    under_way = most = 0
    changed = threading.Condition()

    def call() -> None:
        nonlocal under_way, most
        with changed:
            under_way += 1
            most = max(most, under_way)
            changed.notify_all()
            changed.wait_for(lambda: most >= together, LONG)
        with changed:
            under_way -= 1

    pool.run([call] * calls)
    return most


def test_few_requests_are_under_way_while_answers_are_quick(stop: threading.Event) -> None:
    pool = RequestPool(16, stop)
    assert most_at_a_time(pool, 40, together=4) == 4
    pool.close()


def test_all_are_under_way_after_a_slow_answer(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "_SLOW_SECONDS", 0.0)
    pool = RequestPool(16, stop)
    pool.run([bool])
    assert most_at_a_time(pool, 40, together=16) == 16
    pool.close()
