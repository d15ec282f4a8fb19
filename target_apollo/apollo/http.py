"""One HTTP exchange over a `requests` session: a whole response comes back or none. No retries.

Credentials go to one origin and to no other. An answer has a longest time and a largest size:
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
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from target_apollo.apollo.no_answer import FAILURES, AnswerTooLarge, why_no_answer
from target_apollo.apollo.proxy import PlainConnection, SecureConnection, check_certificates
from target_apollo.apollo.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    import urllib3
    from requests import PreparedRequest

_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def origin_of(url: str) -> Origin:
    """Return scheme, host and port of an address. Credentials are sent to an equal origin only."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


_HEADER = "x-api-key"


class ApiKeyAuth(AuthBase):
    """An API key, sent as the header `x-api-key` and nowhere else.

    Apollo used to take the key in query and body too, which end up in logs of proxies. Raises
    ValueError for a key that is empty or holds characters that no header may hold.
    """

    def __init__(self, key: str) -> None:
        key = key.strip()
        if not key:
            raise ValueError("The setting api_key is empty.")
        # http.client would repeat the whole key in its own exception about a bad header.
        if not all("!" <= character <= "~" for character in key):
            raise ValueError(
                "The setting api_key holds a blank or a character that no key has: copy it again."
            )
        self._key = key

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the key on a request."""
        r.headers[_HEADER] = self._key
        return r

    def __repr__(self) -> str:
        return "ApiKeyAuth(…)"


@runtime_checkable
class Refreshes(Protocol):
    """Credentials that can renew themselves, at most once per request, after a 401."""

    def refresh(self, refused: PreparedRequest) -> bool:
        """Renew the credentials that `refused` carried; return whether to try again.

        Several threads may call it at once: it returns True at once where another thread has
        renewed the credentials meanwhile. May raise an `ApolloError`.
        """


class OnlyTo(AuthBase):
    """Lets credentials through to one origin (scheme, host, port) and to no other."""

    def __init__(self, api_url: str, auth: AuthBase) -> None:
        self._origin = origin_of(api_url)
        self._auth = auth

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the credentials on a request to that origin; leave any other untouched."""
        if origin_of(r.url or "") != self._origin:
            return r
        signed: PreparedRequest = self._auth(r)
        return signed


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

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Response:
    """A whole response, unchanged. The names of `headers` are case-insensitive.

    `request` is the request as sent, credentials included: never log it.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    request: PreparedRequest = field(repr=False)


class HttpSession:
    """Sends single requests to one API, over at most `connections` kept connections. Thread-safe.

    The environment's proxies and certificates are read once, as `requests` finds them. Redirects
    are not followed, since they would take a write and the key elsewhere. No cookie is kept.

    `timeout_seconds` bounds each silence, and `LONGEST_ANSWER` times that a whole answer.
    """

    def __init__(
        self, *, api_url: str, auth: AuthBase, timeout_seconds: float, connections: int
    ) -> None:
        self._api_url = api_url
        self._auth = OnlyTo(api_url, auth)
        self._timeout = (min(_CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._session = _new_session(api_url, connections)
        self._proxy = requests.utils.select_proxy(api_url, self._session.proxies)
        self._unchecked = api_url.startswith("https:")

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        content: bytes | None,
        content_type: str = "application/json",
    ) -> Response:
        """Send one request and return its whole response, whatever its status.

        Raises:
            NoAnswer: No whole response came.
            UnusableCertificates: The environment names a file that holds no certificates.
        """
        if self._unchecked:
            check_certificates(self._session.verify, f"{method} {path}")
            self._unchecked = False
        try:
            response = self._session.request(
                method,
                self._api_url + path,
                params=params,
                data=content,
                headers=None if content is None else {"Content-Type": content_type},
                auth=self._auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            received = _read_whole(response.raw, response.headers)
        except FAILURES as failure:
            raise why_no_answer(failure, self._proxy) from None
        return Response(response.status_code, response.headers, received, response.request)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()


class _Session(requests.Session):
    """A session that takes no response for a redirect and never parses a redirect's address."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - theirs
        return None


def _new_session(api_url: str, connections: int) -> requests.Session:
    session = _Session()
    scheme, host, _ = origin_of(api_url)
    # A proxy would see the key in plain http, which is used for this machine only.
    proxies = {"no_proxy": host} if is_loopback(host) else {}
    route = session.merge_environment_settings(
        api_url, proxies, stream=None, verify=None, cert=None
    )
    session.proxies, session.verify, session.cert = route["proxies"], route["verify"], route["cert"]
    # From here on, neither the environment nor a netrc file changes a request.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Cache-Control": "no-cache",
            "User-Agent": f"target-apollo/{_version()}",
        }
    )
    session.adapters.clear()
    session.mount(f"{scheme}://", _BoundedAdapter(pool_connections=1, pool_maxsize=connections))
    return session


@cache
def _version() -> str:
    try:
        return version("target-apollo")
    except PackageNotFoundError:
        return "unknown"


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


class _BoundedAdapter(HTTPAdapter):
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


def _read_whole(raw: urllib3.BaseHTTPResponse, headers: Mapping[str, str]) -> bytes:
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
