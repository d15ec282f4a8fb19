"""After a lost answer the request is sent again, since Apollo may have made the change or not."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from target_apollo.apollo import AnswerLost, RequestRefused, RunStopped, Transport
from tests.apollo.conftest import Connect
from tests.helpers.exchanges import CREATE, LOST, WRITE
from tests.helpers.http_server import Fault, Reply, Server


@pytest.mark.parametrize("lost", LOST.values(), ids=list(LOST))
def test_after_a_lost_answer_the_request_is_sent_again(
    server: Server, connect: Connect, lost: Reply
) -> None:
    server.answers(lost, Reply(body={"second": "try"}))
    transport = connect(request_timeout_seconds=0.2)

    answer = transport.send(WRITE)

    assert (answer.body, answer.attempts) == ({"second": "try"}, 2)
    assert server.received[0].content == server.received[1].content
    assert transport.counters.snapshot()["retries"] == 1


@pytest.mark.parametrize("lost", LOST.values(), ids=list(LOST))
def test_when_every_answer_is_lost_the_change_may_have_been_made(
    server: Server, connect: Connect, lost: Reply
) -> None:
    server.default = lambda _: lost
    transport = connect(request_timeout_seconds=0.2, max_retries=1)

    with pytest.raises(AnswerLost) as caught:
        transport.send(WRITE)

    assert (caught.value.endpoint, caught.value.attempts) == (CREATE, 2)
    assert caught.value.maybe_written
    assert len(server.received) == 2


def test_without_retries_there_is_one_try(server: Server, connect: Connect) -> None:
    server.answers(Reply(503), Reply())

    with pytest.raises(AnswerLost, match=r"1 try \(answered 503\)"):
        connect(max_retries=0).send(WRITE)


def test_where_nobody_listens_nothing_was_sent(connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(AnswerLost, match="could not be reached") as caught:
            connect(api_url=f"http://127.0.0.1:{port}").send(WRITE)

    assert (caught.value.attempts, caught.value.maybe_written) == (3, False)


def test_every_retry_is_told_with_its_reason(
    server: Server, transport: Transport, waits: list[Any]
) -> None:
    server.answers(Reply(500), Reply(500), Reply())

    transport.send(WRITE)

    assert [(wait.endpoint, wait.reason.value) for wait in waits] == [
        (CREATE, "retry after a lost answer")
    ] * 2


def test_retries_wait_for_a_random_part_of_a_time_that_doubles(
    server: Server, connect: Connect, waits: list[Any]
) -> None:
    server.default = lambda _: Reply(500)

    with pytest.raises(AnswerLost):
        connect(max_retries=6, backoff_base_seconds=0.002).send(WRITE)

    longest = [0.002 * 2**tries for tries in range(6)]
    assert all(0 <= wait.seconds <= most for wait, most in zip(waits, longest, strict=True))
    assert sum(wait.seconds for wait in waits) > 0


def test_a_stop_ends_the_wait_before_a_retry_and_owns_up_to_the_lost_try(
    server: Server, connect: Connect, stop: threading.Event
) -> None:
    server.answers(Reply(500))

    with pytest.raises(RunStopped) as caught:
        connect(backoff_base_seconds=600, on_wait=lambda _: stop.set()).send(WRITE)

    assert caught.value.maybe_written
    assert len(server.received) == 1


def test_a_refusal_after_a_lost_answer_owns_up_to_the_lost_try(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(fault=Fault.RESET), Reply(422, body={"error": "no"}))

    with pytest.raises(RequestRefused) as caught:
        transport.send(WRITE)

    assert caught.value.maybe_written
