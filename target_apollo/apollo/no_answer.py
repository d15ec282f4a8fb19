"""Why no whole response came, in a phrase, and whether the request may have arrived all the same.

`requests`, urllib3 and `http.client` wrap each other's exceptions, so a failure is judged by all of
its causes.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import zlib
from typing import TYPE_CHECKING

import requests
import urllib3

from target_apollo.apollo.proxy import is_before_sending, proxy_problem

if TYPE_CHECKING:
    from collections.abc import Iterator


class AnswerTooLarge(http.client.HTTPException):
    """An answer has more bytes than one may have, as sent or unpacked."""


#: What stops an answer from coming whole.
FAILURES = (
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


class NoAnswer(Exception):
    """No whole response came.

    `reason` is a phrase without personal data; `maybe_written`: the request may have arrived.
    """

    def __init__(self, reason: str, *, maybe_written: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_written = maybe_written


def why_no_answer(failure: Exception, proxy: str | None) -> NoAnswer:
    """Return the exception that says why no whole response came.

    Args:
        failure: One of `FAILURES`.
        proxy: The address of the proxy on the way, if there is one.
    """
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
