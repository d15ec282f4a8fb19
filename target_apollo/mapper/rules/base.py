"""What the rules share: typed options, the properties that they read, checks and reasons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import Self, override

from target_apollo.model.texts.characters import bare, is_blank
from target_apollo.model.texts.spelling import spelled_as

#: Gives the current time, aware and in UTC.
Clock = Callable[[], datetime]

Lead = Mapping[str, object]
"""The properties of a record that rules read: name -> value as the tap wrote it."""

Check = Callable[[Lead], "str | None"]
"""Returns why a lead fails the rule, in words for a sales person, or None if it passes.

It raises for no value, whatever its type. A reason of type `NotYet` means that the lead may pass
later without a change, one of type `WithholdField` that it passes without one of its properties."""


class NotYet(str):
    """A reason that ends by itself. A lead with only such reasons is held, not dropped."""

    __slots__ = ()


class WithholdField(str):
    """A reason for which a lead goes on without one of its properties. The lead does not fail.

    Attributes:
        field: The property that the target does not get.
        apollo_id: The record by which the target then knows the lead; None if it has other keys.
    """

    __slots__ = ("apollo_id", "field")

    field: str
    apollo_id: str | None

    def __new__(cls, reason: str, field: str, apollo_id: str | None) -> Self:
        """A reason with the property that is withheld."""
        withheld = super().__new__(cls, reason)
        withheld.field = field
        withheld.apollo_id = apollo_id
        return withheld


class LookupCheck(ABC):
    """A check that looks something up for many leads at once."""

    @abstractmethod
    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up what the checks of these leads need, which are called next."""

    @abstractmethod
    def __call__(self, lead: Lead) -> str | None:
        """Check one of the leads of the last `prepare`, like a `Check`."""


@dataclass(frozen=True)
class StreamFacts:
    """The stream for which a check is made.

    Attributes:
        stream: Its name in the tap.
        output: Its name in the target, and so in the ledger.
        key_properties: Those of its SCHEMA; empty if it has none.
        clock: Gives the current time.
    """

    stream: str
    output: str
    key_properties: tuple[str, ...]
    clock: Clock


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule. The fields of its class are the options of the rule.

    A subclass checks its options in ``__post_init__`` and raises ``ValueError``, whose message says
    what to do. Its docstring is the description of the rule in the JSON schema of the settings.
    """

    rule: ClassVar[str]

    def fields(self) -> tuple[str, ...]:
        """The properties that the rule reads, which the SCHEMA must have."""
        raise NotImplementedError

    def spelled(self, properties: Collection[str]) -> Self:
        """The rule with the names of its properties as a SCHEMA spells them."""
        rule = self
        for option in self.__struct_fields__:
            value = getattr(rule, option)
            if isinstance(value, str):
                there: object = spelled_as(value, properties)
            elif isinstance(value, tuple):
                there = tuple(
                    spelled_as(one, properties) if isinstance(one, str) else one for one in value
                )
            else:
                continue
            other = replace(rule, **{option: there})
            # Other options hold values of a lead, which stay as they are.
            if other.fields() != rule.fields():
                rule = other
        return rule

    def check(self, stream: StreamFacts) -> Check:
        """Make the check for one stream of a run.

        Raises:
            SettingsError: The rule can't work on this stream.
        """
        raise NotImplementedError

    def may_hold(self) -> bool:
        """Whether the check can answer `NotYet`."""
        return False


class FieldRule(Rule, frozen=True, kw_only=True):
    """A rule that reads one property, named by its option `field`."""

    field: str

    @override
    def fields(self) -> tuple[str, ...]:
        """The property in `field`."""
        return (self.field,)


#: Most characters of a value that a reason quotes; the verdict also has the whole value.
LONGEST_SHOWN = 80


def caseless(value: str) -> str:
    """A word, a key or a host in the form in which it is compared: trimmed, without upper case.

    Names of stages are compared by `folded`, as in the target.
    """
    return bare(value).casefold()


def kind(value: object) -> str:
    """The type of a value in words, for a reason: ``text``, ``a number``, ``a list``, ``empty``."""
    if is_blank(value):
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def shown(value: object) -> str:
    """A value for a reason: text in quotes (cut if it is long), a number, else its `kind`."""
    if isinstance(value, str) and value.strip():
        trimmed = value.strip()
        return f"'{trimmed if len(trimmed) <= LONGEST_SHOWN else trimmed[:LONGEST_SHOWN] + '…'}'"
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return str(value)
    return kind(value)
