"""Refuses requests that a browser sends for another web page than the sandbox's own.

A page from anywhere can send requests to this machine: to its addresses, or to a host name of its
own that it makes point there (DNS rebinding). People feed the sandbox with real rows, so such a
page must neither read nor write. Clients that are no browsers send no ``Origin``, and name the host
as they were told to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from target_apollo.sandbox.serving.errors import Refusal
from target_apollo.sandbox.serving.http import deliver, read, refused

#: Top-level domains that no public name server answers for: nobody elsewhere can own a name there.
_PRIVATE_DOMAINS = (".localhost", ".internal")
#: A name without dots: no page that is on the Internet has one.
_PLAIN_NAME = re.compile("[a-z0-9_-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: What a browser says of a request that its user or the page itself began.
_OWN = ("same-origin", "none")
_LONGEST_SHOWN = 100

_ADVICE = (
    "It answers requests to localhost, to an IP address, to a host name without dots or below "
    ".internal, and to the name given with --host."
)


@dataclass(frozen=True)
class _Place:
    host: str
    port: int | None

    @classmethod
    def of(cls, authority: str) -> _Place | None:
        """The place that a Host header names; None if it names none."""
        try:
            parts = urlsplit(f"//{authority}")
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if not host or parts.netloc != authority or "@" in authority:
            return None
        return cls(host.rstrip("."), port)

    @classmethod
    def of_origin(cls, origin: str) -> _Place | None:
        """The place of an Origin header; None for ``null`` and what is no web page."""
        scheme, _, authority = origin.partition("://")
        port = _DEFAULT_PORTS.get(scheme)
        place = cls.of(authority)
        if place is None or port is None:
            return None
        return cls(place.host, port) if place.port is None else place


def fault_of(
    method: str, path: str, headers: Sequence[tuple[bytes, bytes]], own_names: Collection[str]
) -> str | None:
    """Why a request is refused, as a sentence; None for those that are answered.

    Args:
        headers: Names in lower case, and values.
        own_names: Host names of the sandbox, in lower case.
    """
    found = _values(headers, (b"host", b"origin", b"sec-fetch-site"))
    place = None
    for host in found[b"host"]:
        place = _Place.of(host.lower())
        if place is None or not _is_own(place.host, own_names):
            return f"This sandbox is not the host {_shown(host)}. {_ADVICE}"
    if len(found[b"host"]) > 1:
        return f"The request names several hosts. {_ADVICE}"
    for origin in found[b"origin"]:
        if not _is_same(_Place.of_origin(origin.lower()), place):
            return (
                f"A web page of {_shown(origin)} sent this request, and only the sandbox's own "
                "page may. Send it from a program that is no browser, without the header Origin."
            )
    foreign = [site for site in found[b"sec-fetch-site"] if site.lower() not in _OWN]
    if foreign and not _opens_the_page(method, path, headers):
        return (
            "Another web page sent this request, and only the sandbox's own page may. Open "
            "the sandbox's address in a tab of its own."
        )
    return None


def _is_own(host: str, own_names: Collection[str]) -> bool:
    if host in own_names or host == "localhost" or host.endswith(_PRIVATE_DOMAINS):
        return True
    if _PLAIN_NAME.fullmatch(host):
        # A service of Docker's network, or a machine beside this one.
        return True
    try:
        # A page can't make an address in numbers point elsewhere.
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_same(origin: _Place | None, place: _Place | None) -> bool:
    if origin is None or place is None or origin.host != place.host:
        return False
    # Behind a proxy that adds TLS, a Host without a port is that of https.
    return origin.port == place.port or (
        place.port is None and origin.port in _DEFAULT_PORTS.values()
    )


def _opens_the_page(method: str, path: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether somebody follows a link to the sandbox's page; the other page can't read it."""
    found = _values(headers, (b"sec-fetch-mode", b"sec-fetch-dest"))
    return (
        method == "GET"
        and path == "/"
        and found == {b"sec-fetch-mode": ["navigate"], b"sec-fetch-dest": ["document"]}
    )


def _values(
    headers: Sequence[tuple[bytes, bytes]], names: Sequence[bytes]
) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {name: [] for name in names}
    for name, value in headers:
        if name in found:
            found[name].append(value.decode("latin-1").strip())
    return found


def _shown(text: str) -> str:
    cut = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return "'" + "".join(sign if sign.isprintable() else "\ufffd" for sign in cut) + "'"


class OwnPageOnly:
    """The ASGI application that refuses requests of other pages and passes on all others.

    Args:
        app: The application that answers.
        host: The name or address on which the sandbox listens, as its user gave it.
    """

    def __init__(self, app: ASGIApp, host: str = "") -> None:
        self._app = app
        self._own_names = {host.lower().rstrip("."), socket.gethostname().lower()} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        fault = None
        if scope["type"] in ("http", "websocket"):
            method = scope.get("method", "")
            fault = fault_of(method, scope["path"], scope["headers"], self._own_names)
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        elif (request := await read(scope, receive)) is not None:
            answer = refused(Refusal(403, {"error": fault}))
            await deliver(scope, receive, send, answer, request, compresses=False)
