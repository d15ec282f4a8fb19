"""Reads the host of a company's web site out of a domain or a URL. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import idna
from publicsuffixlist import PublicSuffixList

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.values import text

_HOST = re.compile(
    r"(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{1,59})"
)


def domain(name: str, value: object) -> str | None:
    """The bare host name of a domain or URL: lower case, IDNA, without ``www.`` and port.

    >>> domain("domain", "https://www.Müller.example:8080/team?x=1")
    'xn--mller-kva.example'

    Raises:
        RecordError: The value is no text or names no host.
    """
    written = text(name, value)
    if written is None:
        return None
    host = bare_host(written)
    if host is None:
        raise RecordError(Reason.MALFORMED_DOMAIN, f"'{name}' is not a domain")
    return host


def bare_host(written: str) -> str | None:
    """The host of a URL or domain as `domain` spells it, or None where there is none."""
    plain = written.strip().lower()
    if not _HOST.fullmatch(plain):
        plain = _host_of_url(plain)
    while plain.startswith("www.") and plain.count(".") > 1:
        plain = plain.removeprefix("www.")
    return plain if _HOST.fullmatch(plain) else None


def _host_of_url(written: str) -> str:
    if "://" not in written:
        written = f"//{written.removeprefix('//')}"
    try:
        parts = urlsplit(written)
        if parts.username is not None:
            # An e-mail address, whose domain may be a mail provider's instead of the company's.
            return ""
        host = (parts.hostname or "").rstrip(".")
        return host if host.isascii() else idna.encode(host, uts46=True).decode()
    except (ValueError, idna.IDNAError):
        return ""


# A domain under an unknown top-level domain is a typo, not a registrable domain.
_suffixes = PublicSuffixList(accept_unknown=False)


def registrable(written: str) -> str | None:
    """The registrable domain of a host or URL; None if it has none.

    >>> registrable("https://shop.acme.co.uk/about"), registrable("co.uk"), registrable("acme.con")
    ('acme.co.uk', None, None)

    Both sections of the public suffix list apply: ``acme.github.io`` can be registered,
    ``github.io`` can't. The list is part of its package; nothing is downloaded.
    """
    host = bare_host(written)
    domain: str | None = None if host is None else _suffixes.privatesuffix(host)
    return domain
