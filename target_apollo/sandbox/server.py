"""Serving a sandbox: in a thread of a test, or as a process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from target_apollo.sandbox.app import PREFIX, build
from target_apollo.sandbox.http import TRANSPORT
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.state import Sandbox


class SandboxProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which hands the connection to the application for its faults."""

    def on_message_begin(self) -> None:
        """Begin a request's scope."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {TRANSPORT: self.transport}


class _Server(uvicorn.Server):
    """uvicorn's server that says when it listens and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals: the command installs its own, a thread can't."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets=sockets)
        self._listening()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on this address; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL of the API on this socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"


def server(sandbox: Sandbox, listening: Callable[[], None]) -> uvicorn.Server:
    """A server of this sandbox; ``listening`` is called when it takes connections."""
    return _Server(
        uvicorn.Config(
            build(sandbox),
            http=SandboxProtocol,
            loop="auto",
            lifespan="off",
            access_log=False,
            log_level="warning",
            log_config=None,
            # Slow answers that nobody waits for must not hold up the end.
            timeout_graceful_shutdown=1,
            timeout_keep_alive=60,
            server_header=False,
        ),
        listening,
    )


@contextlib.contextmanager
def running_sandbox(options: SandboxOptions | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox on a free loopback port in a thread; it is really stopped at the end."""
    sandbox = Sandbox(options)
    listener = bound("127.0.0.1", 0)
    sandbox.url = url_of(listener)
    listens = threading.Event()
    running = server(sandbox, listens.set)

    def serve() -> None:
        try:
            running.run(sockets=[listener])
        finally:
            listens.set()

    thread = threading.Thread(target=serve, name="apollo-sandbox", daemon=True)
    thread.start()
    try:
        if not listens.wait(30) or not thread.is_alive():
            raise RuntimeError("The sandbox did not start.")
        yield sandbox
    finally:
        running.should_exit = True
        thread.join(30)
        listener.close()
        sandbox.close()


def serve_until_stopped(
    sandbox: Sandbox, listener: socket.socket, listening: Callable[[], None], stop_signals: Any
) -> None:
    """Serve in this thread until one of the signals arrives."""
    running = server(sandbox, listening)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        for number in stop_signals:
            loop.add_signal_handler(number, _stop)
        await running.serve(sockets=[listener])

    def _stop() -> None:
        running.should_exit = True

    with contextlib.suppress(KeyboardInterrupt):
        _run(serve)
    sandbox.close()


def _run(serve: Callable[[], Any]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())
