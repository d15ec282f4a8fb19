"""Processes that share the rate windows of a team, on a simulated clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.apollo.quota import WINDOW_SECONDS, Window, Windows
from target_apollo.apollo.rate_windows import FullUntil
from target_apollo.apollo.team_windows import Lot, TeamWindows
from target_apollo.sandbox.serving.rate_windows import PLANS, Limits, Plan
from tests.helpers.simulated_apollo import Trip, all_but_last
from tests.helpers.simulated_team import SECONDS, Process, SimulatedTeam

some = settings(deadline=None, max_examples=25)
MINUTE = SECONDS[0]

limits = st.builds(
    Limits,
    st.integers(1, 60),
    st.one_of(st.none(), st.integers(1, 100)),
    st.sampled_from([None, 1_000]),
)
delays = st.one_of(st.floats(0.001, 0.3), st.floats(0.001, 3.0))
rests = st.one_of(st.just(0.0), st.floats(0, 15))
quick = st.floats(0.001, 0.1)


def trips(*, lost: bool = False) -> st.SearchStrategy[list[Trip]]:
    loss = st.booleans() if lost else st.just(False)
    return st.lists(st.builds(Trip, delays, delays, loss, rests), min_size=1, max_size=12)


def processes(*, most: int = 8) -> st.SearchStrategy[list[Process]]:
    begins = st.one_of(st.just(0.0), st.floats(0, 2 * MINUTE))
    one = st.builds(Process, st.integers(1, 60), st.integers(1, 6), begins)
    return st.lists(one, min_size=1, max_size=most)


@some
@given(limits, processes(), trips())
def test_processes_of_one_team_cause_no_429(
    limits: Limits, processes: list[Process], trips: list[Trip]
) -> None:
    assert SimulatedTeam(limits, processes, trips).run().refused == 0


@some
@given(limits, processes(), trips(lost=True))
def test_lost_answers_of_one_process_are_counted_by_all(
    limits: Limits, processes: list[Process], trips: list[Trip]
) -> None:
    assert SimulatedTeam(limits, processes, trips, learns=True).run().refused == 0


@some
@given(limits, processes(), trips(), st.floats(0, MINUTE), st.booleans())
def test_a_killed_process_causes_no_429_of_the_others(
    limits: Limits, processes: list[Process], trips: list[Trip], killed_at: float, seen: bool
) -> None:
    processes[0].killed_at, processes[0].seen = killed_at, seen
    assert SimulatedTeam(limits, processes, trips, learns=True).run().refused == 0


@some
@given(st.integers(20, 200), st.integers(2, 8), st.lists(st.builds(Trip, quick, quick), min_size=1))
def test_processes_together_use_nearly_all_of_each_minute(
    limit: int, number: int, trips: list[Trip]
) -> None:
    processes = [Process(3 * limit // number + 1) for _ in range(number)]
    team = SimulatedTeam(Limits(limit, None, None), processes, trips).run()
    assert all(used >= 0.95 * limit for used in all_but_last(team.used(0)))


@pytest.mark.full
@some
@given(st.integers(20, 200), st.integers(2, 8), st.floats(0.1, 3.0), st.booleans())
def test_a_killed_process_holds_back_no_more_than_what_it_had_under_way(
    limit: int, number: int, killed_at: float, seen: bool
) -> None:
    trips = [Trip(0.05, 0.05)]
    processes = [Process(2 * limit, workers=4) for _ in range(number)]
    processes[0].killed_at, processes[0].seen = killed_at, seen
    team = SimulatedTeam(Limits(limit, None, None), processes, trips).run()
    first, *later = all_but_last(team.used(0))
    # With a lot of a few requests. Nobody knows whether Apollo got them.
    assert first >= limit - 4 - 1 - limit // 8
    assert all(used >= 0.95 * limit for used in later)


@pytest.mark.full
@some
@given(st.integers(100, 200), st.integers(2, 8))
def test_several_processes_are_as_fast_as_one(limit: int, number: int) -> None:
    limits, trips = Limits(limit, None, None), [Trip(0.05, 0.05)]
    together = SimulatedTeam(limits, [Process(4 * limit // number) for _ in range(number)], trips)
    alone = SimulatedTeam(limits, [Process(4 * limit)], trips)
    assert together.run().ended_at <= 1.05 * alone.run().ended_at


@pytest.mark.parametrize("number", [3, 8])
def test_processes_on_a_common_plan_are_as_fast_as_one_and_cause_no_429(number: int) -> None:
    def all_sent(processes: int) -> SimulatedTeam:
        each = [Process(960 // processes) for _ in range(processes)]
        trips = [Trip(0.15, 0.15)]
        return SimulatedTeam(PLANS[Plan.BASIC], each, trips, WINDOW_SECONDS, learns=True).run()

    together = all_sent(number)
    assert together.refused == 0
    assert together.ended_at <= 1.05 * all_sent(1).ended_at


def test_a_later_process_knows_when_the_window_of_an_earlier_one_ends() -> None:
    limits = Limits(None, 10, None)
    later = Process(1, begins=200.0)
    team = SimulatedTeam(limits, [Process(10), later]).run()
    assert team.refused == 0
    assert SECONDS[1] <= later.ended_at <= SECONDS[1] + 3


def test_a_process_asks_the_store_once_for_many_requests() -> None:
    team = SimulatedTeam(Limits(10_000, None, None), [Process(1_000)]).run()
    assert team.exchanges <= 1_000 / 20


away = st.tuples(st.floats(0, 2 * MINUTE), st.floats(0.1, 3 * MINUTE)).map(
    lambda drawn: (drawn[0], drawn[0] + drawn[1])
)


@some
@given(limits, st.integers(1, 60), st.integers(1, 6), trips(), away)
def test_a_process_alone_causes_no_429_when_the_store_goes_away_and_comes_back(
    limits: Limits, requests: int, workers: int, trips: list[Trip], away: tuple[float, float]
) -> None:
    alone = [Process(requests, workers)]
    assert SimulatedTeam(limits, alone, trips, learns=True, away=away).run().refused == 0


@pytest.mark.full
@some
@given(st.integers(20, 100), st.integers(2, 6), away)
def test_processes_that_lost_the_store_soon_cause_no_429_again(
    limit: int, number: int, away: tuple[float, float]
) -> None:
    processes = [Process(4 * limit) for _ in range(number)]
    team = SimulatedTeam(Limits(limit, None, None), processes, away=away).run()
    # A process without the store sends what Apollo's answers leave room for, until a 429 tells it
    # to wait for the next minute; after the store is back, it looks at it within a minute.
    assert all(moment < away[1] + 2 * MINUTE for moment in team.refused_at)
    assert team.refused <= 4 * number * (2 + (away[1] - away[0]) / MINUTE)


def used(limit: int, count: int) -> Windows:
    return Windows(hour=Window(limit, count, limit - count))


@pytest.fixture
def full() -> TeamWindows:
    """An hour of ten requests that is used up."""
    windows = TeamWindows.of(None, 3)
    windows.learn(used(10, 10), 0.0, 0.0, SECONDS)
    assert windows.take("one", 0, 1.0, SECONDS, 1.0) == FullUntil(SECONDS[1] + 1)
    return windows


@pytest.mark.parametrize("told", [used(20, 10), used(10, 0)], ids=["plan", "count"])
def test_a_larger_plan_and_a_count_that_has_fallen_are_believed_at_once(
    full: TeamWindows, told: Windows
) -> None:
    full.learn(told, 2.0, 2.0, SECONDS)
    assert isinstance(full.take("one", 0, 2.0, SECONDS, 1.0), Lot)


def test_statistics_from_before_an_answer_are_not_believed(full: TeamWindows) -> None:
    full.learn(used(10, 4), -1.0, 2.0, SECONDS)
    assert isinstance(full.take("one", 0, 2.0, SECONDS, 1.0), FullUntil)


@pytest.mark.parametrize("stored", ["", "{", "[]", "null", '{"form":2}', "\ud800", "NaN"])
def test_a_text_that_nobody_understands_is_replaced(stored: str) -> None:
    assert TeamWindows.of(stored, 3) == TeamWindows.of(None, 3)
