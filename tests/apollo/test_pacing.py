from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.sandbox.serving.rate_windows import Limits
from tests.helpers.simulated_apollo import SECONDS, SimulatedApollo, Trip, all_but_last

much = settings(deadline=None, max_examples=300)
some = settings(deadline=None, max_examples=100)

MINUTE, HOUR, DAY = SECONDS


def trips(
    *, slowest: float = 12.0, lost: bool = False, longest_rest: float = 15.0
) -> st.SearchStrategy[list[Trip]]:
    """Journeys that overtake each other; some take longer than the minute."""
    delays = st.one_of(st.floats(0.001, 0.3), st.floats(0.001, slowest))
    rests = st.one_of(st.just(0.0), st.floats(0, longest_rest))
    loss = st.booleans() if lost else st.just(False)
    return st.lists(st.builds(Trip, delays, delays, loss, rests), min_size=1, max_size=12)


tight_limits = st.builds(
    Limits,
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(1, 20)),
    st.sampled_from([None, 1_000]),
)
workers = st.integers(1, 6)


# --- no 429 of its own


@much
@given(tight_limits, workers, st.integers(1, 60), trips())
def test_a_run_that_is_alone_causes_no_429(
    limits: Limits, workers: int, requests: int, trips: list[Trip]
) -> None:
    assert SimulatedApollo(limits, workers, requests, trips).run().refused == 0


@much
@given(tight_limits, workers, st.integers(1, 60), trips(lost=True))
def test_requests_whose_answers_are_lost_are_counted_too(
    limits: Limits, workers: int, requests: int, trips: list[Trip]
) -> None:
    apollo = SimulatedApollo(limits, workers, requests, trips, learns=True)
    assert apollo.run().refused == 0


@much
@given(tight_limits, workers, st.integers(1, 60), trips(), st.data())
def test_what_an_earlier_run_used_is_learned_from_the_statistics(
    limits: Limits, workers: int, requests: int, trips: list[Trip], data: st.DataObject
) -> None:
    assert limits.minute is not None
    most = limits.minute if limits.hour is None else min(limits.minute, limits.hour)
    apollo = SimulatedApollo(
        limits,
        workers,
        requests,
        trips,
        learns=True,
        used_before=data.draw(st.integers(0, most)),
        begins=data.draw(st.floats(0, MINUTE - 0.1)),
    )
    assert apollo.run().refused == 0


@some
@given(st.integers(1, 8), workers, st.floats(0.1, MINUTE - 0.1))
def test_a_full_window_that_nothing_told_of_costs_one_429_and_not_one_per_thread(
    limit: int, workers: int, begins: float
) -> None:
    apollo = SimulatedApollo(
        Limits(limit, None, None), workers, 20, used_before=limit, begins=begins
    )
    assert apollo.run().refused == 1


@some
@given(
    st.integers(2, 8),
    workers,
    trips(slowest=1.0, longest_rest=0.0),
    st.lists(st.floats(0, 60), max_size=30),
)
def test_others_on_the_team_cost_at_most_a_429_for_each_of_their_requests(
    limit: int, workers: int, trips: list[Trip], others: list[float]
) -> None:
    apollo = SimulatedApollo(Limits(limit, None, None), workers, 40, trips, others=others)
    assert apollo.run().refused <= len(others)


# --- and yet everything that there is


fast = st.lists(
    st.builds(Trip, st.floats(0.001, 0.03), st.floats(0.001, 0.03)), min_size=1, max_size=8
)


@some
@given(st.integers(1, 60), st.integers(1, 32), fast)
def test_a_busy_run_uses_every_minute_to_the_last_request(
    limit: int, workers: int, trips: list[Trip]
) -> None:
    apollo = SimulatedApollo(Limits(limit, None, None), workers, 4 * limit, trips).run()

    assert apollo.used(0) == [limit] * 4
    assert apollo.now <= 1.05 * 3 * MINUTE + limit * 0.06


@some
@given(st.integers(5, 30), st.integers(1, 100), st.integers(1, 8), fast)
def test_a_busy_run_uses_every_hour_to_the_last_request(
    minute: int, hour: int, workers: int, trips: list[Trip]
) -> None:
    # Three minutes fit into this hour, and a little of a fourth.
    hour = min(hour, 3 * minute)
    apollo = SimulatedApollo(Limits(minute, hour, None), workers, 3 * hour, trips).run()

    assert apollo.used(1) == [hour] * 3
    assert apollo.refused == 0


def test_the_day_ends_what_minute_and_hour_would_allow() -> None:
    apollo = SimulatedApollo(Limits(20, 40, 50), 4, 100).run()

    assert (apollo.refused, apollo.used(2)) == (0, [50, 50])


@some
@given(st.integers(2, 40), st.floats(0.1, MINUTE - 2), st.integers(1, 6), st.data())
def test_the_rest_of_a_window_that_an_earlier_run_opened_is_used(
    limit: int, begins: float, workers: int, data: st.DataObject
) -> None:
    before = data.draw(st.integers(1, limit - 1))
    apollo = SimulatedApollo(
        Limits(limit, None, None),
        workers,
        3 * limit,
        used_before=before,
        begins=begins,
        learns=True,
    ).run()

    needed = (before + 3 * limit - 1) // limit
    assert all_but_last(apollo.used(0))[: needed - 1] == [limit] * (needed - 1)


@some
@given(st.integers(1, 40), st.floats(0.05, 1.0), st.integers(1, 6), fast)
def test_the_share_of_others_stays_untouched(
    limit: int, share: float, workers: int, trips: list[Trip]
) -> None:
    own = max(1, int(limit * share + 1e-9))
    apollo = SimulatedApollo(Limits(limit, None, None), workers, 3 * own, trips, share=share).run()

    assert apollo.used(0) == [own] * 3
