"""Rules that compare one property with a list of words; upper and lower case are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta
from typing_extensions import override

from target_apollo.mapper.rules.base import Check, Lead, Rule, StreamFacts
from target_apollo.mapper.values import blank, folded, kind, shown

NO_STAGE = "No stage"
"""How Apollo's own filters call the stage of a record that has none."""

Words = Annotated[tuple[str, ...], Meta(min_length=1)]


class CompanyOnly(Rule, frozen=True, kw_only=True):
    """Company-level leads only."""

    rule: ClassVar[str] = "company_only"

    field: str = "record_type"
    allow: Words = ("company",)

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the kind of lead."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The kind is one of the allowed."""
        return _one_of(self.field, "kind of lead", self.allow)


class IcpFit(Rule, frozen=True, kw_only=True):
    """The fit with the ideal customer profile is good enough."""

    rule: ClassVar[str] = "icp_fit"

    field: str = "icp_fit"
    allow: Words = ("moderate", "strong")

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the fit."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The fit is one of the allowed."""
        return _one_of(self.field, "ICP fit", self.allow)


class NotQuarantined(Rule, frozen=True, kw_only=True):
    """The lead is not in quarantine."""

    rule: ClassVar[str] = "not_quarantined"

    field: str = "quarantine_status"
    allow: Words = ("active",)

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the quarantine's status."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The status is one of the allowed."""
        return _one_of(self.field, "quarantine status", self.allow)


class StageSelected(Rule, frozen=True, kw_only=True):
    """The stage is one of those chosen; ``No stage`` in the list stands for leads without one."""

    rule: ClassVar[str] = "stage_selected"

    field: str = "stage"
    allow: Words

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the stage."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The stage is one of the chosen."""
        chosen = _one_of(self.field, "stage", self.allow)
        if folded(NO_STAGE) not in map(folded, self.allow):
            return chosen
        field = self.field
        return lambda lead: None if blank(lead.get(field)) else chosen(lead)


def _one_of(field: str, what: str, allow: Sequence[str]) -> Check:
    # The spellings seen so far answer most leads with a single look-up.
    passing = set(allow)
    words = {folded(word) for word in allow}
    listed = ", ".join(allow)

    def check(lead: Lead) -> str | None:
        value = lead.get(field)
        if not isinstance(value, str):
            if value is None:
                return f"{what} is empty; allowed: {listed}"
            return f"{what} is {kind(value)}, not text"
        if value in passing or folded(value) in words:
            return None
        return f"{what} is {shown(value)}; allowed: {listed}"

    return check
