"""An HTTP server on the loopback whose answers a test defines, broken ones included."""

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
    from collections.abc import Callable, Iterable


class Fault(Enum):
    """A failure of the connection during an answer."""

    RESET = auto()  # the connection is reset after the request was read
    CLOSE = auto()  # the connection is closed without an answer
    SHORT = auto()  # fewer bytes than Content-Length says
    CHUNK_CUT = auto()  # a chunked answer without its last chunk
    SILENT = auto()  # no answer while the server runs


@dataclass
class Reply:
    """An answer; `body` is sent as JSON unless it is text or bytes."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    fault: Fault | None = None
    chunked: bool = False
    zipped: bool = False
    #: What is sent instead, status line and headers included, with a pause after each piece.
    pieces: Iterable[bytes] | None = None
    pause: float = 0.0

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Received:
    """A request that the server received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


class Server:
    """Answers with the replies of `script` in their order, then with those of `default`."""

    def __init__(self, *, prefix: str = "/api/v1") -> None:
        self.over = threading.Event()
        self._lock = threading.Lock()
        self.reset()
        self._prefix = prefix
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.005,))
        self._thread.start()

    def reset(self) -> None:
        """Delete the received requests and the script, and end all silent connections."""
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
        """Ignores clients that disconnect, as some tests make them do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        self.server.owner.connected()
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Logs nothing, so that stderr shows only failures."""

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
            self._fail(reply.fault)
            return
        if reply.pieces is not None:
            self.close_connection = True
            self._send_pieces(reply.pieces, reply.pause)
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

    def _send_pieces(self, pieces: Iterable[bytes], pause: float) -> None:
        over = self.server.owner.over
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()
            if over.is_set() or (pause and over.wait(pause)):
                return

    def _fail(self, fault: Fault) -> None:
        self.close_connection = True
        if fault is Fault.SILENT:
            self.server.owner.over.wait(20)
        if fault is Fault.RESET:
            # With a linger time of zero, the kernel sends a reset instead of closing in order.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                self.rfile.close()
                self.wfile.close()
            self.connection.close()
