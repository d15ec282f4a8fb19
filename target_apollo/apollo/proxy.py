"""The way to Apollo that the environment prescribes: a proxy, and certificates to trust.

Both are named in sentences, the proxy without its password. Until there is a
connection no request has been sent, whatever went wrong.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection

from target_apollo.apollo.errors import ApolloError

_VARIABLES = "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
_STATUS = re.compile(r"Tunnel connection failed: (\d{3})")
_NEEDS_LOGIN = "407"
#: Set on an exception that was raised before there was a connection.
_UNCONNECTED = "before_a_connection"


class UnusableCertificates(ApolloError):
    """The file of certificates that the environment names can't be used; nothing was sent."""


def check_certificates(bundle: object, endpoint: str) -> None:
    """Checks the file or folder of certificates that a session verifies servers with.

    Raises:
        UnusableCertificates: It is missing, can't be read or holds no certificate.
    """
    if not isinstance(bundle, str):
        return
    path = Path(bundle)
    try:
        if path.is_dir():
            ssl.create_default_context(capath=bundle)
            return
        ssl.create_default_context(cafile=bundle)
    except ssl.SSLError:
        why = "it holds no certificates"
    except OSError as problem:
        why = problem.strerror or "it can't be read"
    else:
        return
    raise UnusableCertificates(
        f"The certificates in {bundle} (environment variable {_VARIABLES}) can't be used: {why}. "
        "Nothing was sent: correct the variable, or unset it.",
        endpoint=endpoint,
    )


class PlainConnection(HTTPConnection):
    """A connection, direct or over a proxy, whose failures `is_before_sending` knows."""

    def connect(self) -> None:
        """Opens the connection."""
        _connect(super().connect)


class SecureConnection(HTTPSConnection):
    """The same with TLS."""

    def connect(self) -> None:
        """Opens the connection, through the proxy's tunnel if there is one."""
        _connect(super().connect)


def _connect(connect: Any) -> None:
    try:
        connect()
    except Exception as failure:
        setattr(failure, _UNCONNECTED, True)
        raise


def is_before_sending(failure: BaseException) -> bool:
    """Whether a failure shows that no request was sent: there was no connection yet."""
    return bool(getattr(failure, _UNCONNECTED, False))


def proxy_problem(proxy: str, texts: str) -> str:
    """A phrase for a connection that failed on the way over a proxy.

    Args:
        proxy: Its address, which may hold a password.
        texts: What the libraries say of the failure.
    """
    status = _STATUS.search(texts)
    why = "did not connect"
    if status is not None:
        why = f"refused to connect ({status[1]})"
        if status[1] == _NEEDS_LOGIN:
            why = "wants a user and a password (407)"
    return f"the proxy {_without_password(proxy)} {why}"


def _without_password(proxy: str) -> str:
    parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme else host
