"""The leads that the target's ledger knows, for rules that treat them otherwise than new ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from target_apollo.mapper.errors import InputError, SettingsError
from target_apollo.mapper.rules.base import Lead, Rule, StreamFacts
from target_apollo.model.texts.characters import is_blank

if TYPE_CHECKING:
    from target_apollo.ledger import Ledger

_log = logging.getLogger(__name__)

#: Source keys -> the Apollo ids of those among them that have a record.
RecordsOf = Callable[[Collection[str]], Mapping[str, frozenset[str]]]


class LedgerRule(Rule, frozen=True, kw_only=True):
    """A rule that asks the target's ledger which leads are known.

    Its three options are those of the rule `not_synced`; None stands for what that rule has.
    """

    of_ledger: ClassVar[tuple[str, ...]] = ("ledger_url", "connection", "source")

    ledger_url: str | None = None
    connection: str | None = None
    source: str | None = None

    def asks_ledger(self) -> bool:
        """Whether the rule asks the ledger, with its other options as they are."""
        return True

    def known_leads(self, stream: StreamFacts) -> KnownLeads:
        """The leads of a stream that the ledger knows; none of them without a ledger.

        Raises:
            SettingsError, InputError: The ledger can't be opened, or the stream has no key.
        """
        check_has_key(self.rule, stream)
        from target_apollo.ledger import source_key

        return KnownLeads(stream.key_properties, source_key, self._records_of(stream))

    def _records_of(self, stream: StreamFacts) -> RecordsOf | None:
        if not self.ledger_url:
            return None
        output, connection, source = stream.output, self.connection, self.source or ""
        with ledger_errors(f"Setting rules.{self.rule}.ledger_url"):
            ledger = open_ledger(self.ledger_url)
            if ledger is None:
                _log.warning(
                    "The rule %s finds no ledger (setting ledger_url), so every lead of stream "
                    "'%s' counts as new. That is right before the first sync.",
                    self.rule,
                    stream.stream,
                )
                return None
            if ledger.has_links(output) and not ledger.has_links(output, source):
                _log.warning(
                    "The rule %s finds no lead of stream '%s' in the ledger under the source '%s', "
                    "only under others, so every lead counts as new. Give the rule the `source` of "
                    "the target.",
                    self.rule,
                    output,
                    source,
                )

        def records_of(keys: Collection[str]) -> Mapping[str, frozenset[str]]:
            with ledger_errors("The ledger can't be read"):
                return ledger.records_of_keys(output, keys, connection=connection, source=source)

        return records_of


class KnownLeads:
    """Looks up the records of leads in the ledger, for many leads at once.

    Args:
        key_properties: The stream's key properties.
        source_key: Makes the ledger's key from key values; raises ValueError if they are no key.
        records_of: Looks up the records of keys; None without a ledger.
    """

    def __init__(
        self,
        key_properties: Sequence[str],
        source_key: Callable[[Sequence[object]], str],
        records_of: RecordsOf | None,
    ) -> None:
        self._key_properties = key_properties
        self._source_key = source_key
        self._records_of = records_of
        self._found: Mapping[str, frozenset[str]] = {}

    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up these leads, which are asked for next."""
        if self._records_of is not None:
            keys = {key for key in map(self._key, leads) if key is not None}
            self._found = self._records_of(keys) if keys else {}

    def is_known(self, lead: Lead) -> bool:
        """Whether one of the leads of the last `prepare` has a record in Apollo."""
        return bool(self._records(lead))

    def record_of(self, lead: Lead) -> str | None:
        """The Apollo id of such a lead; None if it has none, or one in each of several teams."""
        found = self._records(lead)
        return next(iter(found)) if len(found) == 1 else None

    def _records(self, lead: Lead) -> frozenset[str]:
        key = self._key(lead) if self._found else None
        return frozenset() if key is None else self._found.get(key, frozenset())

    def _key(self, lead: Lead) -> str | None:
        return key_in_ledger(lead, self._key_properties, self._source_key)


def key_in_ledger(
    lead: Lead, key_properties: Sequence[str], source_key: Callable[[Sequence[object]], str]
) -> str | None:
    """The key under which the ledger may know a lead; None where it can't know it."""
    values = [lead.get(name) for name in key_properties]
    if any(map(is_blank, values)):
        # The target rejects a record with a missing key: the ledger knows no such row.
        return None
    try:
        return source_key(values)
    except ValueError:
        # The key has a list or an object. The target rejects such a record with a reason.
        return None


# The ledger imports SQLAlchemy, which runs without a rule that asks it need not load.


def open_ledger(url: str) -> Ledger | None:
    """The target's ledger; None before its first run. Errors as of `Ledger.open_existing`."""
    from target_apollo.ledger import Ledger

    return Ledger.open_existing(url)


@contextmanager
def ledger_errors(what: str) -> Iterator[None]:
    """Turns errors of the ledger into those of the mapper.

    Args:
        what: What could not be done, as the beginning of the sentence.

    Raises:
        SettingsError: A person has to do something about the ledger first.
        InputError: The ledger can't be read now.
    """
    from target_apollo.ledger import LedgerError, LedgerUnusable

    try:
        yield
    except LedgerUnusable as error:
        raise SettingsError(f"{what}: {error}") from None
    except LedgerError as error:
        raise InputError(f"{what}: {error}") from None


def check_has_key(rule: str, stream: StreamFacts) -> None:
    """Checks that the ledger could know the leads of a stream.

    Raises:
        SettingsError: The stream has no key properties.
    """
    if not stream.key_properties:
        raise SettingsError(
            f"The rule {rule} can't work on stream '{stream.stream}': its SCHEMA names no key "
            "properties by which the ledger could know a lead. Set them in the tap's catalog, or "
            f"set rules.{rule} to false."
        )
