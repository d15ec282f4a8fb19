from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_apollo.apollo import QuotaExhausted, Request, RunStopped, Transport, Wait, WaitReason
from tests.helpers.http_server import Fault, Reply, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[..., Transport]

CREATE = "POST /contacts/bulk_create"
WRITE = Request("POST", "/contacts/bulk_create", CREATE, body={})
READ = Request("GET", "/labels", "GET /labels")


def limited(retry_after: str | None = None, per: str = "minute", **headers: str) -> Reply:
    """A 429 as Apollo words it."""
    named = {} if retry_after is None else {"Retry-After": retry_after}
    text = f"The maximum number of api calls allowed for api/v1/contacts is 600 times per {per}."
    return Reply(429, body={"message": text}, headers={**named, **headers})


def seconds_from_now(moment: datetime) -> float:
    return (moment - datetime.now(timezone.utc)).total_seconds()


def test_a_429_is_waited_out_for_as_long_as_it_says(
    server: Server, transport: Transport, waits: list[Wait]
) -> None:
    server.answers(limited("0.2"), Reply(body={"done": True}))

    answer = transport.send(WRITE)

    assert (answer.body, answer.attempts) == ({"done": True}, 2)
    assert answer.seconds >= 0.2
    assert [(wait.endpoint, wait.reason) for wait in waits] == [(CREATE, WaitReason.RATE_LIMIT)]
    assert waits[0].seconds == pytest.approx(0.2, abs=0.1)
    assert waits[0].until.tzinfo is timezone.utc


def test_waits_that_are_asked_for_are_no_retries(server: Server, connect: Connect) -> None:
    server.answers(*[limited("0.01")] * 5, Reply())

    assert connect(max_retries=0).send(WRITE).attempts == 6


def test_a_date_is_taken_relative_to_the_clock_of_the_answer(
    server: Server, connect: Connect
) -> None:
    years_ago = {"Date": "Fri, 01 Jan 2010 10:00:00 GMT"}
    server.answers(limited("Fri, 01 Jan 2010 10:01:00 GMT", **years_ago))

    with pytest.raises(QuotaExhausted) as caught:
        connect(max_wait_seconds=1).send(WRITE)

    assert 50 < seconds_from_now(caught.value.retry_at) <= 60


@pytest.mark.parametrize("unusable", [None, "", "soon", "-5", "0", "nan", "1e3", "99999999999"])
def test_a_429_that_does_not_say_how_long_counts_as_a_failure(
    server: Server, transport: Transport, unusable: str | None
) -> None:
    server.default = lambda _: limited(unusable)

    with pytest.raises(QuotaExhausted):
        transport.send(WRITE)

    assert len(server.received) == 3


@pytest.mark.parametrize(("per", "seconds"), [("minute", 60), ("hour", 3600), ("day", 86400)])
def test_without_a_retry_after_the_named_window_says_when_to_run_again(
    server: Server, connect: Connect, per: str, seconds: float
) -> None:
    server.default = lambda _: limited(None, per)

    with pytest.raises(QuotaExhausted, match="run again after") as caught:
        connect(max_retries=0).send(WRITE)

    assert seconds - 10 < seconds_from_now(caught.value.retry_at) <= seconds


def test_without_words_the_headers_name_the_window(server: Server, connect: Connect) -> None:
    used_up = {"x-minute-requests-left": "12", "x-hourly-requests-left": "0"}
    server.default = lambda _: Reply(429, body="", headers=used_up)

    with pytest.raises(QuotaExhausted) as caught:
        connect(max_retries=0).send(WRITE)

    assert 3590 < seconds_from_now(caught.value.retry_at) <= 3600


def test_a_longer_wait_than_allowed_ends_with_the_time_to_run_again(
    server: Server, connect: Connect, waits: list[Wait]
) -> None:
    server.answers(limited("3000"))

    with pytest.raises(QuotaExhausted, match="max_wait_seconds") as caught:
        connect(max_wait_seconds=900).send(WRITE)

    assert 2990 < seconds_from_now(caught.value.retry_at) <= 3000
    assert not caught.value.maybe_written
    assert waits == []


