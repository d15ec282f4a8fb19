"""A request arrives unchanged, and its answer is returned whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from target_apollo.apollo import Request, RequestRefused, RunStopped, Transport
from tests.apollo.conftest import KEY, Connect
from tests.helpers.exchanges import CREATE, READ, WRITE
from tests.helpers.http_server import Reply, Server


def test_an_answer_has_its_status_its_value_and_the_tries_it_took(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(201, body={"contact": {"id": "1"}}))

    answer = transport.send(WRITE)

    assert (answer.status, answer.body, answer.attempts) == (201, {"contact": {"id": "1"}}, 1)
    assert answer.seconds > 0


def test_the_body_and_the_parameters_arrive_as_given(server: Server, transport: Transport) -> None:
    transport.send(Request("POST", "/x", "POST /x", {"a": [1, None]}, {"page": 2, "q": "ä b"}))

    request = server.received[0]
    assert (request.method, request.path) == ("POST", "/api/v1/x")
    assert request.body == {"a": [1, None]}
    assert request.query == {"page": ["2"], "q": ["ä b"]}
    assert request.headers["content-type"] == "application/json"


def test_the_key_travels_in_its_header_only(server: Server, transport: Transport) -> None:
    transport.send(WRITE)

    request = server.received[0]
    assert request.headers.pop("x-api-key") == KEY
    assert KEY not in repr(request)


def test_the_program_names_itself_and_asks_for_gzip_only(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(body={"zipped": True}, zipped=True))

    assert transport.send(READ).body == {"zipped": True}
    assert server.received[0].headers["accept-encoding"] == "gzip"
    assert server.received[0].headers["user-agent"].startswith("target-apollo/")


def test_a_chunked_answer_is_read_to_its_end(server: Server, transport: Transport) -> None:
    server.answers(Reply(body=list(range(5000)), chunked=True))

    assert transport.send(READ).body == list(range(5000))


def test_a_lone_surrogate_in_an_answer_is_no_reason_to_lose_it_and_is_replaced(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(body='{"name": "a\\ud800"}'))

    assert transport.send(READ).body == {"name": "a\ufffd"}


def test_connections_are_used_again_by_later_threads(server: Server, transport: Transport) -> None:
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(transport.send, READ).result()

    assert (len(server.received), server.connections) == (3, 1)


def test_parallel_requests_keep_their_connections(server: Server, connect: Connect) -> None:
    transport = connect(parallel_requests=4)
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(transport.send, [READ] * 12))

    assert len(server.received) == 36
    assert server.connections <= 4


def test_once_stopped_nothing_is_sent(
    server: Server, transport: Transport, stop: threading.Event
) -> None:
    stop.set()

    with pytest.raises(RunStopped) as caught:
        transport.send(WRITE)

    assert server.received == []
    assert not caught.value.maybe_written


def test_the_counters_know_every_try(server: Server, transport: Transport) -> None:
    server.answers(
        Reply(500), Reply(), Reply(429, headers={"Retry-After": "0.01"}), Reply(), Reply(422)
    )

    transport.send(WRITE)
    transport.send(READ)
    with pytest.raises(RequestRefused):
        transport.send(WRITE)

    counted = transport.counters.snapshot()
    assert counted.pop("seconds_waited") > 0
    assert counted == {
        "requests": {CREATE: 3, "GET /labels": 2},
        "statuses": {"500": 1, "200": 2, "429": 1, "422": 1},
        "retries": 1,
        "rate_limited": 1,
    }
