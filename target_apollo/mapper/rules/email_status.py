"""The rule that withholds e-mail addresses which nobody has verified, and lets the rest go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import override

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.rules.base import (
    Check,
    Lead,
    LookupCheck,
    StreamFacts,
    WithholdField,
    caseless,
    kind,
    shown,
)
from target_apollo.mapper.rules.known import KnownLeads, LedgerRule
from target_apollo.mapper.rules.qualification import Words
from target_apollo.model.texts.placeholders import is_nothing


class EmailStatus(LedgerRule, frozen=True, kw_only=True):
    """The e-mail address is verified; one that is not is withheld, and the rest of the lead goes.

    Without its address a lead goes only if the target finds its record otherwise: the ledger knows
    it, or it has one of the keys in ``match_on``. Other leads fail the rule.
    """

    rule: ClassVar[str] = "email_status"

    field: str = "email"
    status: str = "email_status"
    allow: Words = ("verified",)
    match_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the address is not itself among the other keys."""
        if self.field in self.match_on:
            raise ValueError(
                f"`match_on` names '{self.field}', which is the address itself; name the keys by "
                "which the target finds a lead without it, such as linkedin_url"
            )

    @override
    def fields(self) -> tuple[str, ...]:
        """The properties with the address, with its status, and with the other match keys."""
        return (self.field, self.status, *self.match_on)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the address is verified, or can be withheld."""
        if self.field in stream.key_properties:
            raise SettingsError(
                f"The rule {self.rule} can't work on stream '{stream.stream}': '{self.field}' is "
                "one of its key properties, and a row without its key is rejected. Set other key "
                f"properties in the tap's catalog, or set rules.{self.rule} to false."
            )
        # Without key properties the ledger knows no lead, and the other match keys still serve.
        known = self.known_leads(stream) if stream.key_properties else None
        return _StatusCheck(self, known)


class _StatusCheck(LookupCheck):
    """The check for one stream.

    Args:
        known: None where the stream has no key by which the ledger could know a lead.
    """

    def __init__(self, rule: EmailStatus, known: KnownLeads | None) -> None:
        self._rule = rule
        self._known = known
        self._words = {caseless(word) for word in rule.allow}

    @override
    def prepare(self, leads: Sequence[Lead]) -> None:
        if self._known is not None:
            self._known.prepare([lead for lead in leads if self._unverified(lead) is not None])

    @override
    def __call__(self, lead: Lead) -> str | None:
        why = self._unverified(lead)
        if why is None:
            return None
        record = None if self._known is None else self._known.record_of(lead)
        if record is not None or any(not is_nothing(lead.get(key)) for key in self._rule.match_on):
            return WithholdField(why, self._rule.field, record)
        return f"{why}; without its address nothing tells which record the lead has"

    def _unverified(self, lead: Lead) -> str | None:
        """Why the address is to be withheld; None if it is verified, or there is none."""
        rule = self._rule
        if is_nothing(lead.get(rule.field)):
            return None
        status = lead.get(rule.status)
        if isinstance(status, str) and caseless(status) in self._words:
            return None
        if is_nothing(status):
            return f"the e-mail address has no status; allowed: {', '.join(rule.allow)}"
        said = shown(status) if isinstance(status, str) else kind(status)
        return f"the status of the e-mail address is {said}; allowed: {', '.join(rule.allow)}"
