"""Rules on the data of a lead: company, e-mail address, no test record, no repeated row."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ClassVar

import msgspec
from typing_extensions import override

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.rules.base import (
    Check,
    FieldRule,
    Lead,
    Rule,
    StreamFacts,
    caseless,
    kind,
    shown,
)
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.characters import is_blank
from target_apollo.model.texts.domains import (
    FREE_MAIL,
    allowed_hosts,
    bare_host,
    listed_host,
    registrable_of,
)
from target_apollo.model.texts.emails import email


class ValidEmail(FieldRule, frozen=True, kw_only=True):
    """A syntactically valid e-mail address; whether the domain takes mail is not asked."""

    rule: ClassVar[str] = "valid_email"

    field: str = "email"

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the target finds an address in the value, one of several also."""
        field = self.field

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            try:
                found = email(field, value)
            except RecordError as problem:
                if problem.rejection.reason is Reason.WRONG_TYPE:
                    return f"the e-mail address is {kind(value)}, not text"
                return f"{shown(value)} is not a valid e-mail address"
            return None if found else "has no e-mail address"

        return check


class NotTestRecord(Rule, frozen=True, kw_only=True):
    """No test domain, none of your own domains, no test name."""

    rule: ClassVar[str] = "not_test_record"

    name: str | None = "name"
    domain: str | None = "domain"
    email: str | None = None
    own_domains: tuple[str, ...] = ()
    # Names that RFC 2606 and RFC 6761 reserve for tests, and others that people use for them.
    test_domains: tuple[str, ...] = (
        *("example", "example.com", "example.net", "example.org", "invalid", "localhost", "test"),
        *("test.com", "mailinator.com"),
    )
    test_names: tuple[str, ...] = (
        *("test", "test account", "test company", "test contact", "test lead", "testing"),
        *("asdf", "dummy", "do not use", "foo", "foo bar", "lorem ipsum", "sample", "xxx"),
    )

    def __post_init__(self) -> None:
        """Check that the rule has a property to read."""
        if not (self.name or self.domain or self.email):
            raise ValueError("needs at least one of `name`, `domain` and `email`")

    @override
    def fields(self) -> tuple[str, ...]:
        """The properties with the name, the domain and the e-mail address."""
        return tuple(field for field in (self.name, self.domain, self.email) if field)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that no value is on one of the lists; values other than text pass."""
        names = {caseless(name) for name in self.test_names}
        test_domains = _domains(self.test_domains)
        own_domains = _domains(self.own_domains)
        name_field = self.name
        hosts = tuple(field for field in (self.domain, self.email) if field)

        def check(lead: Lead) -> str | None:
            name = lead.get(name_field) if name_field else None
            if isinstance(name, str) and caseless(name) in names:
                return f"the name {shown(name)} is a test name"
            for field in hosts:
                written = lead.get(field)
                if not isinstance(written, str) or not written.strip():
                    continue
                host = _host(written)
                if _is_under(host, own_domains):
                    return f"'{host}' is your own domain"
                if _is_under(host, test_domains):
                    return f"'{host}' is a test domain"
            return None

        return check


class Unique(Rule, frozen=True, kw_only=True):
    """The first row of its key in this run; by other properties than the key if `by` names them."""

    rule: ClassVar[str] = "unique"

    by: tuple[str, ...] = ()

    @override
    def fields(self) -> tuple[str, ...]:
        """The properties in `by`; the stream's key properties are read in any case."""
        return self.by

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that no earlier row had the same values."""
        fields = self.by or stream.key_properties
        if not fields:
            raise SettingsError(
                f"The rule unique can't work on stream '{stream.stream}': its SCHEMA names no key "
                "properties. Set rules.unique.by to the properties that tell its rows apart."
            )
        return _FirstSeen(fields, all if self.by else any)


class _FirstSeen:
    """Remembers the digests of all keys on disk, so that memory does not grow with the rows."""

    def __init__(
        self, fields: tuple[str, ...], is_missing: Callable[[Iterable[bool]], bool]
    ) -> None:
        """`is_missing` is ``any`` if a blank value makes a key count as missing, else ``all``."""
        self._fields = fields
        self._is_missing = is_missing
        # With an empty name, SQLite keeps a database in a small cache and a temporary file.
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("PRAGMA journal_mode=OFF")
        self._seen.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._seen.execute("BEGIN")

    def __call__(self, lead: Lead) -> str | None:
        values = [lead.get(field) for field in self._fields]
        if self._is_missing(map(is_blank, values)):
            # Nothing tells such rows apart; the target says what is wrong with them.
            return None
        key = msgspec.json.encode([v.strip() if isinstance(v, str) else v for v in values])
        digest = hashlib.blake2b(key, digest_size=16).digest()
        inserted = self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount
        return None if inserted else "an earlier row of this run has the same key"


def _domains(written: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_host(domain) for domain in written)


def _host(written: str) -> str:
    """The host of an e-mail address, URL or domain; a plain word such as ``test`` is returned."""
    if "@" in written:
        with suppress(RecordError):
            written = email("", written) or written
    host = written.rpartition("@")[2]
    return bare_host(host) or caseless(host)


def _is_under(host: str, domains: frozenset[str]) -> bool:
    """Whether a host is one of these domains or a subdomain of one."""
    if not domains:
        return False
    labels = host.split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels)))


class ValidCompany(Rule, frozen=True, kw_only=True):
    """A name that is not blank and a domain of its own: no free-mail provider, no shared host."""

    rule: ClassVar[str] = "valid_company"

    name: str = "name"
    domain: str = "domain"
    allow_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the allowed domains are hosts."""
        allowed_hosts(self.allow_domains)

    @override
    def fields(self) -> tuple[str, ...]:
        """The properties with the company's name and domain."""
        return (self.name, self.domain)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the lead has a name, and a domain that a company can own."""
        name_field, domain_field = self.name, self.domain
        allowed = allowed_hosts(self.allow_domains)

        def check(lead: Lead) -> str | None:
            name, domain = lead.get(name_field), lead.get(domain_field)
            if not isinstance(name, str):
                return "has no name" if name is None else f"the name is {kind(name)}, not text"
            if is_blank(name):
                return "has no name"
            if not isinstance(domain, str):
                return "has no domain" if domain is None else _not_text(domain)
            fault = domain_fault(domain)
            if fault is not None and bare_host(domain) in allowed:
                return None
            return fault

        return check


def _not_text(domain: object) -> str:
    return f"the domain is {kind(domain)}, not text"


def domain_fault(written: str) -> str | None:
    """Why a company can't own the domain of a host or URL, in words; None if it can."""
    host = bare_host(written)
    domain = None if host is None else registrable_of(host)
    if host is not None and domain is not None:
        shared = listed_host(host)
        if shared is not None:
            return f"'{shared.name}' is shared by many companies ({shared.holds})"
        return f"'{domain}' is a free-mail provider" if domain in FREE_MAIL else None
    if not written.strip():
        return "has no domain"
    if host is None:
        return f"{shown(written)} is not a domain"
    return f"nobody can register the domain {shown(written)}"
