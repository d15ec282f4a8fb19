"""A whole answer has a longest time and a largest size; what comes before it is passed over."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.apollo import AnswerLost, TokenEndpoint
from target_apollo.apollo.http import LARGEST_ANSWER
from tests.apollo.conftest import Connect
from tests.helpers.exchanges import READ, WRITE
from tests.helpers.http_server import Reply, Server

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TWO = b"Content-Length: 2\r\n\r\n{}"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def zipped(text: bytes) -> Reply:
    return Reply(body=gzip.compress(text, 9), headers={"Content-Encoding": "gzip"})


def each_byte(text: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in text]


DRIPPING = {
    "status line": each_byte(OK + TWO),
    "headers": [OK, *each_byte(b"X-Slow: " + b"a" * 200), b"\r\n" + TWO],
    "body": [OK + b"Content-Length: 200\r\n\r\n", *each_byte(b"[" + b" " * 198 + b"]")],
    "chunks": [OK + CHUNKED, *[b"1\r\n \r\n"] * 200],
    "a body without a length": [OK + b"Connection: close\r\n\r\n", *each_byte(b" " * 200)],
    "interim answers": [b"HTTP/1.1 102 Processing\r\n\r\n"] * 200,
}


@pytest.mark.parametrize("pieces", DRIPPING.values(), ids=list(DRIPPING))
def test_an_answer_that_drips_is_lost_after_twice_the_longest_silence(
    server: Server, connect: Connect, pieces: list[bytes]
) -> None:
    server.answers(Reply(pieces=pieces, pause=0.1))
    transport = connect(request_timeout_seconds=0.4, max_retries=0)
    started = time.monotonic()

    with pytest.raises(AnswerLost, match="no answer in time") as caught:
        transport.send(WRITE)

    assert 0.7 < time.monotonic() - started < 2
    assert caught.value.maybe_written


def test_an_answer_that_comes_slowly_but_in_time_is_taken(server: Server, connect: Connect) -> None:
    pieces = [OK + b"Content-Length: 8\r\n\r\n", *each_byte(b'{"a": 1}')]
    server.answers(Reply(pieces=pieces, pause=0.05))

    assert connect(request_timeout_seconds=1).send(READ).body == {"a": 1}


HUGE = b" " * 1_000_000
#: Answers, by functions, since to pack the bytes takes seconds that each run would wait for.
TOO_LARGE: dict[str, Callable[[], Reply]] = {
    "gzip": lambda: zipped(b"[" + b" " * (2 * LARGEST_ANSWER) + b"]"),
    "gzip in gzip": lambda: Reply(
        body=gzip.compress(gzip.compress(b" " * (2 * LARGEST_ANSWER))),
        headers={"Content-Encoding": "gzip, gzip"},
    ),
    "deflate": lambda: Reply(
        body=zlib.compress(b" " * (2 * LARGEST_ANSWER)), headers={"Content-Encoding": "deflate"}
    ),
    "a promised length": lambda: Reply(pieces=[OK + b"Content-Length: 999999999999999999\r\n\r\n"]),
    "a body without a length": lambda: Reply(
        pieces=itertools.chain([OK + b"Connection: close\r\n\r\n"], itertools.repeat(HUGE, 60))
    ),
    "chunks without an end": lambda: Reply(
        pieces=itertools.chain([OK + CHUNKED], itertools.repeat(b"f4240\r\n" + HUGE + b"\r\n", 60))
    ),
    "interim answers without an end": lambda: Reply(
        pieces=itertools.repeat(
            b"HTTP/1.1 103 Early Hints\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 9_000
        )
    ),
}


@pytest.mark.parametrize("reply", TOO_LARGE.values(), ids=list(TOO_LARGE))
def test_an_answer_that_is_too_large_is_lost(
    server: Server, connect: Connect, reply: Callable[[], Reply]
) -> None:
    server.answers(reply())

    with pytest.raises(AnswerLost, match="the answer was too large") as caught:
        connect(request_timeout_seconds=30, max_retries=0).send(WRITE)

    assert caught.value.maybe_written


MALFORMED = {
    "a header without an end": OK + b"X-Long: " + b"a" * 200_000 + b"\r\n" + TWO,
    "a thousand headers": OK + b"X-One: 1\r\n" * 1000 + TWO,
    "a chunk of a negative length": OK + CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n",
    "a chunk of an endless length": OK + CHUNKED + b"f" * 15 + b"\r\nabc\r\n",
    "a chunk of an absurd length": OK + CHUNKED + b"f" * 30 + b"\r\nabc\r\n",
    "a length that is no number": OK + b"Content-Length: \xb2\r\nConnection: close\r\n\r\n{",
    "a length of many digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{",
    "a body shorter than its length": OK + b"Content-Length: 3\r\n\r\n{}",
    "a body longer than its length": OK + b'Content-Length: 5\r\n\r\n{"a": 1}',
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a packing of another kind": OK + b"Content-Encoding: br\r\n" + TWO,
    "packed three times": OK + b"Content-Encoding: gzip, gzip, gzip\r\n" + TWO,
    "half a zipped body": OK
    + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    + gzip.compress(b'{"a": 1}')[:-12],
    "a status that is no number": b"HTTP/1.1 2\xb20 OK\r\n" + TWO,
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "only an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_answer_is_lost_and_asked_for_again(
    server: Server, connect: Connect, raw: bytes
) -> None:
    # The server closes the connection behind such an answer. Without a word of that, the second
    # request may still go out on it.
    closing = raw.replace(OK, OK + b"Connection: close\r\n", 1)
    server.answers(Reply(pieces=[closing]), Reply(body={"second": "try"}))

    answer = connect(request_timeout_seconds=1, max_retries=1).send(WRITE)

    assert (answer.body, answer.attempts) == ({"second": "try"}, 2)


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_interim_answers_are_passed_over(server: Server, connect: Connect, status: int) -> None:
    interim = b"HTTP/1.1 %d Wait\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n" % status
    body = b'Content-Length: 8\r\n\r\n{"a": 1}'
    server.answers(Reply(pieces=[interim * 3 + OK + body]))

    answer = connect(max_retries=0).send(READ)

    assert (answer.status, answer.body) == (200, {"a": 1})


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity", "deflate", "gzip, gzip"])
def test_an_answer_that_is_packed_is_unpacked(
    server: Server, connect: Connect, coding: str
) -> None:
    text = b'{"a": 1}'
    packed = {"identity": text, "deflate": zlib.compress(text)}.get(coding, gzip.compress(text))
    if coding == "gzip, gzip":
        packed = gzip.compress(packed)
    server.answers(Reply(body=packed, headers={"Content-Encoding": coding}))

    assert connect(max_retries=0).send(READ).body == {"a": 1}


@pytest.mark.full
def test_the_token_endpoint_s_answer_is_bounded_too(server: Server) -> None:
    server.answers(
        Reply(pieces=each_byte(OK + TWO), pause=0.3),
        TOO_LARGE["gzip"](),
        Reply(body={"access_token": "a", "refresh_token": "b", "expires_in": 60}),
    )
    endpoint = TokenEndpoint(
        token_url=f"{server.url}/oauth/token",
        client_id="a",
        client_secret="b",
        timeout_seconds=0.5,
        stop=threading.Event(),
    )

    assert endpoint.refresh("token").access_token == "a"
    assert len(server.received) == 3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read there")
def test_a_few_kilobytes_that_unpack_to_gigabytes_take_little_memory(server: Server) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    first = packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)
    bomb = first + block * 2_000
    server.default = lambda _: Reply(body=bomb, headers={"Content-Encoding": "gzip"})
    program = f"""
        import json, re, threading
        from pathlib import Path
        from target_apollo.apollo import AnswerLost, ApiKeyAuth, Transport
        from tests.helpers.exchanges import WRITE
        transport = Transport(
            api_url={server.url!r}, auth=ApiKeyAuth("key"), max_retries=1,
            request_timeout_seconds=20, max_wait_seconds=1, parallel_requests=1,
            stop=threading.Event(), backoff_base_seconds=0.001,
        )
        def peak():
            return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        before = peak()
        try:
            transport.send(WRITE)
        except AnswerLost as lost:
            print(json.dumps([str(lost), (peak() - before) // 1024]))
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True
    )

    reason, megabytes = json.loads(done.stdout)
    assert "the answer was too large" in reason
    assert megabytes < 100
