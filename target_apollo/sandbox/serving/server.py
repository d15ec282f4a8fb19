"""Servers of a sandbox: in a thread for tests, or in a process until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.serving.app import PREFIX, build
from target_apollo.sandbox.serving.http import CONNECTION, TRANSPORT
from target_apollo.sandbox.state import Sandbox

_connections = itertools.count(1)


class SandboxProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection and its number in the scope of each request."""

    def connection_made(self, transport: Any) -> None:
        """Number a new connection."""
        super().connection_made(transport)
        self._number = next(_connections)

    def on_message_begin(self) -> None:
        """Begin the scope of a request."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {TRANSPORT: self.transport, CONNECTION: self._number}


class _Server(uvicorn.Server):
    """uvicorn's server, which calls ``listening`` once it listens and handles no signals."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers: the command installs its own, and a thread can't."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call ``listening``."""
        await super().startup(sockets=sockets)
        self._listening()


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that listens on this address.

    Port 0 means any free port. Raises OSError if the address can't be used.
    """
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


def server(app: ASGIApp, listening: Callable[[], None]) -> uvicorn.Server:
    """A server of this application; it calls ``listening`` once it accepts connections."""
    return _Server(
        uvicorn.Config(
            app,
            interface="asgi3",
            http=SandboxProtocol,
            loop="auto",
            lifespan="off",
            access_log=False,
            log_level="warning",
            log_config=None,
            # Slow answers, which a fault orders, must not delay the end.
            timeout_graceful_shutdown=1,
            timeout_keep_alive=60,
            server_header=False,
        ),
        listening,
    )


class LoopbackServer:
    """A server in a thread, on a free loopback port, for one sandbox after another.

    To stop a server takes a fifth of a second, so tests serve many sandboxes by the same one.
    """

    def __init__(self) -> None:
        self._served: Starlette | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener = open_listener("127.0.0.1", 0)
        self._is_listening = threading.Event()
        self._server = server(self._answer, self._note_listening)
        self._thread = threading.Thread(target=self._serve, name="apollo-sandbox", daemon=True)

    def start(self) -> None:
        """Start to listen; raises RuntimeError if that fails."""
        self._thread.start()
        if not self._is_listening.wait(30) or self._loop is None:
            raise RuntimeError("The sandbox did not start.")

    @contextlib.contextmanager
    def serving(self, sandbox: Sandbox) -> Iterator[None]:
        """Serve this sandbox; on exit, close its connections and its store."""
        sandbox.url = url_of(self._listener)
        self._served = build(sandbox)
        try:
            yield
        finally:
            self._served = None
            self._close_connections()
            sandbox.close()

    def stop(self) -> None:
        """Stop the server and free the port."""
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._served is not None:
            await self._served(scope, receive, send)

    def _note_listening(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_listening.set()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._loop = None
            self._is_listening.set()

    def _close_connections(self) -> None:
        """Close idle connections at once, and each other one after its request."""

        async def close_all() -> None:
            for connection in list(self._server.server_state.connections):
                connection.shutdown()

        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(30)


@contextlib.contextmanager
def running_sandbox(options: SandboxOptions | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread, on a free loopback port, until the context ends."""
    sandbox = Sandbox(options)
    loopback = LoopbackServer()
    try:
        loopback.start()
        with loopback.serving(sandbox):
            yield sandbox
    finally:
        loopback.stop()


def serve_until_stopped(
    sandbox: Sandbox,
    listener: socket.socket,
    listening: Callable[[], None],
    stop_signals: Any,
    host: str,
) -> None:
    """Serve a sandbox in this thread until one of the signals arrives; then close its store.

    Args:
        host: The name or address of the listener, as the user gave it.
    """
    running = server(build(sandbox, host), listening)

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
