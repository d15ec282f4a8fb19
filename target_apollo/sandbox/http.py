"""Requests and answers on the wire, and the faults that need the socket."""

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

from target_apollo.sandbox.errors import Refusal
from target_apollo.sandbox.faults import Fault, FaultKind, reset, truncate

JSON = "application/json; charset=utf-8"
TRANSPORT = "target_apollo.transport"
"""Extension of the ASGI scope under which the server hands over the connection, for faults."""

_encode = msgspec.json.Encoder().encode

# Below it a packed answer saves nothing; level 1 packs a bulk answer to a fourteenth in 0.7 ms.
_LEAST_PACKED_BYTES = 1024
_FASTEST, _GZIP_FORMAT = 1, 31


@dataclass(frozen=True)
class Request:
    """One request with its body; ``headers`` by lower-case name, ``at`` in epoch seconds."""

    method: str
    path: str
    record_id: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    def parameters(self) -> dict[str, list[str]]:
        """The query's parameters."""
        return parse_qs(self.query, keep_blank_values=True) if self.query else {}


@dataclass(frozen=True)
class Answer:
    """What goes out; a ``fault`` of the socket changes how, or whether."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    fault: Fault | None = None

    @property
    def reset(self) -> bool:
        """Whether the connection ends without an answer."""
        return self.fault is not None and self.fault.kind in (
            FaultKind.RESET_BEFORE_WRITE,
            FaultKind.RESET_AFTER_WRITE,
        )


def answered(value: Any, headers: list[tuple[str, str]] | None = None) -> Answer:
    """200 with a value as JSON."""
    return Answer(200, _encode(value), headers=headers or [])


def refused(refusal: Refusal, headers: list[tuple[str, str]] | None = None) -> Answer:
    """The answer that a refusal is."""
    if isinstance(refusal.body, str):
        return Answer(
            refusal.status, refusal.body.encode(), "text/plain; charset=utf-8", headers or []
        )
    return Answer(refusal.status, _encode(refusal.body), headers=headers or [])


def html(status: int, page: str) -> Answer:
    """A page of the proxy in front of the API."""
    return Answer(status, page.encode(), "text/html; charset=UTF-8")


async def read(scope: Scope, receive: Receive) -> Request | None:
    """Read a request to its end; None if the client went away before."""
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
    )


async def deliver(
    scope: Scope, receive: Receive, send: Send, answer: Answer, request: Request, *, packs: bool
) -> None:
    """Send the answer, or do to the connection what its fault asks for.

    A long answer is packed with gzip, if the sandbox ``packs`` and the client takes it.
    """
    fault = answer.fault
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if fault is not None:
        if fault.kind is FaultKind.SLOW:
            # A client that hangs up ends the wait.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_gone(receive), fault.seconds)
        elif answer.reset or fault.kind is FaultKind.TRUNCATED_BODY:
            if transport is None:
                raise RuntimeError("this fault needs the sandbox's own server")
            if answer.reset:
                reset(transport)
            else:
                truncate(transport, answer.body)
            await _gone(receive)
            return
    body = answer.body
    packed = packs and len(body) >= _LEAST_PACKED_BYTES and _takes_gzip(request)
    if packed:
        packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP_FORMAT)
        body = packer.compress(body) + packer.flush()
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
    if packed:
        headers.append((b"content-encoding", b"gzip"))
    headers.extend((name.encode(), value.encode()) for name, value in answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _takes_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "").rstrip(".0") not in ("q=", "q")
    return False


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
