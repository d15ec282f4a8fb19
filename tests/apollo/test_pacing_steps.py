from __future__ import annotations

from target_apollo.apollo.quota import Window, Windows
from target_apollo.apollo.rate_windows import EndpointPacer, FullUntil, Permit
from tests.helpers.simulated_apollo import SECONDS

MINUTE = SECONDS[0]
LOST = Windows()


def said(limit: int, usage: int) -> Windows:
    """A count in the minute; hour and day have room."""
    minute = Window(limit, usage, limit - usage)
    return Windows(minute, hour=Window(1_000, 0, 1_000), day=Window(1_000, 0, 1_000))


def pace() -> EndpointPacer:
    return EndpointPacer(SECONDS, 1.0)


def taken(pace: EndpointPacer, now: float) -> Permit:
    permit = pace.acquire(now)
    assert isinstance(permit, Permit)
    return permit


def permits(pace: EndpointPacer, now: float) -> int:
    """How many requests may go out now."""
    found = 0
    while isinstance(pace.acquire(now), Permit):
        found += 1
    return found


def test_of_an_unknown_window_the_first_request_goes_alone() -> None:
    endpoint = pace()
    first = taken(endpoint, 0)

    assert endpoint.acquire(0) is None

    endpoint.answered(first, 1, said(10, 1))
    assert isinstance(endpoint.acquire(1), Permit)


def test_an_endpoint_without_limits_is_not_paced() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, Windows())

    assert all(isinstance(endpoint.acquire(0), Permit) for _ in range(1_000))


def test_a_full_window_opens_one_length_behind_the_answer_to_its_first_request() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 100), 101, said(2, 1))
    endpoint.answered(taken(endpoint, 105), 106, said(2, 2))

    until = endpoint.acquire(106)

    assert isinstance(until, FullUntil)
    assert 101 + MINUTE <= until.moment <= 101 + 1.05 * MINUTE
    assert isinstance(endpoint.acquire(until.moment), Permit)


def test_while_answers_are_outstanding_the_last_slot_is_left_to_them_to_decide() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, said(2, 1))
    second = taken(endpoint, 0)

    assert endpoint.acquire(0) is None

    endpoint.not_sent(second)
    assert isinstance(endpoint.acquire(0), Permit)


def test_a_count_that_falls_tells_of_a_new_window() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, said(10, 9))
    endpoint.answered(taken(endpoint, 5), 5, said(10, 1))

    assert permits(endpoint, 5) == 9


def test_what_others_used_is_taken_from_the_headers() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, said(10, 1))
    endpoint.answered(taken(endpoint, 1), 1, said(10, 10))

    assert isinstance(endpoint.acquire(1), FullUntil)


def test_a_429_that_tells_its_time_opens_the_window_then() -> None:
    endpoint = pace()
    endpoint.refused(taken(endpoint, 0), 0, said(10, 10), 3.0)

    assert endpoint.acquire(0) == FullUntil(3.0)
    assert isinstance(endpoint.acquire(3.0), Permit)


def test_statistics_that_contradict_themselves_are_not_believed() -> None:
    endpoint = pace()
    endpoint.learn(Windows(minute=Window(limit=200, usage=10, left=0)), 0, 0)

    assert isinstance(endpoint.acquire(0), Permit)


def test_statistics_do_not_overrule_an_endpoint_s_own_answers() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, said(10, 1))
    endpoint.learn(said(10, 10), 0, 0)

    assert isinstance(endpoint.acquire(0), Permit)


# --- what is unsure counts, until an answer to a later request says better


def test_a_lost_answer_counts_until_a_later_request_is_answered() -> None:
    endpoint = pace()
    endpoint.learn(said(10, 0), 0, 0)
    endpoint.answered(taken(endpoint, 0), 1, LOST)
    later = taken(endpoint, 2)

    endpoint.answered(later, 3, said(10, 1))

    assert permits(endpoint, 3) == 9


def test_an_answer_to_a_request_of_the_old_window_does_not_fill_the_new_one() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, said(10, 1))
    old = taken(endpoint, 5)
    new = taken(endpoint, MINUTE + 0.2)
    endpoint.answered(old, MINUTE + 0.3, said(10, 9))

    endpoint.answered(new, MINUTE + 0.4, said(10, 1))

    assert permits(endpoint, MINUTE + 0.4) == 8


def test_an_answer_just_before_the_one_that_tells_of_a_new_window_counts_in_it() -> None:
    endpoint = pace()
    endpoint.answered(taken(endpoint, 0), 0, said(10, 1))
    slow = taken(endpoint, 1)
    endpoint.answered(taken(endpoint, 2), 2, said(10, 5))
    telling = taken(endpoint, 9)
    endpoint.answered(slow, 10.05, said(10, 2))  # the second request of the new window

    endpoint.answered(telling, 10.06, said(10, 1))  # and its first

    assert permits(endpoint, 10.06) == 8


def test_a_window_ends_as_early_as_the_first_request_that_may_have_opened_it_says() -> None:
    endpoint = pace()
    endpoint.learn(said(3, 0), 0, 0)
    endpoint.answered(taken(endpoint, 0), 5, LOST)  # opened the window
    second, slow = taken(endpoint, 6), taken(endpoint, 6)
    endpoint.answered(second, 9, said(3, 2))
    endpoint.answered(slow, 13, said(3, 1))  # opened the next one, between 10 and 13

    endpoint.answered(taken(endpoint, 19.2), 19.3, LOST)

    assert permits(endpoint, 19.3) == 1


def test_a_window_that_others_opened_may_end_at_any_time() -> None:
    endpoint = pace()
    endpoint.learn(said(10, 3), 0, 0)
    requests = [taken(endpoint, 1) for _ in range(3)]
    endpoint.answered(requests[2], 3, said(10, 3))  # of a window that was opened at 2 perhaps
    endpoint.answered(requests[1], 3, LOST)
    endpoint.answered(requests[0], 3, LOST)

    endpoint.answered(taken(endpoint, 10.2), 10.3, LOST)

    assert permits(endpoint, 10.3) == 6
