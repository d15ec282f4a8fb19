from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from target_apollo.sync import concurrency
from target_apollo.sync.concurrency import OneProcessor, Parallel

T = TypeVar("T")
linux = sys.platform == "linux"
pytestmark = pytest.mark.skipif(
    not linux or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two processors"
)


def mine() -> set[int]:
    """The processors that the calling thread may use."""
    return os.sched_getaffinity(0)


@pytest.fixture
def gathering() -> Iterator[ThreadPoolExecutor]:
    """A thread that gathers others, and that no other test runs in."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def done_in(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return pool.submit(call).result()


def test_calls_run_on_the_processor_of_the_thread_that_waits_for_them(
    gathering: ThreadPoolExecutor,
) -> None:
    parallel = Parallel(3, threading.Event())
    places = done_in(gathering, lambda: [*parallel.run([mine] * 8), mine()])
    assert len(places[0]) == 1
    assert places == [places[0]] * 9


def test_the_thread_that_gathers_is_free_again_after_the_last_call(
    gathering: ThreadPoolExecutor,
) -> None:
    parallel = Parallel(1, threading.Event())
    before = done_in(gathering, mine)
    done_in(gathering, lambda: parallel.run([mine]))
    done_in(gathering, parallel.close)
    assert done_in(gathering, mine) == before


def test_threads_follow_the_one_that_gathers_them_to_another_processor(
    gathering: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "_STAY_SECONDS", -1.0)
    parallel = Parallel(1, threading.Event())
    for place in sorted(mine())[:2]:
        # The kernel moves threads when it likes to.
        monkeypatch.setattr(concurrency, "_this_processor", lambda place=place: place)
        assert done_in(gathering, lambda: parallel.run([mine])) == [{place}]


def test_threads_stay_for_a_while_before_they_are_let_go(gathering: ThreadPoolExecutor) -> None:
    processor = OneProcessor()

    def gathered_and_let_go() -> set[int]:
        processor.gather()
        processor.let_go()
        return mine()

    assert len(done_in(gathering, gathered_and_let_go)) == 1


def test_a_system_that_keeps_no_thread_in_place_costs_nothing_but_time(
    gathering: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: int, processors: set[int]) -> None:
        raise PermissionError(thread, processors)

    monkeypatch.setattr(os, "sched_setaffinity", refused)
    parallel = Parallel(1, threading.Event())
    before = done_in(gathering, mine)
    assert done_in(gathering, lambda: parallel.run([mine])) == [before]


def test_a_thread_that_is_gone_keeps_no_other_in_place(gathering: ThreadPoolExecutor) -> None:
    processor = OneProcessor()
    gone = threading.Thread(object_type=processor.join)
    gone.start()
    gone.join()

    def gathered_and_let_go() -> set[int]:
        processor.gather()
        processor.let_go(now=True)
        return mine()

    before = done_in(gathering, mine)
    assert done_in(gathering, gathered_and_let_go) == before


def test_what_the_kernel_says_in_another_form_ends_no_run(
    gathering: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> int:
        raise IndexError

    monkeypatch.setattr(concurrency, "_this_processor", unreadable)
    parallel = Parallel(1, threading.Event())
    before = done_in(gathering, mine)
    assert done_in(gathering, lambda: parallel.run([mine])) == [before]


def test_where_there_is_one_processor_nothing_is_kept_anywhere(
    gathering: ThreadPoolExecutor,
) -> None:
    processor = OneProcessor()

    def on_one() -> bool:
        before = mine()
        os.sched_setaffinity(0, {min(before)})
        processor.gather()
        processor.let_go(now=True)
        alone = mine() == {min(before)}
        os.sched_setaffinity(0, before)
        return alone

    assert done_in(gathering, on_one)
