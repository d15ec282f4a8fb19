"""Which addresses may be asked, and be sent a key: https, or http on this machine. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PATH = re.compile(r"[A-Za-z0-9._~/-]*")
_SCHEMES = ("http", "https")


def check_api_url(url: str, *, setting: str = "api_url") -> str:
    """Return an address of the API in its normal form: lower-case host, no slash at the end.

    Only an https address of a plain host with an optional port and path is valid, and http for this
    machine. Any other raises ValueError, with a sentence that names the setting but does not show
    its value, which may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"The setting {setting} is not a valid address.") from None
    host = (parts.hostname or "").lower()
    if parts.scheme not in _SCHEMES or not host:
        raise ValueError(f"The setting {setting} must be an address that starts with https://.")
    if "@" in parts.netloc:
        raise ValueError(
            f"The setting {setting} must not contain a user or password; "
            "credentials belong in api_key or the OAuth settings."
        )
    if "?" in url or "#" in url:
        raise ValueError(f"The setting {setting} must not contain a query or a fragment.")
    # Strict, since parsers of addresses differ on strange characters, and the parser that opens the
    # connection decides where the key goes.
    if not (_HOST.fullmatch(host) or _is_ip(host)) or not _PATH.fullmatch(parts.path):
        raise ValueError(f"The setting {setting} has characters that no address of an API has.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(
            f"The setting {setting} must start with https://: "
            "plain http would show secrets to the network and is allowed for this machine only."
        )
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc = f"{netloc}:{port}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"


def is_web_address(url: str) -> bool:
    """Return whether a browser may be sent to an address: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    )


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ip(host: str) -> bool:
    try:
        return "%" not in host and bool(ipaddress.ip_address(host))
    except ValueError:
        return False
