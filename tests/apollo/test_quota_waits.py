"""Pacing over real sockets, against a sandbox whose minute window lasts two seconds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest

from target_apollo.apollo import (
    ApiKeyAuth,
    QuotaExhausted,
    Request,
    RunStopped,
    Transport,
    Wait,
    WaitReason,
)
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from tests.apollo.conftest import Connect, connecting
from tests.helpers import sending_process
from tests.helpers.new_sandbox import new_sandbox

MINUTE = 2.0
WINDOWS = (MINUTE, 3_600.0, 86_400.0)
SEARCH = "POST /contacts/search"
USAGE = "POST /usage_stats/api_usage_stats"
ASK = Request("POST", "/contacts/search", SEARCH, body={"q_keywords": "x"})


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    options = SandboxOptions(
        plan="unlimited",
        minute_seconds=MINUTE,
        api_keys={"sandbox": None, "scoped": ["api/v1/contacts/search"]},
    )
    with new_sandbox(options) as sandbox:
        yield sandbox


@pytest.fixture
def apollo(running: Sandbox) -> Sandbox:
    running.set_options(minute_limit=None, hour_limit=None)
    running.clear_faults()
    running.reset_log()
    running.reset_quota()
    return running


@pytest.fixture
def connect(apollo: Sandbox, stop: threading.Event, waits: list[Wait]) -> Iterator[Connect]:
    with connecting(
        api_url=apollo.url,
        auth=ApiKeyAuth("sandbox"),
        max_retries=2,
        request_timeout_seconds=20,
        max_wait_seconds=60,
        parallel_requests=8,
        stop=stop,
        on_wait=waits.append,
        backoff_base_seconds=0.01,
        window_seconds=WINDOWS,
    ) as connect:
        yield connect


def send(transport: Transport, requests: int, threads: int = 8) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for sent in [pool.submit(transport.send, ASK) for _ in range(requests)]:
            sent.result()


def rate_limited(transport: Transport) -> int:
    return int(transport.counters.snapshot()["rate_limited"])


@pytest.mark.full
def test_parallel_requests_wait_for_the_next_minute_instead_of_causing_a_429(
    apollo: Sandbox, connect: Connect, waits: list[Wait]
) -> None:
    apollo.set_options(minute_limit=20)
    transport = connect()

    send(transport, 60)

    assert rate_limited(transport) == 0
    assert apollo.count(SEARCH) == 60
    assert {(wait.endpoint, wait.reason) for wait in waits} <= {(SEARCH, WaitReason.QUOTA)}
    assert len(waits) <= 2, "one thread tells for all of them"


@pytest.mark.full
def test_more_threads_than_a_minute_has_requests_cause_no_429(
    apollo: Sandbox, connect: Connect
) -> None:
    apollo.set_options(minute_limit=3)
    transport = connect()

    send(transport, 9)

    assert rate_limited(transport) == 0


@pytest.mark.full
def test_tries_after_lost_answers_count(apollo: Sandbox, connect: Connect) -> None:
    apollo.set_options(minute_limit=10)
    apollo.inject(Fault(SEARCH, FaultKind.RESET_AFTER_WRITE, after=2, times=5))
    transport = connect(max_retries=5)

    send(transport, 20)

    assert rate_limited(transport) == 0
    assert apollo.count(SEARCH) == 25


def test_a_longer_wait_than_allowed_ends_before_anything_is_sent(
    apollo: Sandbox, connect: Connect, waits: list[Wait]
) -> None:
    apollo.set_options(hour_limit=5)
    transport = connect(max_wait_seconds=900)
    send(transport, 5)

    with pytest.raises(QuotaExhausted) as caught:
        transport.send(ASK)

    in_seconds = (caught.value.retry_at - datetime.now(timezone.utc)).total_seconds()
    assert 3_500 < in_seconds <= 3_602
    assert not caught.value.maybe_written
    assert (apollo.count(SEARCH), rate_limited(transport), waits) == (5, 0, [])


def test_a_stop_ends_the_wait_for_the_quota(
    apollo: Sandbox, connect: Connect, stop: threading.Event
) -> None:
    apollo.set_options(hour_limit=1)
    transport = connect(max_wait_seconds=10_000, on_wait=lambda _: stop.set())
    transport.send(ASK)

    with pytest.raises(RunStopped) as caught:
        transport.send(ASK)

    assert not caught.value.maybe_written


def test_a_used_up_endpoint_does_not_hold_up_the_others(apollo: Sandbox, connect: Connect) -> None:
    apollo.set_options(hour_limit=1)
    transport = connect()
    transport.send(ASK)

    assert transport.send(Request("GET", "/labels", "GET /labels")).status == 200


def test_two_ways_to_one_endpoint_share_its_quota(apollo: Sandbox, connect: Connect) -> None:
    apollo.set_options(hour_limit=2, put_accounts="accepted")
    account = apollo.store.add_account(name="Old")["id"]
    transport = connect()
    path = f"/accounts/{account}"
    transport.send(Request("PUT", path, "PUT /accounts/{id}", body={"name": "New"}))
    transport.send(Request("PATCH", path, "PATCH /accounts/{id}", body={"name": "Newer"}))

    with pytest.raises(QuotaExhausted):
        transport.send(Request("PUT", path, "PUT /accounts/{id}", body={"name": "Newest"}))

    assert rate_limited(transport) == 0


def test_a_share_leaves_the_rest_of_the_hour_to_others(apollo: Sandbox, connect: Connect) -> None:
    apollo.set_options(hour_limit=10)
    transport = connect(quota_share=0.3)
    send(transport, 3)

    with pytest.raises(QuotaExhausted):
        transport.send(ASK)

    assert apollo.count(SEARCH) == 3


# --- what is left before the first request


def test_a_new_run_learns_what_the_last_one_left(apollo: Sandbox, connect: Connect) -> None:
    apollo.set_options(hour_limit=10)
    send(connect(), 8)
    transport = connect(learns_limits=True)
    send(transport, 2)

    with pytest.raises(QuotaExhausted):
        transport.send(ASK)

    assert (apollo.count(SEARCH), rate_limited(transport)) == (10, 0)


def test_what_is_left_is_asked_once_and_only_before_a_write(
    apollo: Sandbox, connect: Connect
) -> None:
    transport = connect(learns_limits=True)
    transport.send(Request("GET", "/labels", "GET /labels"))
    assert apollo.count(USAGE) == 0

    send(transport, 10)

    assert apollo.count(USAGE) == 1


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.ERROR_BEFORE_WRITE,
        FaultKind.RESET_BEFORE_WRITE,
        FaultKind.GARBAGE_BODY,
        FaultKind.RATE_LIMITED,
    ],
)
def test_statistics_that_cannot_be_had_cost_one_try_and_hold_nothing_up(
    apollo: Sandbox, connect: Connect, waits: list[Wait], fault: FaultKind
) -> None:
    apollo.inject(Fault(USAGE, fault, times=None, retry_after=30))
    transport = connect(learns_limits=True)

    assert transport.send(ASK).status == 200
    assert (apollo.count(USAGE), waits) == (1, [])


def test_a_key_that_may_not_read_the_statistics_can_write(connect: Connect) -> None:
    assert connect(auth=ApiKeyAuth("scoped"), learns_limits=True).send(ASK).status == 200


# --- somebody else on the team


@pytest.mark.full
def test_a_429_that_others_caused_is_waited_out_by_all_threads(
    apollo: Sandbox, connect: Connect
) -> None:
    apollo.set_options(minute_limit=10)
    transport, other = connect(), connect()
    send(transport, 2)
    send(other, 8)

    send(transport, 10)

    assert rate_limited(transport) <= 8
    assert transport.counters.snapshot()["statuses"]["200"] == 12


@pytest.mark.full
def test_two_processes_on_one_team_both_get_through(apollo: Sandbox) -> None:
    apollo.set_options(minute_limit=20)
    script = Path(sending_process.__file__)
    command = [sys.executable, str(script), apollo.url, "40", *map(str, WINDOWS)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    counts = [json.loads(process.communicate(timeout=120)[0]) for process in processes]

    assert [count["statuses"]["200"] for count in counts] == [40, 40]
    # Each knows of the other from the headers: at most what is under way when a minute gets full.
    assert sum(count["rate_limited"] for count in counts) <= 4 * apollo.count(SEARCH) / 20
