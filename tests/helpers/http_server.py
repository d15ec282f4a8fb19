"""A real HTTP server on a socket of this machine that answers what a test tells it to."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


class Fault(Enum):
    """What can go wrong with an answer below HTTP."""

    RESET = auto()  # the connection is reset after the request was read
    CLOSE = auto()  # the connection is closed without an answer
    SHORT = auto()  # fewer bytes than Content-Length says
    CHUNK_CUT = auto()  # a chunked answer without its end
    SILENT = auto()  # no answer until the server ends


@dataclass
class Reply:
    """An answer: `body` is sent as JSON unless it is text or bytes."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    fault: Fault | None = None
    chunked: bool = False
    zipped: bool = False

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Received:
    """A request as it came over the socket."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


class Server:
    """Answers from a script, in order; when it is used up, by `default`."""

    def __init__(self, *, prefix: str = "/api/v1") -> None:
        self.over = threading.Event()
        self._lock = threading.Lock()
        self.start_anew()
        self._prefix = prefix
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.005,))
        self._thread.start()

    def start_anew(self) -> None:
        """Forget the past: what came, what was to be answered, and who still waits in silence."""
        self.over.set()
        self.over = threading.Event()
        self.received: list[Received] = []
        self.connections = 0
        self.script: deque[Reply] = deque()
        self.default: Callable[[Received], Reply] = lambda _: Reply()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    def answers(self, *replies: Reply) -> None:
        self.script.extend(replies)

    def reply_to(self, received: Received) -> Reply:
        with self._lock:
            self.received.append(received)
            return self.script.popleft() if self.script else self.default(received)

    def connected(self) -> None:
        with self._lock:
            self.connections += 1

    def close(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        self.server.owner.connected()
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep stderr for failures."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        reply = self.server.owner.reply_to(
            Received(
                self.command,
                parts.path,
                parse_qs(parts.query),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )
        )
        if reply.fault in (Fault.RESET, Fault.CLOSE, Fault.SILENT):
            self._hang_up(reply.fault)
            return
        content = gzip.compress(reply.content) if reply.zipped else reply.content
        self.send_response_only(reply.status)  # no Date: a test may give one
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.zipped:
            self.send_header("Content-Encoding", "gzip")
        if reply.chunked or reply.fault is Fault.CHUNK_CUT:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            if reply.fault is not Fault.CHUNK_CUT:
                self.wfile.write(b"0\r\n\r\n")
        else:
            missing = 10 if reply.fault is Fault.SHORT else 0
            self.send_header("Content-Length", str(len(content) + missing))
            self.end_headers()
            self.wfile.write(content)
        self.wfile.flush()
        if reply.fault is not None:
            self.close_connection = True

    def _hang_up(self, fault: Fault) -> None:
        self.close_connection = True
        if fault is Fault.SILENT:
            self.server.owner.over.wait(20)
        if fault is Fault.RESET:
            # Lingering for no time makes the kernel send a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                self.rfile.close()
                self.wfile.close()
            self.connection.close()
