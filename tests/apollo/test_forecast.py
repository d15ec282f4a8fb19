from __future__ import annotations

import math
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.apollo import Window, Windows, WindowState, window_states_of
from target_apollo.apollo.forecast import forecast, schedule
from target_apollo.apollo.rate_windows import EndpointPacer
from target_apollo.sandbox.serving.rate_windows import Limits
from tests.helpers import simulated_apollo
from tests.helpers.simulated_apollo import SimulatedApollo, Trip

#: Lengths of which none is nearly a multiple of another: in the margin behind a window's end an
#: answer may tell that it is over, which the estimate does not count on.
SECONDS = (7.0, 50.0, 430.0)
INSTANTLY = Trip(1e-6, 1e-6)
COMMON = Windows(
    minute=Window(limit=200, usage=0, left=200),
    hour=Window(limit=400, usage=0, left=400),
    day=Window(limit=2_000, usage=0, left=2_000),
)
LENGTHS = (60.0, 3_600.0, 86_400.0)
limits = st.builds(
    Limits,
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(1, 20)),
    st.one_of(st.none(), st.integers(1, 60)),
)


def common(share: float = 1.0) -> tuple[WindowState, ...]:
    return window_states_of(COMMON, LENGTHS, share)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(limits, st.integers(1, 90), st.sampled_from([0.25, 0.5, 1.0]), st.data())
def test_the_estimate_is_when_a_paced_run_sends_its_last_request(
    limits: Limits, requests: int, share: float, data: st.DataObject
) -> None:
    most = min(limit for limit in (limits.minute, limits.hour, limits.day) if limit is not None)
    used = data.draw(st.integers(0, most))
    told = Windows(
        *[
            Window() if limit is None else Window(limit, used, limit - used)
            for limit in (limits.minute, limits.hour, limits.day)
        ]
    )

    estimated = schedule(requests, window_states_of(told, SECONDS, share)).seconds
    with patch.object(simulated_apollo, "SECONDS", SECONDS):
        apollo = SimulatedApollo(
            limits, 1, requests, [INSTANTLY], share=share, used_before=used, learns=True
        ).run()

    assert math.isclose(apollo.counted[-1], estimated, abs_tol=0.01)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(limits, st.integers(1, 40), st.integers(1, 40))
def test_a_pace_under_way_tells_how_long_further_requests_take(
    limits: Limits, before: int, more: int
) -> None:
    with patch.object(simulated_apollo, "SECONDS", SECONDS):
        whole = SimulatedApollo(limits, 1, before + more, [INSTANTLY], learns=True).run()
        part = SimulatedApollo(limits, 1, before, [INSTANTLY], learns=True).run()

    further = schedule(more, part._pacer.states(part.now)).seconds

    assert math.isclose(part.now + further, whole.counted[-1], abs_tol=0.01)


@given(st.integers(0, 5_000), st.integers(0, 200))
def test_requests_fit_a_window_when_it_leaves_as_many(requests: int, used: int) -> None:
    minute = Window(limit=200, usage=used, left=200 - used)
    found = schedule(
        requests, window_states_of(Windows(minute, COMMON.hour, COMMON.day), LENGTHS, 1.0)
    )

    assert found.fits == (requests <= 200 - used, requests <= 400, requests <= 2_000)
    assert found.left == (200 - used, 400, 2_000)


@given(st.integers(1, 3_000), st.integers(0, 500))
def test_more_requests_never_take_less_time(requests: int, more: int) -> None:
    assert schedule(requests, common()).seconds <= schedule(requests + more, common()).seconds


def test_what_the_minute_takes_needs_no_wait() -> None:
    assert schedule(200, common()).seconds == 0


def test_the_next_minute_begins_a_second_after_this_one_surely_has_ended() -> None:
    found = schedule(201, common())

    assert 60 < found.seconds <= 61
    assert found.longest_wait == found.seconds


def test_a_full_hour_is_waited_for_and_a_full_day_too() -> None:
    assert 3_600 < schedule(401, common()).seconds < 3_700
    assert 86_400 < schedule(2_001, common()).seconds < 87_000


def test_ten_thousand_updates_one_by_one_take_four_days() -> None:
    days = schedule(10_000, common()).seconds / 86_400
    assert 4 < days < 5


def test_an_endpoint_without_limits_takes_any_number_at_once() -> None:
    found = schedule(1_000_000, window_states_of(Windows(), LENGTHS, 1.0))

    assert found.seconds == 0
    assert found.left == (None, None, None)


def test_a_limit_of_nothing_is_never_done() -> None:
    nothing = Windows(minute=Window(limit=0, usage=0, left=0))
    assert schedule(1, window_states_of(nothing, LENGTHS, 1.0)).seconds == math.inf
    assert schedule(0, window_states_of(nothing, LENGTHS, 1.0)).seconds == 0


def test_a_share_leaves_the_rest_of_each_window_alone() -> None:
    assert schedule(101, common(share=0.5)).fits == (False, True, True)


def test_the_slowest_endpoint_decides_since_windows_pass_at_the_same_time() -> None:
    found = forecast(
        {"POST /contacts/bulk_create": 10, "PATCH /contacts/{id}": 250},
        {"POST /contacts/bulk_create": common(), "PATCH /contacts/{id}": common()},
        max_wait_seconds=900,
        seconds_per_request=0.1,
        parallel_requests=4,
    )

    assert found.seconds == schedule(250, common()).seconds
    assert not found.stops


def test_where_no_window_is_full_the_answers_take_the_time() -> None:
    found = forecast(
        {"POST /contacts/bulk_create": 100},
        {"POST /contacts/bulk_create": common()},
        max_wait_seconds=900,
        seconds_per_request=0.4,
        parallel_requests=4,
    )

    assert found.seconds == 10


def test_a_wait_longer_than_a_run_waits_means_several_runs() -> None:
    found = forecast(
        {"PATCH /contacts/{id}": 401},
        {"PATCH /contacts/{id}": common()},
        max_wait_seconds=900,
        seconds_per_request=0,
        parallel_requests=4,
    )

    assert found.stops


def test_statistics_and_answers_are_read_alike_by_the_pace() -> None:
    pace = EndpointPacer(LENGTHS, 1.0)
    pace.learn(COMMON, 0.0, 0.0)

    assert pace.states(0.0) == common()
