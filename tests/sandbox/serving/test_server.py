"""Sandboxes in a thread, one alone and several after another on the same socket."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions, running_sandbox
from target_apollo.sandbox.serving.server import LoopbackServer, open_listener
from tests.helpers.new_sandbox import new_sandbox
from tests.sandbox.conftest import Client


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    server.start()
    yield server
    server.stop()


def test_the_next_sandbox_of_a_server_knows_nothing_of_the_one_before(
    server: LoopbackServer,
) -> None:
    first, second = Sandbox(), Sandbox(SandboxOptions(api_keys={"other": None}))
    with server.serving(first):
        Client(first).post("/contacts", {"email": "a@x.example"})
    with server.serving(second):
        assert second.url == first.url
        assert Client(first).call("GET", "/labels").status_code == 401
        assert Client(second).post("/contacts/search", {})["contacts"] == []

    assert (len(first.requests), len(second.requests)) == (1, 2)


def test_idle_connections_end_with_the_sandbox(server: LoopbackServer) -> None:
    sandbox = Sandbox()
    with server.serving(sandbox):
        address = urlsplit(sandbox.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        connection.request("GET", "/api/v1/auth/health")
        connection.getresponse().read()
    assert connection.sock.recv(1) == b""
    connection.close()


def test_sandboxes_at_the_same_time_have_addresses_of_their_own() -> None:
    with new_sandbox() as one, new_sandbox() as other:
        assert one.url != other.url


def test_a_running_sandbox_leaves_its_port_free() -> None:
    with running_sandbox() as sandbox:
        port = urlsplit(sandbox.url).port
    assert port is not None
    with open_listener("127.0.0.1", port), pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", port)
