from __future__ import annotations

import logging

import pytest

from target_apollo.apollo import (
    EndpointForbidden,
    JobStarted,
    Quota,
    RequestRefused,
    Window,
    Windows,
)
from target_apollo.model.objects.registry import ACCOUNT, CONTACT
from target_apollo.model.rows import UpdateMethod
from target_apollo.sync.updates.bulk_requests import UpdateRoutes, closes

AUTO = UpdateMethod.AUTO


def windows(hour: Window, day: Window) -> Windows:
    return Windows(Window(limit=200, usage=200, left=0), hour, day)


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
