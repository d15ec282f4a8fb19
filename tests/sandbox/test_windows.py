"""The rate windows: generated requests against an independent statement of the rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sandbox.serving.rate_windows import EndpointWindows, Limits, Schedule, headers

LIMITS = Limits(3, 5, 8)
SCHEDULE = Schedule(LIMITS, (10.0, 40.0, 200.0))
pauses = st.lists(st.sampled_from([0.0, 0.5, 3.0, 9.9, 10.0, 41.0, 201.0]), max_size=60)


def windows_by_the_rule(times: list[float], length: float) -> list[int]:
    """Requests in each window, which begins with the first request after the previous one."""
    sizes: list[int] = []
    start = None
    for at in times:
        if start is None or at >= start + length:
            start = at
            sizes.append(0)
        sizes[-1] += 1
    return sizes


@given(pauses)
def test_no_window_ever_lets_more_through_than_its_limit(waits: list[float]) -> None:
    windows, now, passed = EndpointWindows(), 1000.0, []
    for wait in waits:
        now += wait
        if windows.count(SCHEDULE, now) is None:
            passed.append(now)
    for limit, length in zip(LIMITS.each(), SCHEDULE.seconds, strict=True):
        assert limit is not None
        assert all(size <= limit for size in windows_by_the_rule(passed, length))


@given(pauses)
def test_a_refused_request_passes_after_the_wait_it_was_told(waits: list[float]) -> None:
    windows, now = EndpointWindows(), 1000.0
    for wait in waits:
        now += wait
        exhausted = windows.count(SCHEDULE, now)
        if exhausted is not None:
            assert 0 < exhausted.wait <= SCHEDULE.seconds[2]
            assert exhausted.retry_after >= exhausted.wait
            # The wait is that of the window that ends last, so that all have room afterwards.
            assert windows.count(SCHEDULE, now + exhausted.retry_after) is None
            now += exhausted.retry_after


@given(pauses)
def test_usage_and_left_add_up_to_the_limit(waits: list[float]) -> None:
    windows, now = EndpointWindows(), 1000.0
    for wait in waits:
        now += wait
        windows.count(SCHEDULE, now)
        shown = dict(headers(windows.usage(SCHEDULE, now)))
        for limit, used, left in (
            ("x-rate-limit-minute", "x-minute-usage", "x-minute-requests-left"),
            ("x-rate-limit-hourly", "x-hourly-usage", "x-hourly-requests-left"),
            ("x-rate-limit-24-hour", "x-24-hour-usage", "x-24-hour-requests-left"),
        ):
            assert int(shown[used]) + int(shown[left]) == int(shown[limit])


def test_a_refused_request_is_counted_in_no_window() -> None:
    windows = EndpointWindows()
    for _ in range(10):
        windows.count(SCHEDULE, 0.0)
    assert [window.used for window in windows.usage(SCHEDULE, 0.0)] == [3, 3, 3]


def test_a_window_starts_with_its_first_request_and_not_with_the_clock() -> None:
    windows = EndpointWindows()
    for at in (7.0, 8.0, 16.9):
        assert windows.count(SCHEDULE, at) is None
    exhausted = windows.count(SCHEDULE, 16.95)
    assert exhausted is not None
    assert exhausted.window == "minute"
    assert windows.count(SCHEDULE, 17.0) is None


def test_the_longest_exhausted_window_is_named() -> None:
    windows = EndpointWindows()
    schedule = Schedule(Limits(2, 2, None), (10.0, 40.0, 200.0))
    windows.count(schedule, 0.0)
    windows.count(schedule, 1.0)
    exhausted = windows.count(schedule, 2.0)
    assert exhausted is not None
    assert (exhausted.window, exhausted.limit, exhausted.retry_after) == ("hour", 2, 38)


def test_an_unlimited_window_has_an_empty_limit_and_nothing_more() -> None:
    schedule = Schedule(Limits(None, 5, None))
    windows = EndpointWindows()
    assert windows.count(schedule, 0.0) is None
    assert dict(headers(windows.usage(schedule, 0.0))) == {
        "x-rate-limit-minute": "",
        "x-rate-limit-hourly": "5",
        "x-hourly-usage": "1",
        "x-hourly-requests-left": "4",
        "x-rate-limit-24-hour": "",
    }
