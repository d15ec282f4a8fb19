"""Sends one HTTP request over a `requests` session and returns the whole response. No retries."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from target_apollo.apollo.auth import OnlyTo
from target_apollo.apollo.urls import is_loopback, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest
    from requests.auth import AuthBase

_CONNECT_SECONDS = 10.0

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
    (urllib3.exceptions.NewConnectionError, "no connection to the host"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (urllib3.exceptions.IncompleteRead, "the answer was cut off"),
    (urllib3.exceptions.InvalidChunkLength, "the answer was cut off"),
    (urllib3.exceptions.DecodeError, "the answer could not be unpacked"),
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
    """

    def __init__(
        self, *, api_url: str, auth: AuthBase, timeout_seconds: float, connections: int
    ) -> None:
        self._api_url = api_url
        self._auth = OnlyTo(api_url, auth)
        self._timeout = (min(_CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._session = _new_session(api_url, connections)

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
        """
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
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as failure:
            raise _no_answer(failure) from None
        length = response.headers.get("Content-Length", "")
        # urllib3 2 checks this too; 1.26 does so only when asked.
        if length.isdigit() and response.raw.tell() < int(length):
            raise NoAnswer("the answer was cut off", maybe_written=True)
        return Response(response.status_code, response.headers, response.content, response.request)

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
    session.mount(f"{scheme}://", HTTPAdapter(pool_connections=1, pool_maxsize=connections))
    return session


def _no_answer(failure: Exception) -> NoAnswer:
    causes = list(_causes(failure))
    named = (phrase for kind, phrase in _PHRASES if any(isinstance(c, kind) for c in causes))
    return NoAnswer(
        next(named), maybe_written=not any(isinstance(cause, _NOTHING_SENT) for cause in causes)
    )


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


def _version() -> str:
    try:
        return version("target-apollo")
    except PackageNotFoundError:
        return "unknown"
