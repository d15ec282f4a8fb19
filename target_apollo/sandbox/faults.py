"""Faults to order: which request of which endpoint goes wrong, and how that looks on the socket.

A reset is a real one: the connection is aborted with SO_LINGER at zero, so that the client's
kernel gets RST.
"""

from __future__ import annotations

import asyncio
import enum
import os
import random
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>Bad gateway</title></head>"
    "<body><h1>Error {status}</h1><p>The web server reported a gateway time-out.</p></body></html>"
)
GARBAGE = b'{"contacts":[{"id":"6a0af5af4b\xff\xfe'


class FaultKind(str, enum.Enum):
    """What goes wrong. *Before* the write nothing has happened; after it, everything has."""

    ERROR_BEFORE_WRITE = "error_before_write"  # `status` and `body`, nothing written
    ERROR_AFTER_WRITE = "error_after_write"  # the same, but written (the first `records` of them)
    RATE_LIMITED = "rate_limited"  # 429, with retry-after only if `retry_after` is set
    RESET_BEFORE_WRITE = "reset_before_write"
    RESET_AFTER_WRITE = "reset_after_write"
    TRUNCATED_BODY = "truncated_body"  # written; half the announced body, then the end
    GARBAGE_BODY = "garbage_body"  # written; 200 with what is no JSON
    EMPTY_BODY = "empty_body"  # written; 200 with nothing
    SLOW = "slow"  # written; the answer comes `seconds` later
    HTML_PAGE = "html_page"  # `status` with an HTML page, nothing written
    RECORDS_LEFT_OUT = "records_left_out"  # written; `records` of them are missing in the answer


@dataclass(frozen=True)
class Fault:
    """An order for a fault.

    ``endpoint`` is a label such as ``POST /contacts/bulk_create``, or ``*``. It strikes ``times``
    times (None: for ever), after letting ``after`` requests of the endpoint pass, each time with
    ``probability``.
    """

    endpoint: str
    kind: FaultKind
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    seed: int = 0
    status: int = 503
    body: Any = None
    retry_after: float | str | None = None
    seconds: float = 1.0
    records: int | None = None

    def __post_init__(self) -> None:
        """Take a kind by its value too."""
        object.__setattr__(self, "kind", FaultKind(self.kind))

    @classmethod
    def from_json(cls, order: dict[str, Any]) -> Fault:
        """Read an order from JSON; raises ValueError with a sentence."""
        try:
            return cls(**order)
        except TypeError:
            raise ValueError(
                f"A fault has an endpoint, a kind and of {', '.join(cls.__dataclass_fields__)}."
            ) from None
        except ValueError:
            raise ValueError(
                f"`kind` must be one of {', '.join(kind.value for kind in FaultKind)}."
            ) from None


class FaultBook:
    """The orders that still stand. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order] = []

    def add(self, fault: Fault) -> None:
        """Take an order."""
        with self._lock:
            self._orders.append(_Order(fault))

    def clear(self) -> None:
        """Drop every order."""
        with self._lock:
            self._orders.clear()

    def strikes(self, label: str) -> Fault | None:
        """The fault for this request of the endpoint, if one strikes."""
        if not self._orders:
            return None
        with self._lock:
            for order in self._orders:
                if order.fault.endpoint in (label, "*") and order.strikes():
                    if order.left == 0:
                        self._orders.remove(order)
                    return order.fault
        return None


class _Order:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        self._to_pass = fault.after
        self._chance = random.Random(fault.seed)  # noqa: S311

    def strikes(self) -> bool:
        if self.left == 0:
            return False
        if self._to_pass > 0:
            self._to_pass -= 1
            return False
        if self._chance.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


def without_records(answer: Any, missing: int) -> Any:
    """The answer with so many records fewer, taken from the front of its lists of objects."""
    if not isinstance(answer, dict):
        return answer
    shorter = dict(answer)
    for key, value in answer.items():
        if missing and isinstance(value, list) and value and isinstance(value[0], (dict, Raw)):
            shorter[key] = value[missing:]
            missing = max(0, missing - len(value))
    return shorter


def first_records(body: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """A bulk request cut down to what is written before a failure in the middle of it."""
    if fault.records is None or fault.kind is FaultKind.RECORDS_LEFT_OUT:
        return body
    return {
        key: value[: fault.records]
        if key in ("contacts", "accounts", "contact_attributes", "account_attributes")
        and isinstance(value, list)
        else value
        for key, value in body.items()
    }


def reset(transport: asyncio.Transport) -> None:
    """Cut the connection so that the client sees a reset."""
    # uvloop hands out no real socket, but its file descriptor; a duplicate reaches the same socket.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def truncate(transport: asyncio.Transport, body: bytes) -> None:
    """Announce the whole body, send half of it and close."""
    head = (
        "HTTP/1.1 200 OK\r\n"
        "content-type: application/json; charset=utf-8\r\n"
        f"content-length: {max(len(body), 2)}\r\n\r\n"
    )
    transport.write(head.encode() + body[: len(body) // 2])
    transport.close()
