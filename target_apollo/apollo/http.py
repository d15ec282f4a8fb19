"""One HTTP request over a `requests` session: a whole response comes back or none. No retries.

Before it goes out, `ApiKeyAuth` signs it; credentials are let through to one origin and to no other.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import zlib
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from target_apollo.apollo.addresses import is_loopback
from target_apollo.apollo.route import check_certificates, is_before_sending, proxy_problem
from target_apollo.apollo.whole_answers import AnswerTooLarge, BoundedAdapter, read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


_CONNECT_SECONDS = 10.0

#: What stops an answer from coming whole.
_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    zlib.error,
)
_NOTHING_SENT = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
    urllib3.exceptions.NewConnectionError,
    ssl.SSLCertVerificationError,
)
# Kinds of failures and their phrases, by precedence: the first kind among all causes counts.
_PHRASES: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "the server's certificate could not be verified"),
    (requests.exceptions.ProxyError, "the proxy did not connect"),
    (requests.exceptions.ConnectTimeout, "no connection in time"),
    (socket.gaierror, "the host's name can't be looked up (DNS)"),
    (urllib3.exceptions.NewConnectionError, "no connection to the host"),
    (AnswerTooLarge, "the answer was too large"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (http.client.IncompleteRead, "the answer was cut off"),
    (urllib3.exceptions.InvalidChunkLength, "the answer was cut off"),
    (zlib.error, "the answer could not be unpacked"),
    (ssl.SSLError, "the TLS connection failed"),
    (Exception, "the connection was cut"),
)


@dataclass(frozen=True)
class Response:
    """A whole response, unchanged. The names of `headers` are case-insensitive.

    `request` is the request as sent, credentials included: never log it.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    request: PreparedRequest = field(repr=False)


class NoAnswer(Exception):
    """No whole response came.

    `reason` is a phrase without personal data; `maybe_written`: the request may have arrived.
    """

    def __init__(self, reason: str, *, maybe_written: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_written = maybe_written


class HttpSession:
    """Sends single requests to one API, over at most `connections` kept connections. Thread-safe.

    The environment's proxies and certificates are read once, as `requests` finds them. Redirects
    are not followed, since they would take a write and the key elsewhere. No cookie is kept.

    `timeout_seconds` bounds each silence, and twice that time a whole answer; see `whole_answers`.
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
            received = read_whole(response.raw, response.headers)
        except _FAILURES as failure:
            raise _no_answer(failure, self._proxy) from None
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
    session.mount(f"{scheme}://", BoundedAdapter(pool_connections=1, pool_maxsize=connections))
    return session


def _no_answer(failure: Exception, proxy: str | None) -> NoAnswer:
    causes = list(_causes(failure))
    named = next(phrase for kind, phrase in _PHRASES if any(isinstance(c, kind) for c in causes))
    unconnected = any(map(is_before_sending, causes))
    by_certificate = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
    if proxy and unconnected and not by_certificate:
        named = proxy_problem(proxy, " ".join(map(str, causes)))
    nothing_sent = unconnected or any(isinstance(cause, _NOTHING_SENT) for cause in causes)
    return NoAnswer(named, maybe_written=not nothing_sent)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """Yield a failure and all that it wraps; requests and urllib3 keep causes as arguments, too."""
    todo, seen = [failure], set[int]()
    while todo:
        cause = todo.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        wrapped = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        todo += [inner for inner in wrapped if isinstance(inner, BaseException)]


@cache
def _version() -> str:
    try:
        return version("target-apollo")
    except PackageNotFoundError:
        return "unknown"
