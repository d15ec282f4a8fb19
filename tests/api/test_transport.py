from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from requests.auth import AuthBase

from target_apollo.api import (
    AnswerLost,
    CredentialsRefused,
    EndpointForbidden,
    ForbiddenBy,
    Request,
    RequestRefused,
    RunStopped,
    Transport,
)

from .conftest import KEY
from .server import Fault, Reply, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests import PreparedRequest

    Connect = Callable[..., Transport]

CREATE = "POST /contacts/bulk_create"
WRITE = Request("POST", "/contacts/bulk_create", CREATE, body={"run_dedupe": True})
READ = Request("GET", "/labels", "GET /labels")
PAGE = "<html><body>502 Bad Gateway ann@example.com</body></html>"

LOST = {
    "a reset": Reply(fault=Fault.RESET),
    "a closed connection": Reply(fault=Fault.CLOSE),
    "fewer bytes than promised": Reply(body={"contacts": []}, fault=Fault.SHORT),
    "a whole JSON value in fewer bytes than promised": Reply(body=[], fault=Fault.SHORT),
    "a chunked answer without an end": Reply(body=[], fault=Fault.CHUNK_CUT),
    "a silent server": Reply(fault=Fault.SILENT),
    "408": Reply(408, body={"error": "Request timeout"}),
    "500 with JSON": Reply(500, body={"error": "An error occurred. Please try again."}),
    "502 with a page": Reply(502, body=PAGE, content_type="text/html"),
    "520 of the proxy": Reply(520, body="", content_type="text/html"),
    "half a JSON value": Reply(body='{"contacts": ['),
    "a page with status 200": Reply(body=PAGE, content_type="text/html"),
    "200 without a body": Reply(body=""),
    "204": Reply(204, body=""),
    "a body that claims to be zipped": Reply(headers={"Content-Encoding": "gzip"}, body="{}"),
    "JSON nested beyond reason": Reply(body="[" * 200_000 + "]" * 200_000),
}


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


def test_decimals_are_sent_as_numbers_with_all_their_digits(
    server: Server, transport: Transport
) -> None:
    transport.send(Request("POST", "/x", "POST /x", {"amount": Decimal("1234567890.123456789012")}))

    assert server.received[0].content == b'{"amount":1234567890.123456789012}'


def test_a_lone_surrogate_is_sent_as_an_escape(server: Server, transport: Transport) -> None:
    transport.send(Request("POST", "/x", "POST /x", {"name": "a\ud800"}))

    assert server.received[0].content == b'{"name":"a\\ud800"}'


def test_a_lone_surrogate_in_an_answer_is_no_reason_to_lose_it(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(body='{"name": "a\\ud800"}'))

    assert transport.send(READ).body == {"name": "a\ud800"}


def test_a_number_that_json_has_no_form_for_is_never_sent(
    server: Server, transport: Transport
) -> None:
    with pytest.raises(ValueError, match="JSON"):
        transport.send(Request("POST", "/x", "POST /x", {"amount": float("nan")}))

    assert server.received == []


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


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422, 451])
def test_a_refused_request_is_not_sent_again(
    server: Server, transport: Transport, status: int
) -> None:
    server.answers(Reply(status, body={"error": "no"}))

    with pytest.raises(RequestRefused) as caught:
        transport.send(WRITE)

    assert (caught.value.status, caught.value.message) == (status, "no")
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_a_redirect_is_not_followed_and_names_the_setting(
    server: Server, transport: Transport, status: int, request_: Request
) -> None:
    elsewhere = Server()
    try:
        server.answers(Reply(status, headers={"Location": elsewhere.url + "/labels"}))
        with pytest.raises(RequestRefused, match="api_url") as caught:
            transport.send(request_)
    finally:
        elsewhere.close()

    assert caught.value.status == status
    assert elsewhere.received == []
    assert len(server.received) == 1


def test_a_wrong_key_stops_at_once_and_names_the_setting(
    server: Server, transport: Transport
) -> None:
    server.answers(Reply(401, body="Invalid API key. See …", content_type="text/plain"))

    with pytest.raises(CredentialsRefused, match="setting api_key"):
        transport.send(WRITE)

    assert len(server.received) == 1


