"""A proxy or certificates that can't be used: nothing was sent, and the cause is named."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_apollo.apollo import ApiKeyAuth, UnusableCertificates
from target_apollo.apollo.http import HttpSession
from target_apollo.apollo.no_answer import NoAnswer

#: A name that no resolver knows.
URL = "https://nowhere.invalid/api/v1"
VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy() -> Iterator[Callable[[bytes], int]]:
    """Starts a server that answers each connection with these bytes, and ends it."""
    listening: list[socket.socket] = []

    def start(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        port: int = server.getsockname()[1]
        return port

    yield start
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def failure() -> NoAnswer:
    session = HttpSession(api_url=URL, auth=ApiKeyAuth("key"), timeout_seconds=5, connections=1)
    with pytest.raises(NoAnswer) as raised:
        session.send("GET", "/users/api_profile", params=None, content=None)
    session.close()
    return raised.value


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants a user and a password"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "refused to connect (502)"),
        (b"SSH-2.0-OpenSSH_9.0\r\n", "did not connect"),
        (b"\x00\xff" * 100, "did not connect"),
        (b"", "did not connect"),
        (b"HTTP/1.1 200 Connection established\r\n\r\nno TLS at all", "did not connect"),
    ],
)
def test_a_proxy_that_does_not_connect_is_named_without_its_password(
    proxy: Callable[[bytes], int], monkeypatch: pytest.MonkeyPatch, answer: bytes, why: str
) -> None:
    port = proxy(answer)
    monkeypatch.setenv("HTTPS_PROXY", f"http://someone:s3cret@127.0.0.1:{port}")
    found = failure()
    assert f"the proxy http://127.0.0.1:{port} {why}" in found.reason
    assert "s3cret" not in found.reason
    assert not found.maybe_written


def test_a_proxy_that_nobody_runs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    found = failure()
    assert found.reason == "the proxy http://127.0.0.1:1 did not connect"
    assert not found.maybe_written


def test_a_name_that_can_t_be_looked_up_is_said() -> None:
    found = failure()
    assert found.reason == "the host's name can't be looked up (DNS)"
    assert not found.maybe_written


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        ("", "it holds no certificates"),
        ("no certificate", "it holds no certificates"),
        ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "it holds no certificates"),
    ],
)
def test_a_file_without_certificates_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: str | None, why: str
) -> None:
    bundle = tmp_path / "company.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(variable, str(bundle))
    session = HttpSession(api_url=URL, auth=ApiKeyAuth("key"), timeout_seconds=5, connections=1)
    with pytest.raises(UnusableCertificates) as raised:
        session.send("GET", "/users/api_profile", params=None, content=None)
    assert f"The certificates in {bundle}" in str(raised.value)
    assert why in str(raised.value)


@pytest.mark.parametrize("path", ["/nowhere.pem", __file__])
def test_a_default_file_of_openssl_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", path)
    assert failure().reason == "the host's name can't be looked up (DNS)"
