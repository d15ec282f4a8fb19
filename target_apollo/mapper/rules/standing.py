"""Rules on how far a lead has come: whether it is a customer already, and its stage."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from target_apollo.mapper.rules.base import Check, Lead, Rule, StreamFacts
from target_apollo.mapper.values import blank, folded, kind, shown

_NO = frozenset({"no", "n", "false", "f", "0"})
_YES = frozenset({"yes", "y", "true", "t", "1"})


class NotCustomer(Rule, frozen=True, kw_only=True):
    """The lead is not a customer yet."""

    rule: ClassVar[str] = "not_customer"

    field: str = "is_customer"

    @override
    def fields(self) -> tuple[str, ...]:
        """The property that marks customers."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The mark is false, 0, a word for no, or empty."""
        field = self.field

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            if value is False or blank(value):
                return None
            if value is True:
                return "is already a customer"
            if isinstance(value, str):
                word = folded(value)
                if word in _NO:
                    return None
                if word in _YES:
                    return "is already a customer"
            elif isinstance(value, (list, dict)):
                return f"the customer mark is {kind(value)}, not yes or no"
            elif value == 0:
                return None
            elif value == 1:
                return "is already a customer"
            return f"the customer mark is {shown(value)}, not yes or no"

        return check


class Stage(Rule, frozen=True, kw_only=True):
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
    def fields(self) -> tuple[str, ...]:
        """The property with the stage."""
        return (self.field,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The stage's place in the order is at or above the minimum's."""
        field, minimum = self.field, self.minimum or ""
        place = {folded(stage): at for at, stage in enumerate(self.order)}
        lowest = place[folded(minimum)]
        # Most leads have the spelling of the settings, which answers with a single look-up.
        passing = {stage for stage in self.order if place[folded(stage)] >= lowest}

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            if not isinstance(value, str):
                return "has no stage" if value is None else f"the stage is {kind(value)}, not text"
            if value in passing:
                return None
            at = place.get(folded(value))
            if at is None:
                return (
                    "has no stage"
                    if blank(value)
                    else f"the stage {shown(value)} is not in the order"
                )
            return None if at >= lowest else f"the stage {shown(value)} is below '{minimum}'"

        return check
