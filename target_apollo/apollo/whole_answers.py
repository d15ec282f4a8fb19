"""Whole answers within bounds: an answer has a longest time and a largest size.

`requests` bounds each silence only, and unpacks whatever comes. A server, or a proxy on the way,
that sends a byte a second or a few kilobytes that unpack to gigabytes would hold a run and its
locks for good, or take the machine's memory.
"""

from __future__ import annotations

import http.client
import io
import re
import time
import zlib
from collections.abc import Mapping
from typing import Any, Final

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from target_apollo.apollo.route import PlainConnection, SecureConnection

#: Bytes of an answer, as sent and unpacked. The largest answers that Apollo documents have a
#: hundred records. Recorded ones take 2 to 6 KB a record, so this leaves each 160 KB.
LARGEST_ANSWER: Final = 16 * 1024 * 1024
#: A whole answer may take this many times the longest silence, counted from the sent request.
LONGEST_ANSWER: Final = 2

#: Content codings and zlib's parameter for them. Only gzip is asked for.
_CODINGS: Final = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}
_MOST_CODINGS = 2
_LENGTH = re.compile(r"[0-9]{1,18}")


class AnswerTooLarge(http.client.HTTPException):
    """An answer has more bytes than `LARGEST_ANSWER`, as sent or unpacked."""


class _BoundedReader(io.RawIOBase):
    """The bytes of one answer, read from the socket until a moment and up to a number.

    Raises TimeoutError after the moment, and AnswerTooLarge after the number.
    """

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._silence: float | None = sock.gettimeout()
        silence = self._silence
        self._end = None if silence is None else time.monotonic() + LONGEST_ANSWER * silence
        self._left = LARGEST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw_readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise AnswerTooLarge
        return count

    def _raw_readinto(self, buffer: Any) -> int | None:
        if self._end is None or self._silence is None:
            return self._raw.readinto(buffer)
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if left >= self._silence:
            return self._raw.readinto(buffer)
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        finally:
            # The next request on this connection is sent with it.
            self._sock.settimeout(self._silence)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """A response within the bounds, without the interim responses (1xx) before it."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(sock, self.fp.detach()))

    def begin(self) -> None:
        """Read status and headers. `http.client` passes over 100 only."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # so that it reads again
            super().begin()
        # The body is read into one piece of memory of this length.
        if self.length is not None and self.length > LARGEST_ANSWER:
            raise AnswerTooLarge


class _Connection(PlainConnection):
    response_class = _BoundedResponse


class _SecureConnection(SecureConnection):
    response_class = _BoundedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class BoundedAdapter(HTTPAdapter):
    """An adapter of `requests` whose answers are within the bounds, through a proxy too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def read_whole(raw: urllib3.BaseHTTPResponse, headers: Mapping[str, str]) -> bytes:
    """Return the body of a response, unpacked.

    Raises:
        AnswerTooLarge: It has too many bytes when it is unpacked.
        http.client.IncompleteRead: It is shorter than it says.
        zlib.error: It can't be unpacked.
        urllib3.exceptions.HTTPError: It did not come whole, in time or within the size.
    """
    try:
        # At once, since `requests` would read a large answer in pieces of ten kilobytes. Without a
        # number, `http.client` takes the memory that a chunk claims to need.
        content: bytes = raw.read(LARGEST_ANSWER + 1, decode_content=False)
    except ValueError:
        # A chunk with a length below zero.
        raw.close()
        raise http.client.IncompleteRead(b"") from None
    length = headers.get("Content-Length", "")
    # urllib3 2 checks this too; 1.26 does so only when asked.
    if _LENGTH.fullmatch(length) and raw.tell() < int(length):
        raise http.client.IncompleteRead(b"", int(length) - raw.tell())
    written = headers.get("Content-Encoding", "")
    codings = [name for part in written.split(",") if (name := part.strip().lower())]
    if len(codings) > _MOST_CODINGS:
        raise zlib.error
    for coding in reversed(codings):
        if coding != "identity":
            content = _unpacked(content, coding)
    return content


def _unpacked(content: bytes, coding: str) -> bytes:
    if coding not in _CODINGS:
        raise zlib.error
    unpacker = zlib.decompressobj(_CODINGS[coding])
    unpacked = unpacker.decompress(content, LARGEST_ANSWER + 1)
    if len(unpacked) > LARGEST_ANSWER:
        raise AnswerTooLarge
    if content and not unpacker.eof:
        raise zlib.error
    return unpacked
