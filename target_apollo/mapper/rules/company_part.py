"""The rule that a lead names a real company: a name, and a domain that a company can own."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from target_apollo.mapper.domains import registrable
from target_apollo.mapper.rules.base import Check, Lead, Rule, StreamFacts
from target_apollo.mapper.values import folded, kind, shown
from target_apollo.model.free_mail import FREE_MAIL
from target_apollo.model.values import bare_host


class ValidCompany(Rule, frozen=True, kw_only=True):
    """A name that is not blank and a registrable domain that is no free-mail provider's."""

    rule: ClassVar[str] = "valid_company"

    name: str = "name"
    domain: str = "domain"
    allow_domains: tuple[str, ...] = ()

    @override
    def fields(self) -> tuple[str, ...]:
        """The properties with the company's name and domain."""
        return (self.name, self.domain)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """Both are there and the domain can be a company's own."""
        name_field, domain_field = self.name, self.domain
        allowed = {folded(domain) for domain in self.allow_domains}

        def check(lead: Lead) -> str | None:
            name, domain = lead.get(name_field), lead.get(domain_field)
            if not isinstance(name, str):
                return "has no name" if name is None else f"the name is {kind(name)}, not text"
            if not name or name.isspace():
                return "has no name"
            if not isinstance(domain, str):
                return "has no domain" if domain is None else _not_text(domain)
            fault = domain_fault(domain)
            if fault is not None and folded(domain) in allowed:
                return None
            return fault

        return check


def _not_text(domain: object) -> str:
    return f"the domain is {kind(domain)}, not text"


def domain_fault(written: str) -> str | None:
    """Why a domain or URL can't be a company's own domain; None if it can."""
    domain = registrable(written)
    if domain is not None:
        return f"'{domain}' is a free-mail provider" if domain in FREE_MAIL else None
    if not written.strip():
        return "has no domain"
    if bare_host(written) is None:
        return f"{shown(written)} is not a domain"
    return f"nobody can register the domain {shown(written)}"
