"""Serving a sandbox: in a thread of a test, or as a process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
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


def server(app: ASGIApp, listening: Callable[[], None]) -> uvicorn.Server:
    """A server of this application; ``listening`` is called when it takes connections."""
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
            # Slow answers that nobody waits for must not hold up the end.
            timeout_graceful_shutdown=1,
            timeout_keep_alive=60,
            server_header=False,
        ),
        listening,
    )


class LoopbackServer:
    """A server on a free loopback port in a thread, which serves one sandbox at a time.

    A server takes a fifth of a second to stop, so that many short-lived sandboxes share one.
    """

    def __init__(self) -> None:
        self._served: Starlette | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener = bound("127.0.0.1", 0)
        self._listens = threading.Event()
        self._server = server(self._answer, self._begun)
        self._thread = threading.Thread(target=self._serve, name="apollo-sandbox", daemon=True)

    def start(self) -> None:
        """Begin to listen; raises RuntimeError if it can't."""
        self._thread.start()
        if not self._listens.wait(30) or self._loop is None:
            raise RuntimeError("The sandbox did not start.")

    @contextlib.contextmanager
    def serving(self, sandbox: Sandbox) -> Iterator[None]:
        """Serve this sandbox; at the end its idle connections and its store are closed."""
        sandbox.url = url_of(self._listener)
        self._served = build(sandbox)
        try:
            yield
        finally:
            self._served = None
            self._hang_up()
            sandbox.close()

    def stop(self) -> None:
        """Stop for good: the port is free then."""
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._served is not None:
            await self._served(scope, receive, send)

    def _begun(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listens.set()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._loop = None
            self._listens.set()

    def _hang_up(self) -> None:
        """Close the connections on which no request is under way, and the others after theirs."""

        async def hang_up() -> None:
            for connection in list(self._server.server_state.connections):
                connection.shutdown()

        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(hang_up(), self._loop).result(30)


@contextlib.contextmanager
def running_sandbox(options: SandboxOptions | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox on a free loopback port in a thread; it is really stopped at the end."""
    sandbox = Sandbox(options)
    loopback = LoopbackServer()
    try:
        loopback.start()
        with loopback.serving(sandbox):
            yield sandbox
    finally:
        loopback.stop()


def serve_until_stopped(
    sandbox: Sandbox, listener: socket.socket, listening: Callable[[], None], stop_signals: Any
) -> None:
    """Serve in this thread until one of the signals arrives."""
    running = server(build(sandbox), listening)

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
