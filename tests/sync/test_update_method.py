from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import (
    EndpointForbidden,
    JobStarted,
    Quota,
    RequestRefused,
    Window,
    Windows,
)
from target_apollo.model.objects import ACCOUNT, CONTACT
from target_apollo.model.rows import UpdateMethod
from target_apollo.sync.bulk_requests import UpdateRoutes, closes
from target_apollo.sync.update_plan import goes_in_bulk, requests_left

AUTO, BULK, INDIVIDUAL = UpdateMethod.AUTO, UpdateMethod.BULK, UpdateMethod.INDIVIDUAL
counts = st.integers(0, 2000)


# --- the decision


@given(counts, st.none() | counts)
def test_individual_and_bulk_do_not_ask_how_many(updates: int, left: int | None) -> None:
    assert not goes_in_bulk(INDIVIDUAL, updates, left)
    assert goes_in_bulk(BULK, updates, left)


@given(st.integers(0, 19), st.integers(0, 2000))
def test_auto_sends_few_updates_one_by_one_as_far_as_the_quota_goes(
    updates: int, left: int
) -> None:
    assert goes_in_bulk(AUTO, updates, left) is (updates > left)


@given(st.integers(0, 19))
def test_auto_takes_an_unknown_quota_for_enough(updates: int) -> None:
    assert not goes_in_bulk(AUTO, updates, None)


@given(st.integers(20, 2000), st.none() | counts)
def test_auto_sends_many_updates_in_bulk(updates: int, left: int | None) -> None:
    assert goes_in_bulk(AUTO, updates, left)


# --- what is left of the quota


def windows(hour: Window = Window(), day: Window = Window()) -> Windows:  # noqa: B008
    return Windows(Window(limit=200, usage=200, left=0), hour, day)


def test_nothing_is_known_of_the_quota_before_the_first_answer() -> None:
    assert requests_left(Windows(), 1.0) is None


@pytest.mark.parametrize(
    ("hour", "day", "share", "left"),
    [
        (Window(400, 100, 300), Window(2000, 1995, 5), 1.0, 5),
        (Window(400, 100, 300), Window(2000, 100, 1900), 1.0, 300),
        (Window(400, 100, 300), Window(2000, 100, 1900), 0.5, 100),
        (Window(400, 300, 100), Window(2000, 100, 1900), 0.5, 0),
        (Window(left=7), Window(), 1.0, 7),
        (Window(), Window(limit=10, usage=4), 1.0, 6),
    ],
)
def test_the_scarcer_of_hour_and_day_counts_and_only_the_run_s_share(
    hour: Window, day: Window, share: float, left: int
) -> None:
    assert requests_left(windows(hour, day), share) == left


def test_the_minute_does_not_count_since_it_is_waited_for() -> None:
    assert requests_left(windows(Window(400, 200, 200), Window(2000, 200, 1800)), 1.0) == 200


# --- the routes of a run


def routes(quota: Quota | None = None) -> UpdateRoutes:
    return UpdateRoutes(quota or Quota(), 1.0, logging.getLogger("test"))


@pytest.mark.parametrize("label", ["PUT /accounts/{id}", "PATCH /accounts/{id}"])
def test_put_and_patch_of_accounts_use_up_one_quota(label: str) -> None:
    quota = Quota()
    quota.note(label, windows(Window(400, 397, 3), Window(2000, 397, 1603)))
    assert routes(quota).choose_bulk(ACCOUNT, AUTO, 4)
    assert not routes(quota).choose_bulk(ACCOUNT, AUTO, 3)
    assert not routes(quota).choose_bulk(CONTACT, AUTO, 4)


def test_an_endpoint_is_closed_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = routes()
    refusal = EndpointForbidden("POST /contacts/bulk_update", code="API_INACCESSIBLE")
    assert found.is_open("POST /contacts/bulk_update")

    for _ in range(3):
        found.close("POST /contacts/bulk_update", refusal, "contacts are updated one by one")

    assert not found.is_open("POST /contacts/bulk_update")
    assert found.is_open("POST /accounts/bulk_update")
    (line,) = caplog.messages
    assert "api/v1/contacts/bulk_update" in line
    assert line.endswith("For the rest of the run contacts are updated one by one.")


ENDPOINT = "POST /contacts/bulk_update"


@pytest.mark.parametrize(
    ("problem", "closed"),
    [
        (EndpointForbidden(ENDPOINT), True),
        (RequestRefused(ENDPOINT, status=404, from_apollo=False), True),
        (RequestRefused(ENDPOINT, status=404, message="Not Found"), True),
        (RequestRefused(ENDPOINT, status=404, message=f"no contact with id {'a' * 24}"), False),
        (RequestRefused(ENDPOINT, status=405), True),
        (RequestRefused(ENDPOINT, status=422), False),
        (JobStarted(ENDPOINT, reason="a job", attempts=1), True),
        (OSError(), False),
    ],
)
def test_an_endpoint_is_closed_by_an_answer_that_is_not_about_records(
    problem: Exception, closed: bool
) -> None:
    assert closes(problem) is closed
