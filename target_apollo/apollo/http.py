"""One HTTP exchange: a request goes out, a whole answer comes back or is lost. No retries here."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from target_apollo.apollo.auth import OnlyTo
from target_apollo.apollo.urls import is_loopback, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests.auth import AuthBase
    from urllib3.connectionpool import ConnectionPool

_CONNECT_SECONDS = 10.0
_BLANKS_REMEMBERED = 64

_NOTHING_SENT = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
    urllib3.exceptions.NewConnectionError,
    ssl.SSLCertVerificationError,
)
# What to call a failure; the first cause that is listed here names it.
_PHRASES: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "the server's certificate could not be verified"),
    (requests.exceptions.ProxyError, "the proxy did not connect"),
    (requests.exceptions.ConnectTimeout, "no connection in time"),
    (urllib3.exceptions.NewConnectionError, "no connection to the host"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (urllib3.exceptions.IncompleteRead, "the answer was cut off"),
    (urllib3.exceptions.InvalidChunkLength, "the answer was cut off"),
    (urllib3.exceptions.DecodeError, "the answer could not be unpacked"),
    (ssl.SSLError, "the TLS connection failed"),
    (Exception, "the connection was cut"),
)


@dataclass(frozen=True)
class Reply:
    """A whole answer as it came; the names of `headers` count in any case.

    `request` is what was sent, credentials included: never log it.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    request: PreparedRequest = field(repr=False)


class Lost(Exception):
    """No whole answer came.

    `reason` is a phrase without personal data; `maybe_written`: the request may have arrived.
    """

    def __init__(self, reason: str, *, maybe_written: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_written = maybe_written


class _OneApi(HTTPAdapter):
    """`requests`' adapter for one host, to which the way is looked for once and not each time."""

    _pool: ConnectionPool | None = None

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> ConnectionPool:
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return self._pool

    def build_response(
        self,
        req: PreparedRequest,  # noqa: ARG002 - the adapter's signature
        resp: Any,
    ) -> requests.Response:
        # Cookies and encodings, which the adapter's own form looks for, are of no use here.
        response = requests.Response()
        response.status_code, response.headers, response.raw = resp.status, resp.headers, resp
        return response


class Exchange:
    """Sends single requests to one API. Thread-safe: urllib3's pools of connections are.

    Requests go to `requests`' adapter without its session around it, which takes longer than the
    rest of a request and does nothing that is wanted here: no cookie is kept, and no redirect is
    followed, which would take a write and the key elsewhere.
    """

    def __init__(
        self, *, api_url: str, auth: AuthBase, timeout_seconds: float, connections: int
    ) -> None:
        self._api_url = api_url
        self._auth = OnlyTo(api_url, auth)
        self._timeout = (min(_CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._adapter = _OneApi(pool_connections=1, pool_maxsize=connections)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Cache-Control": "no-cache",
            "User-Agent": f"target-apollo/{_version()}",
        }
        #: Requests but for body and credentials; those of a few addresses are sent all the time.
        self._blank = lru_cache(_BLANKS_REMEMBERED)(self._new_blank)
        host = origin_of(api_url)[1]
        # A proxy from the environment would see plain http with the key; this machine needs none.
        proxies = {"no_proxy": host} if is_loopback(host) else {}
        with requests.Session() as session:
            #: Proxies and certificates of the environment, as `requests` finds them.
            self._route: Any = session.merge_environment_settings(
                api_url, proxies, stream=True, verify=None, cert=None
            )

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        content: bytes | None,
        content_type: str = "application/json",
    ) -> Reply:
        """Send one request and read its whole answer, whatever its status. Raises `Lost`."""
        request = self._prepared(method, path, params, content, content_type)
        try:
            response = self._adapter.send(request, timeout=self._timeout, **self._route)
            body = response.raw.read(decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as failure:
            raise _lost(failure) from None
        length = response.headers.get("Content-Length", "")
        # urllib3 2 checks this too; 1.26 does so only when asked.
        if length.isdigit() and response.raw.tell() < int(length):
            raise Lost("the answer was cut off", maybe_written=True)
        return Reply(response.status_code, response.headers, body, request)

    def _prepared(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        content: bytes | None,
        content_type: str,
    ) -> PreparedRequest:
        blank = self._blank(method, path, None if content is None else content_type)
        request = PreparedRequest()
        request.method, request.url, request.body = blank.method, blank.url, content
        if params is not None:
            request.prepare_url(request.url, params)
        # A plain dictionary: all that it holds is spelled here, and `requests`' own is read slowly.
        headers: Any = dict(blank.headers)
        if content is not None:
            headers["Content-Length"] = str(len(content))
        request.headers = headers
        self._auth(request)
        return request

    def _new_blank(self, method: str, path: str, content_type: str | None) -> PreparedRequest:
        headers = self._headers
        if content_type is not None:
            headers = {**headers, "Content-Type": content_type}
        return requests.Request(method, self._api_url + path, headers).prepare()

    def close(self) -> None:
        """Close the pooled connections."""
        self._adapter.close()


def _lost(failure: Exception) -> Lost:
    causes = list(_causes(failure))
    named = (phrase for kind, phrase in _PHRASES if any(isinstance(c, kind) for c in causes))
    return Lost(
        next(named), maybe_written=not any(isinstance(cause, _NOTHING_SENT) for cause in causes)
    )


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """Walk from a failure to all it wraps; requests and urllib3 keep causes as arguments, too."""
    todo, seen = [failure], set[int]()
    while todo:
        cause = todo.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        wrapped = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        todo += [one for one in wrapped if isinstance(one, BaseException)]


def _version() -> str:
    try:
        return version("target-apollo")
    except PackageNotFoundError:
        return "unknown"
