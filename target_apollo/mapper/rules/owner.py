"""The rule that the user of a lead has an Apollo user in the mapping."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from typing_extensions import override

from target_apollo.mapper.owners import Owners, read_owners
from target_apollo.mapper.rules.base import Check, Lead, NotYet, Rule, StreamFacts
from target_apollo.mapper.values import key_text, kind, shown


class OwnerMapped(Rule, frozen=True, kw_only=True):
    """A user is assigned who has an Apollo user in the mapping."""

    rule: ClassVar[str] = "owner_mapped"

    field: str = "user_id"
    map: dict[str, str] = msgspec.field(default_factory=dict)
    map_path: str | None = None
    hold_unmapped: bool = False

    def __post_init__(self) -> None:
        """Check that there is a mapping."""
        if not self.map and not self.map_path:
            raise ValueError(
                "needs `map` (user id: Apollo user id or e-mail) or `map_path` (a CSV file of the "
                "same); set one, or set the rule to false"
            )

    def owners(self) -> Owners:
        """Read the mapping.

        Raises:
            SettingsError: It can't be read, or an entry is not valid.
        """
        return read_owners(self.map, self.map_path)

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the assigned user."""
        return (self.field,)

    @override
    def may_hold(self) -> bool:
        """Whether a lead is held until its user is in the mapping: `hold_unmapped`."""
        return self.hold_unmapped

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the lead's user is in the rule's mapping."""
        return self.check_with(self.owners())

    def check_with(self, owners: Owners) -> Check:
        """The check that the lead's user is in a mapping that was read before."""
        field = self.field
        reason: type[str] = NotYet if self.hold_unmapped else str

        def check(lead: Lead) -> str | None:
            user = lead.get(field)
            if owners.of(user) is not None:
                return None
            if key_text(user) is not None:
                return reason(f"user {shown(user)} has no Apollo user in the mapping")
            if user is None or isinstance(user, str):
                return "no user is assigned"
            return f"the user is {kind(user)}, not an id"

        return check