class RotatingToken(AuthBase):
    """A bearer token with successors; `refresh` moves on to the next unless that was done."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.refreshed = 0
        self._lock = threading.Lock()

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self.tokens[0]}"
        return r

    def refresh(self, refused: PreparedRequest) -> bool:
        with self._lock:
            if refused.headers["Authorization"] == f"Bearer {self.tokens[0]}":
                if len(self.tokens) == 1:
                    return False
                self.tokens.pop(0)
                self.refreshed += 1
            return True


def accept(token: str) -> Callable[[Any], Reply]:
    return lambda request: Reply(
        200 if request.headers.get("authorization") == f"Bearer {token}" else 401, body={}
    )


def test_an_expired_token_is_renewed_once_and_the_request_sent_again(
    server: Server, connect: Connect
) -> None:
    server.default = accept("new")
    token = RotatingToken("old", "new")

    assert connect(auth=token).send(WRITE).attempts == 2
    assert token.refreshed == 1


def test_parallel_requests_renew_an_expired_token_once(server: Server, connect: Connect) -> None:
    server.default = accept("new")
    token = RotatingToken("old", "new", "never")
    transport = connect(auth=token)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(transport.send, [WRITE] * 8))

    assert {answer.status for answer in answers} == {200}
    assert token.refreshed == 1


@pytest.mark.parametrize("tokens", [("old", "bad too", "never"), ("old",)])
def test_a_token_that_stays_refused_ends_with_the_setting(
    server: Server, connect: Connect, tokens: tuple[str, ...]
) -> None:
    server.default = accept("new")

    with pytest.raises(CredentialsRefused, match="setting refresh_token"):
        connect(auth=RotatingToken(*tokens)).send(WRITE)

    assert len(server.received) == min(2, len(tokens))


@pytest.mark.parametrize(
    ("body", "by"),
    [
        (
            {
                "error": "This API key is not authorized to access api/v1/contacts/bulk_create.",
                "error_code": "API_INACCESSIBLE",
            },
            ForbiddenBy.SCOPE,
        ),
        (
            {"message": "This endpoint is only available to Apollo users on paid plans."},
            ForbiddenBy.PLAN,
        ),
        (
            {
                "error": "… is not accessible with this api_key on a free plan. Please upgrade …",
                "error_code": "API_INACCESSIBLE",
            },
            ForbiddenBy.PLAN,
        ),
        ({"error": "You do not have permission to access lists. …"}, ForbiddenBy.PERMISSION),
        ("<html>blocked</html>", ForbiddenBy.PERMISSION),
    ],
)
def test_a_403_says_what_the_credentials_need(
    server: Server, transport: Transport, body: Any, by: ForbiddenBy
) -> None:
    server.answers(Reply(403, body=body))

    with pytest.raises(EndpointForbidden) as caught:
        transport.send(WRITE)

    assert caught.value.by is by
    assert len(server.received) == 1
    for named in (CREATE, "api/v1/contacts/bulk_create", "contacts_bulk_create", "master key"):
        assert named in str(caught.value)


def test_once_stopped_nothing_is_sent(
    server: Server, transport: Transport, stop: threading.Event
) -> None:
    stop.set()

    with pytest.raises(RunStopped) as caught:
        transport.send(WRITE)

    assert server.received == []
    assert not caught.value.maybe_written


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


def test_a_netrc_file_adds_no_credentials(
    server: Server, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    transport.send(READ)

    assert "authorization" not in server.received[0].headers


def test_a_proxy_of_the_environment_never_sees_plain_http(
    server: Server, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Server()
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    try:
        transport.send(READ)
    finally:
        proxy.close()

    assert (len(server.received), proxy.received) == (1, [])


def test_cookies_are_not_sent_back(server: Server, transport: Transport) -> None:
    server.answers(Reply(headers={"Set-Cookie": "session=1; Path=/"}))

    transport.send(READ)
    transport.send(READ)

    assert "cookie" not in server.received[1].headers


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


@pytest.fixture
def untrusted_port(tmp_path: Path) -> Iterator[int]:
    """A TLS server with a certificate that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*make, *name, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()
        listening.settimeout(0.05)

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listening.accept()
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(65536)
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        done.set()
        thread.join()


def test_a_certificate_that_nobody_vouches_for_is_refused(
    connect: Connect, untrusted_port: int
) -> None:
    with pytest.raises(AnswerLost, match="certificate could not be verified") as caught:
        connect(api_url=f"https://localhost:{untrusted_port}/api/v1").send(WRITE)

    assert not caught.value.maybe_written
