"""Rules that qualify a lead by one property: kind, fit, quarantine, stage, and no customer.

Words are compared without regard to upper and lower case (`folded`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar

from msgspec import Meta
from typing_extensions import override

from target_apollo.mapper.rules.base import (
    Check,
    FieldRule,
    Lead,
    LookupCheck,
    StreamFacts,
    caseless,
    kind,
    shown,
)
from target_apollo.mapper.rules.known import KnownLeads, LedgerRule
from target_apollo.model.texts.characters import is_blank
from target_apollo.model.texts.placeholders import is_nothing
from target_apollo.model.texts.spelling import folded
from target_apollo.model.values import truth_of

#: The name that Apollo's filters give to records without a stage.
NO_STAGE = "No stage"

Words = Annotated[tuple[str, ...], Meta(min_length=1)]


class WordRule(FieldRule, frozen=True, kw_only=True):
    """A rule that the property `field` has one of the words in `allow`."""

    #: What the property is, for a reason.
    what: ClassVar[str]

    allow: Words

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the word is allowed."""
        return _one_of(self.field, self.what, self.allow)


class CompanyOnly(WordRule, frozen=True, kw_only=True):
    """Company-level leads only."""

    rule: ClassVar[str] = "company_only"
    what: ClassVar[str] = "kind of lead"

    field: str = "record_type"
    allow: Words = ("company",)


class IcpFit(WordRule, frozen=True, kw_only=True):
    """The fit with the ideal customer profile is good enough."""

    rule: ClassVar[str] = "icp_fit"
    what: ClassVar[str] = "ICP fit"

    field: str = "icp_fit"
    allow: Words = ("moderate", "strong")


class NotQuarantined(WordRule, frozen=True, kw_only=True):
    """The lead is not in quarantine."""

    rule: ClassVar[str] = "not_quarantined"
    what: ClassVar[str] = "quarantine status"

    field: str = "quarantine_status"
    allow: Words = ("active",)


class AppliesTo(enum.Enum):
    """The leads that a rule judges."""

    ALL = "all"
    #: Leads without a record in Apollo. The others pass, so that their updates flow.
    NEW = "new"


class StageSelected(LedgerRule, frozen=True, kw_only=True):
    """The stage is one of those chosen; ``No stage`` in the list stands for leads without one."""

    rule: ClassVar[str] = "stage_selected"

    field: str = "stage"
    allow: Words
    applies_to: AppliesTo = AppliesTo.ALL

    def __post_init__(self) -> None:
        """Check that the ledger can be asked where it is needed."""
        if self.applies_to is AppliesTo.NEW and self.ledger_url == "":
            raise ValueError(
                "`applies_to: new` needs the target's ledger, which tells the known leads from the "
                "new ones, and `ledger_url` is empty; set it, or set `applies_to: all`"
            )

    @override
    def asks_ledger(self) -> bool:
        """Whether known leads pass."""
        return self.applies_to is AppliesTo.NEW

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the stage."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the stage is one of those chosen."""
        chosen = self._chosen()
        if self.applies_to is AppliesTo.ALL:
            return chosen
        return _NewLeadsCheck(chosen, self.known_leads(stream))

    def _chosen(self) -> Check:
        chosen = _one_of(self.field, "stage", self.allow, folded)
        if folded(NO_STAGE) not in map(folded, self.allow):
            return chosen
        field = self.field
        return lambda lead: None if is_blank(lead.get(field)) else chosen(lead)


class _NewLeadsCheck(LookupCheck):
    """A check that known leads pass in any case."""

    def __init__(self, check: Check, known: KnownLeads) -> None:
        self._check = check
        self._known = known

    @override
    def prepare(self, leads: Sequence[Lead]) -> None:
        self._known.prepare([lead for lead in leads if self._check(lead) is not None])

    @override
    def __call__(self, lead: Lead) -> str | None:
        reason = self._check(lead)
        if reason is None or self._known.is_known(lead):
            return None
        return f"{reason} (for a lead that is not in Apollo yet)"


def _one_of(
    field: str, what: str, allow: Sequence[str], spelled: Callable[[str], str] = caseless
) -> Check:
    # Most leads have a spelling of the settings, for which one look-up is enough.
    passing = set(allow)
    words = {spelled(word) for word in allow}
    listed = ", ".join(allow)

    def check(lead: Lead) -> str | None:
        value = lead.get(field)
        if not isinstance(value, str):
            if value is None:
                return f"{what} is empty; allowed: {listed}"
            return f"{what} is {kind(value)}, not text"
        if value in passing or spelled(value) in words:
            return None
        return f"{what} is {shown(value)}; allowed: {listed}"

    return check


class NotCustomer(FieldRule, frozen=True, kw_only=True):
    """The lead is not a customer yet."""

    rule: ClassVar[str] = "not_customer"

    field: str = "is_customer"

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the mark is false, 0, a word for no, or empty."""
        field = self.field

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            if value is False or is_nothing(value):
                return None
            if value is True:
                return "is already a customer"
            if isinstance(value, str):
                truth = truth_of(value)
                if truth is not None:
                    return "is already a customer" if truth else None
            elif isinstance(value, (list, dict)):
                return f"the customer mark is {kind(value)}, not yes or no"
            elif value == 0:
                return None
            elif value == 1:
                return "is already a customer"
            return f"the customer mark is {shown(value)}, not yes or no"

        return check


class Stage(FieldRule, frozen=True, kw_only=True):
    """The stage is the minimum of an order of stages, or above it."""

    rule: ClassVar[str] = "stage"

    field: str = "stage"
    order: tuple[str, ...] = ()
    minimum: str | None = None

    def __post_init__(self) -> None:
        """Check that the order can be used."""
        if not self.order or self.minimum is None:
            raise ValueError(
                "needs `order` (your stages, lowest first) and `minimum` (the lowest that passes); "
                "set them, or set the rule to false"
            )
        known = [folded(stage) for stage in self.order]
        twice = [stage for stage in self.order if known.count(folded(stage)) > 1]
        if twice:
            raise ValueError(f"`order` names the stage '{twice[0]}' twice")
        if folded(self.minimum) not in known:
            raise ValueError(
                f"`minimum` is '{self.minimum}', which is not in `order` ({', '.join(self.order)})"
            )

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the stage is the minimum or comes after it in the order."""
        field, minimum = self.field, self.minimum or ""
        ranks = {folded(stage): rank for rank, stage in enumerate(self.order)}
        lowest = ranks[folded(minimum)]
        # Most leads have a spelling of the settings, for which one look-up is enough.
        passing = {stage for stage in self.order if ranks[folded(stage)] >= lowest}

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            if not isinstance(value, str):
                return "has no stage" if value is None else f"the stage is {kind(value)}, not text"
            if value in passing:
                return None
            rank = ranks.get(folded(value))
            if rank is None:
                return (
                    "has no stage"
                    if is_blank(value)
                    else f"the stage {shown(value)} is not in the order"
                )
            return None if rank >= lowest else f"the stage {shown(value)} is below '{minimum}'"

        return check
