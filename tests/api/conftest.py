from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from target_apollo.api import ApiKeyAuth, ApolloClient, Transport, Wait

from .logins import apollo, logins, path, served_apollo
from .server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["apollo", "logins", "path", "served_apollo"]  # fixtures

KEY = "k3y-that-must-not-be-seen"


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.start_anew()
    return running_server


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def waits() -> list[Wait]:
    return []


@pytest.fixture
def connect(
    server: Server, stop: threading.Event, waits: list[Wait]
) -> Iterator[Callable[..., Transport]]:
    """Make a transport to the server; settings can be given by name."""
    made: list[Transport] = []

    def connect(**settings: Any) -> Transport:
        defaults: dict[str, Any] = {
            "api_url": server.url,
            "auth": ApiKeyAuth(KEY),
            "max_retries": 2,
            "request_timeout_seconds": 5,
            "max_wait_seconds": 5,
            "parallel_requests": 4,
            "stop": stop,
            "on_wait": waits.append,
            "backoff_base_seconds": 0.001,
        }
        made.append(Transport(**{**defaults, **settings}))
        return made[-1]

    yield connect
    for transport in made:
        transport.close()


@pytest.fixture
def transport(connect: Callable[..., Transport]) -> Transport:
    return connect()


@pytest.fixture
def client(transport: Transport) -> ApolloClient:
    return ApolloClient(transport)
