"""What a rule is: typed options, the properties that it reads, and a check of one lead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from target_apollo.mapper.errors import Clock

Lead = Mapping[str, object]
"""The properties of a record that rules read, by name, with the values that the tap wrote."""

Check = Callable[[Lead], "str | None"]
"""Says why a lead fails the rule, for a sales person, or None where it passes. Never raises for a
value, whatever its type. A `NotYet` says that the lead may pass later without being changed."""


class NotYet(str):
    """A reason that goes away by itself; a lead with no other is held, not dropped."""

    __slots__ = ()


class LookupCheck(ABC):
    """A check that asks elsewhere, for many leads at once."""

    @abstractmethod
    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up what the following calls for these leads need."""

    @abstractmethod
    def __call__(self, lead: Lead) -> str | None:
        """Check one of the leads that were prepared last."""


@dataclass(frozen=True)
class StreamFacts:
    """What a check may know of the stream that it is made for.

    Attributes:
        stream: The name that the tap uses.
        output: The name that the target sees, and so the ledger's.
        key_properties: As the SCHEMA names them; empty if it names none.
        clock: Gives the current time.
    """

    stream: str
    output: str
    key_properties: tuple[str, ...]
    clock: Clock


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule with its options. The options of a rule are the fields of its class.

    A subclass checks its options in ``__post_init__`` and raises ``ValueError`` with what to do.
    """

    rule: ClassVar[str]

    def fields(self) -> tuple[str, ...]:
        """The properties that the rule reads; a SCHEMA without one of them is refused."""
        raise NotImplementedError

    def check(self, stream: StreamFacts) -> Check:
        """Make the check for one stream of this run.

        Raises:
            SettingsError: The rule can't work on this stream.
        """
        raise NotImplementedError

    def may_hold(self) -> bool:
        """Whether the check can answer `NotYet`."""
        return False
