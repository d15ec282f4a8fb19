"""A netrc file, a proxy, a cookie or a false certificate neither changes nor sees a request."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from target_apollo.apollo import AnswerLost, Transport
from tests.apollo.conftest import Connect
from tests.helpers.exchanges import READ, WRITE
from tests.helpers.http_server import Reply, Server


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
