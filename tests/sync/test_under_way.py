from __future__ import annotations

import pytest

from target_apollo.sync.concurrency import Flow, UnderWay, finish

SINK, OTHER_SINK = object(), object()


def flush(done: list[str], name: str, *, pauses: int = 1, fails: bool = False) -> Flow[None]:
    for number in range(pauses):
        done.append(f"{name} pauses {number}")
        yield
    if fails:
        raise ConnectionError(name)
    done.append(f"{name} ends")


@pytest.fixture
def under_way() -> UnderWay:
    return UnderWay()


def test_a_flow_gives_its_result_after_all_its_pauses() -> None:
    def flow() -> Flow[int]:
        yield
        yield
        return 7

    assert finish(flow()) == 7


def test_a_flush_goes_as_far_as_its_first_pause(under_way: UnderWay) -> None:
    done: list[str] = []
    under_way.begin(SINK, 5, flush(done, "a", pauses=2))
    assert done == ["a pauses 0"]
    assert under_way.oldest == 5


def test_a_flush_that_is_finished_holds_no_state_back(under_way: UnderWay) -> None:
    done: list[str] = []
    under_way.begin(SINK, 5, flush(done, "a", pauses=2))
    under_way.finish()
    assert done == ["a pauses 0", "a pauses 1", "a ends"]
    assert under_way.oldest is None


def test_a_flush_without_a_pause_is_over_at_once(under_way: UnderWay) -> None:
    done: list[str] = []
    under_way.begin(SINK, 5, flush(done, "a", pauses=0))
    assert done == ["a ends"]
    assert under_way.oldest is None
    under_way.finish()


def test_a_flush_ends_before_the_next_begins(under_way: UnderWay) -> None:
    done: list[str] = []
    under_way.begin(SINK, 1, flush(done, "a"))
    under_way.begin(SINK, 2, flush(done, "b"))
    assert done == ["a pauses 0", "a ends", "b pauses 0"]
    assert under_way.oldest == 2


def test_a_flush_that_failed_goes_on_holding_state_back(under_way: UnderWay) -> None:
    done: list[str] = []
    under_way.begin(SINK, 5, flush(done, "a", fails=True))
    with pytest.raises(ConnectionError):
        under_way.finish()
    under_way.finish()
    assert under_way.oldest == 5


def test_a_flush_that_fails_before_its_first_pause_holds_state_back(under_way: UnderWay) -> None:
    with pytest.raises(ConnectionError):
        under_way.begin(SINK, 5, flush([], "a", pauses=0, fails=True))
    assert under_way.oldest == 5


def test_the_next_flush_does_not_begin_after_one_that_failed(under_way: UnderWay) -> None:
    done: list[str] = []
    under_way.begin(SINK, 1, flush(done, "a", fails=True))
    with pytest.raises(ConnectionError):
        under_way.begin(SINK, 2, flush(done, "b"))
    assert done == ["a pauses 0"]
    assert under_way.oldest == 1


def test_it_knows_whose_flush_is_under_way(under_way: UnderWay) -> None:
    assert under_way.is_of(SINK)
    under_way.begin(SINK, 5, flush([], "a"))
    assert under_way.is_of(SINK)
    assert not under_way.is_of(OTHER_SINK)
    under_way.finish()
    assert under_way.is_of(OTHER_SINK)
