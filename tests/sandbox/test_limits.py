"""The rate windows as a client sees them in answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
import requests

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.sandbox.conftest import Client


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    options = SandboxOptions(strict=True, minute_limit=2, minute_seconds=300)
    with new_sandbox(options) as sandbox:
        yield sandbox


def test_an_answer_says_what_was_used_and_what_is_left(client: Client) -> None:
    headers = client.call("GET", "/labels").headers
    assert headers["x-rate-limit-minute"] == "2"
    assert (headers["x-minute-usage"], headers["x-minute-requests-left"]) == ("1", "1")
    assert (headers["x-rate-limit-hourly"], headers["x-rate-limit-24-hour"]) == ("400", "2000")


def test_the_request_beyond_the_limit_is_429_with_the_seconds_to_wait(client: Client) -> None:
    client.get("/labels")
    client.get("/labels")
    answer = client.call("GET", "/labels")
    assert answer.status_code == 429
    assert 290 <= int(answer.headers["retry-after"]) <= 300
    assert answer.headers["x-minute-requests-left"] == "0"
    assert answer.json() == {
        "message": "The maximum number of api calls allowed for api/v1/labels is 2 times per "
        "minute. Please upgrade your plan from "
        "https://app.apollo.io/#/settings/plans/upgrade?source=api_rate_limit.",
        "error_details": {"code": "USAGE.RATE_LIMIT.API_RATE_LIMIT_EXCEEDED"},
    }


def test_each_endpoint_has_windows_of_its_own(client: Client) -> None:
    for _ in range(2):
        client.get("/labels")
    assert client.call("GET", "/contact_stages").status_code == 200


def test_every_key_of_the_team_counts_in_the_same_windows(apollo: Sandbox, client: Client) -> None:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": apollo.oauth.refresh_token,
        "client_id": apollo.oauth.client_id,
        "client_secret": apollo.oauth.client_secret,
    }
    token = requests.post(apollo.token_url, data=form, timeout=20).json()["access_token"]
    for _ in range(2):
        client.get("/labels")
    answer = requests.get(
        apollo.url + "/labels", headers={"authorization": f"Bearer {token}"}, timeout=20
    )
    assert answer.status_code == 429


def test_a_refusal_for_its_content_is_counted(client: Client) -> None:
    client.error("POST", "/accounts", {})
    assert client.call("POST", "/accounts", {}).headers["x-minute-requests-left"] == "0"


def test_retry_after_can_be_a_date_or_missing(apollo: Sandbox, client: Client) -> None:
    for _ in range(2):
        client.get("/labels")
    apollo.set_options(retry_after="http_date")
    answer = client.call("GET", "/labels")
    ends = parsedate_to_datetime(answer.headers["retry-after"]).timestamp()
    assert ends > apollo.requests[-1].at + 290
    apollo.set_options(retry_after="missing")
    assert "retry-after" not in client.call("GET", "/labels").headers


def test_a_window_ends_after_its_length(apollo: Sandbox, client: Client) -> None:
    statuses = [client.call("GET", "/labels").status_code for _ in range(3)]
    apollo.set_options(minute_seconds=0.01)
    time.sleep(0.02)
    statuses.append(client.call("GET", "/labels").status_code)
    assert statuses == [200, 200, 429, 200]


def test_an_unlimited_plan_shows_empty_limits(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(plan="unlimited", minute_limit=None)
    headers = client.call("GET", "/labels").headers
    assert headers["x-rate-limit-minute"] == ""
    assert "x-minute-usage" not in headers


def test_a_used_up_window_of_deals_names_no_service(client: Client) -> None:
    for _ in range(3):
        answer = client.call("POST", "/opportunities", {"name": "x"})
    assert "allowed for api/v1/opportunities is 2 times per minute" in answer.json()["message"]