def test_many_short_waits_of_one_request_add_up(server: Server, connect: Connect) -> None:
    server.default = lambda _: limited("0.05")

    with pytest.raises(QuotaExhausted):
        connect(max_wait_seconds=0.2).send(WRITE)

    assert 3 <= len(server.received) <= 5


def test_a_429_after_a_lost_answer_owns_up_to_the_lost_try(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(fault=Fault.RESET), limited("3000"))

    with pytest.raises(QuotaExhausted) as caught:
        transport.send(WRITE)

    assert caught.value.maybe_written


def test_an_exhausted_endpoint_is_not_asked_again_while_others_go_on(
    server: Server, transport: Transport
) -> None:
    server.answers(limited("3000"))
    for _ in range(3):
        with pytest.raises(QuotaExhausted):
            transport.send(WRITE)

    transport.send(READ)

    assert [request.path for request in server.received] == [
        "/api/v1/contacts/bulk_create",
        "/api/v1/labels",
    ]


def test_parallel_requests_wait_at_one_gate_instead_of_running_into_the_429_each(
    server: Server, connect: Connect, waits: list[Wait]
) -> None:
    told = threading.Event()
    server.answers(limited("0.5"))

    def on_wait(wait: Wait) -> None:
        waits.append(wait)
        told.set()

    transport = connect(on_wait=on_wait)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(transport.send, WRITE)
        assert told.wait(5)
        others = [pool.submit(transport.send, WRITE) for _ in range(5)]
        answers = [future.result() for future in [first, *others]]

    assert [answer.attempts for answer in answers] == [2, 1, 1, 1, 1, 1]
    assert transport.counters.snapshot()["rate_limited"] == 1
    assert len(waits) == 1


def test_a_stop_ends_the_wait_for_the_rate_limit_at_once(
    server: Server, connect: Connect, stop: threading.Event
) -> None:
    server.answers(limited("600"))
    told = threading.Event()
    transport = connect(max_wait_seconds=900, on_wait=lambda _: told.set())

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(transport.send, WRITE)
        assert told.wait(5)
        stop.set()
        with pytest.raises(RunStopped) as caught:
            sending.result(timeout=5)

    assert not caught.value.maybe_written
    assert len(server.received) == 1


def test_a_stopped_run_does_not_begin_to_wait(
    server: Server, transport: Transport, stop: threading.Event, waits: list[Wait]
) -> None:
    server.answers(limited("3000"))
    with pytest.raises(QuotaExhausted):
        transport.send(WRITE)
    stop.set()

    with pytest.raises(RunStopped):
        transport.send(WRITE)

    assert waits == []


HEADERS = {
    "x-rate-limit-minute": "50",
    "x-minute-usage": "2",
    "x-minute-requests-left": "48",
    "x-rate-limit-hourly": "200",
    "x-hourly-usage": "5",
    "x-hourly-requests-left": "195",
    "x-rate-limit-24-hour": "",
}


def test_the_quota_remembers_the_rate_headers_per_endpoint(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(headers=HEADERS))

    transport.send(WRITE)

    assert transport.quota.of(CREATE).minute.left == 48
    assert transport.quota.snapshot() == {
        CREATE: {
            "minute": {"limit": 50, "usage": 2, "left": 48},
            "hour": {"limit": 200, "usage": 5, "left": 195},
            "day": {"limit": None, "usage": None, "left": None},
        }
    }


def test_an_answer_without_rate_headers_leaves_the_quota_as_it_was(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(headers=HEADERS), Reply())

    transport.send(WRITE)
    transport.send(WRITE)

    assert transport.quota.of(CREATE).hour.left == 195


@pytest.mark.parametrize("nonsense", ["many", "-1", "1.5", "٤٨", "9" * 400])
def test_nonsense_in_a_rate_header_counts_as_not_said(
    server: Server, transport: Transport, nonsense: str
) -> None:
    latin: Any = nonsense if nonsense.isascii() else "\xb2"
    server.answers(Reply(headers={**HEADERS, "x-minute-requests-left": latin}))

    transport.send(WRITE)

    assert transport.quota.of(CREATE).minute.left is None


def test_the_time_to_run_again_stands_in_the_sentence_in_utc() -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc) + timedelta(seconds=5)

    assert "2026-03-01 12:30:05 UTC" in str(QuotaExhausted(CREATE, retry_at=moment))
