from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from target_apollo.apollo import ApiKeyAuth, ApolloClient, Transport, Wait
from tests.helpers.http_server import Server
from tests.helpers.logins import apollo, logins, path

__all__ = ["apollo", "logins", "path"]  # fixtures

Connect = Callable[..., Transport]

KEY = "k3y-that-must-not-be-seen"


@contextmanager
def connecting(**defaults: Any) -> Iterator[Connect]:
    """Makes transports with these settings, of which any can be given another value."""
    made: list[Transport] = []

    def connect(**settings: Any) -> Transport:
        made.append(Transport(**{**defaults, **settings}))
        return made[-1]

    try:
        yield connect
    finally:
        for transport in made:
            transport.close()


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.reset()
    return running_server


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def waits() -> list[Wait]:
    return []


@pytest.fixture
def connect(server: Server, stop: threading.Event, waits: list[Wait]) -> Iterator[Connect]:
    """Make a transport to the server; settings can be given by name."""
    with connecting(
        api_url=server.url,
        auth=ApiKeyAuth(KEY),
        max_retries=2,
        request_timeout_seconds=5,
        max_wait_seconds=5,
        parallel_requests=4,
        stop=stop,
        on_wait=waits.append,
        backoff_base_seconds=0.001,
    ) as connect:
        yield connect


@pytest.fixture
def transport(connect: Connect) -> Transport:
    return connect()


@pytest.fixture
def client(transport: Transport) -> ApolloClient:
    return ApolloClient(transport)
