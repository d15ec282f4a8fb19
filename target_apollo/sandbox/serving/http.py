"""HTTP requests and answers: reading, sending, and the faults that act on the connection."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from target_apollo.sandbox.serving.errors import Refusal
from target_apollo.sandbox.serving.faults import Fault, FaultKind, reset, truncate

JSON = "application/json; charset=utf-8"
TRANSPORT = "target_apollo.transport"
"""Name of the ASGI scope's extension that holds the connection's asyncio transport, for faults."""
CONNECTION = "target_apollo.connection"
"""Name of the extension that holds the connection's number, by which runs are told apart."""

_encode = msgspec.json.Encoder().encode

# Compression of a shorter answer saves nothing. Level 1 compresses a bulk answer to a fourteenth
# of its size in 0.7 ms.
_LEAST_COMPRESSED_BYTES = 1024
_FASTEST, _GZIP_FORMAT = 1, 31


@dataclass(frozen=True)
class Request:
    """One request with its body.

    Attributes:
        method: HTTP method.
        path: The whole path.
        record_id: The id in the path of the route; empty where it has none.
        query: The query string.
        headers: Header name in lower case -> value.
        body: The raw body.
        at: When the request began, in epoch seconds.
        connection: Number of the connection on which it came; 0 from another server.
    """

    method: str
    path: str
    record_id: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    connection: int = 0

    def parameters(self) -> dict[str, list[str]]:
        """The query's parameters: name -> its values."""
        return parse_qs(self.query, keep_blank_values=True) if self.query else {}


@dataclass(frozen=True)
class Answer:
    """An answer to send.

    Attributes:
        status: HTTP status.
        body: The encoded body.
        media_type: Value of the content-type header.
        headers: Further headers.
        fault: The fault that struck the request; some faults spoil the sending.
        counts: Name of each array of the answer -> its length; of each record in it -> 1.
    """

    status: int
    body: bytes
    media_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    fault: Fault | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def reset(self) -> bool:
        """Whether the connection is reset instead of answered."""
        return self.fault is not None and self.fault.kind in (
            FaultKind.RESET_BEFORE_WRITE,
            FaultKind.RESET_AFTER_WRITE,
        )


def answered(value: Any, headers: list[tuple[str, str]] | None = None) -> Answer:
    """An answer with status 200 and a value as JSON."""
    counts = {}
    for name, some in value.items() if isinstance(value, dict) else ():
        if isinstance(some, list):
            counts[name] = len(some)
        elif isinstance(some, dict) and "id" in some:
            counts[name] = 1
    return Answer(200, _encode(value), headers=headers or [], counts=counts)


def refused(refusal: Refusal, headers: list[tuple[str, str]] | None = None) -> Answer:
    """A refusal as an answer."""
    if isinstance(refusal.body, str):
        return Answer(
            refusal.status, refusal.body.encode(), "text/plain; charset=utf-8", headers or []
        )
    return Answer(refusal.status, _encode(refusal.body), headers=headers or [])


def html(status: int, page: str) -> Answer:
    """An HTML page, as the proxy in front of the API answers."""
    return Answer(status, page.encode(), "text/html; charset=UTF-8")


async def read(scope: Scope, receive: Receive) -> Request | None:
    """Read a whole request; None if the client disconnects before its end."""
    at = time.time()
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return Request(
        method=scope["method"],
        path=scope["path"],
        record_id=scope.get("path_params", {}).get("id", ""),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers={key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]},
        body=parts[0] if len(parts) == 1 else b"".join(parts),
        at=at,
        connection=scope.get("extensions", {}).get(CONNECTION, 0),
    )


async def deliver(
    scope: Scope,
    receive: Receive,
    send: Send,
    answer: Answer,
    request: Request,
    *,
    compresses: bool,
) -> None:
    """Send the answer, or do to the connection what its fault asks for.

    If ``compresses`` is true and the client accepts gzip, a long answer is compressed.

    Raises:
        RuntimeError: A fault of the connection was ordered, and another server than the sandbox's
            own runs the application.
    """
    fault = answer.fault
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if fault is not None:
        if fault.kind is FaultKind.SLOW:
            # The wait ends when the client disconnects.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_disconnected(receive), fault.seconds)
        elif answer.reset or fault.kind is FaultKind.TRUNCATED_BODY:
            if transport is None:
                raise RuntimeError("this fault needs the sandbox's own server")
            if answer.reset:
                reset(transport)
            else:
                truncate(transport, answer.body)
            await _disconnected(receive)
            return
    body = answer.body
    compressed = compresses and len(body) >= _LEAST_COMPRESSED_BYTES and _accepts_gzip(request)
    if compressed:
        compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP_FORMAT)
        body = compressor.compress(body) + compressor.flush()
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (
            b"cache-control",
            b"max-age=0, private, must-revalidate" if answer.status == 200 else b"no-cache",
        ),
        (b"x-request-id", str(uuid.uuid4()).encode()),
        (b"x-runtime", f"{time.time() - request.at:.6f}".encode()),
        (b"vary", b"Accept-Encoding"),
    ]
    if compressed:
        headers.append((b"content-encoding", b"gzip"))
    headers.extend((name.encode(), value.encode()) for name, value in answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _accepts_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "").rstrip(".0") not in ("q=", "q")
    return False


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
