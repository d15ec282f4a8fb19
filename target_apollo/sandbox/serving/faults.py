"""Faults that tests order: which requests of which endpoint fail, and how the failure looks.

A connection reset is real: the connection is aborted with SO_LINGER at zero, so that the client
receives a TCP RST.
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
    """What goes wrong: before the write, with nothing written, or after it, with all written."""

    ERROR_BEFORE_WRITE = "error_before_write"  # answers `status` and `body`
    ERROR_AFTER_WRITE = "error_after_write"  # the same, after the write (of `records` records)
    RATE_LIMITED = "rate_limited"  # 429, with a retry-after header if `retry_after` is set
    RESET_BEFORE_WRITE = "reset_before_write"
    RESET_AFTER_WRITE = "reset_after_write"
    TRUNCATED_BODY = "truncated_body"  # written; half of the body, then the connection ends
    GARBAGE_BODY = "garbage_body"  # written; 200 with a body that is no JSON
    EMPTY_BODY = "empty_body"  # written; 200 with an empty body
    SLOW = "slow"  # written; the answer comes `seconds` later
    HTML_PAGE = "html_page"  # `status` with an HTML page; nothing is written
    RECORDS_LEFT_OUT = "records_left_out"  # written; the answer lacks `records` records


@dataclass(frozen=True)
class Fault:
    """A fault, and the requests that it strikes.

    Attributes:
        endpoint: A label such as ``POST /contacts/bulk_create``, or ``*`` for every endpoint.
        kind: What goes wrong.
        times: How many requests it strikes; None for all.
        after: How many requests of the endpoint pass first.
        probability: With which probability it strikes each request after these, 0 to 1.
        seed: Seed of these random choices.
        status: HTTP status of an error.
        body: JSON body of an error; None for Apollo's usual one.
        retry_after: Value of the retry-after header of a 429.
        seconds: How much later a slow answer comes.
        records: Number of records, for the kinds that have one.
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
        """Accept the value of a kind too; raises ValueError."""
        object.__setattr__(self, "kind", FaultKind(self.kind))

    @classmethod
    def from_json(cls, order: dict[str, Any]) -> Fault:
        """Read a fault from JSON; raises ValueError with a sentence."""
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
    """The faults that are ordered and not used up. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order] = []

    def add(self, fault: Fault) -> None:
        """Order a fault."""
        with self._lock:
            self._orders.append(_Order(fault))

    def clear(self) -> None:
        """Cancel all faults."""
        with self._lock:
            self._orders.clear()

    def strikes(self, label: str) -> Fault | None:
        """The fault that strikes this request of an endpoint; None if none does."""
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
        self._passes_left = fault.after
        self._chance = random.Random(fault.seed)  # noqa: S311

    def strikes(self) -> bool:
        if self.left == 0:
            return False
        if self._passes_left > 0:
            self._passes_left -= 1
            return False
        if self._chance.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


def without_records(answer: Any, missing: int) -> Any:
    """The answer without its first ``missing`` records, counted through its lists of objects."""
    if not isinstance(answer, dict):
        return answer
    shorter = dict(answer)
    for key, value in answer.items():
        if missing and isinstance(value, list) and value and isinstance(value[0], (dict, Raw)):
            shorter[key] = value[missing:]
            missing = max(0, missing - len(value))
    return shorter


_RECORDS = frozenset(
    {
        "contacts", "accounts", "contact_attributes", "account_attributes", "contact_ids",
        "account_ids", "entity_ids", "contact_ids[]", "account_ids[]",
    }
)  # fmt: skip


def first_records(sent: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """The body or the query of a request, cut to the records that are written before the fault."""
    if fault.records is None or fault.kind is FaultKind.RECORDS_LEFT_OUT:
        return sent
    return {
        name: value[: fault.records] if name in _RECORDS and isinstance(value, list) else value
        for name, value in sent.items()
    }


def reset(transport: asyncio.Transport) -> None:
    """Abort the connection so that the client sees a reset."""
    # uvloop gives only the file descriptor of its socket; a duplicate of it is the same socket.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def truncate(transport: asyncio.Transport, body: bytes) -> None:
    """Send the headers of the whole body and half of it, then close the connection."""
    head = (
        "HTTP/1.1 200 OK\r\n"
        "content-type: application/json; charset=utf-8\r\n"
        f"content-length: {max(len(body), 2)}\r\n\r\n"
    )
    transport.write(head.encode() + body[: len(body) // 2])
    transport.close()
