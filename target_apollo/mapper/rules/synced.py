"""The rule that drops leads that were synced to Apollo before and have not changed since."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import msgspec
from typing_extensions import override

from target_apollo.config.environment import source_by_default
from target_apollo.config.schema import SCHEMA
from target_apollo.mapper.rules.base import Check, Lead, LookupCheck, Rule, StreamFacts
from target_apollo.mapper.rules.known import (
    check_has_key,
    key_in_ledger,
    ledger_errors,
    open_ledger,
)
from target_apollo.model.times import moment

MARGIN = timedelta(minutes=5)
"""How long before its last sync a change of a lead still counts as a change since that sync.

The ledger's time of a sync is the start of the run. The tap may have read the row a little earlier,
and the clock of the warehouse may be slow. A lead that passes without a change costs no request:
the target finds its payload unchanged."""


def _ledger_of_the_target() -> str:
    """URL of the ledger that the target uses, unless its config says otherwise."""
    default: str = SCHEMA["properties"]["ledger_url"]["default"]
    return os.environ.get("TARGET_APOLLO_LEDGER_URL", default)


def _source_of_the_target() -> str:
    """Where the target's rows come from, unless its config says otherwise."""
    return os.environ.get("TARGET_APOLLO_SOURCE", source_by_default())


class NotSynced(Rule, frozen=True, kw_only=True):
    """Not in Apollo yet by the ledger, or changed since it was synced."""

    rule: ClassVar[str] = "not_synced"

    ledger_url: str = msgspec.field(default_factory=_ledger_of_the_target)
    updated_at: str = "updated_at"
    connection: str | None = None
    #: As the setting `source` of the target. Leads of other sources, and links from before there
    #: were sources, count for nothing: they may be other leads with the same keys.
    source: str = msgspec.field(default_factory=_source_of_the_target)

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the time of the last change."""
        return (self.updated_at,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the ledger has no sync of the lead since its last change."""
        check_has_key(self.rule, stream)
        if not self.ledger_url:
            # An empty ledger_url switches the ledger off, as in the target.
            return _knows_no_lead
        with ledger_errors(f"Setting rules.{self.rule}.ledger_url"):
            ledger = open_ledger(self.ledger_url)
        if ledger is None:
            return _knows_no_lead
        from target_apollo.ledger import source_key

        output, connection, source = stream.output, self.connection, self.source

        def synced_at(keys: Collection[str]) -> Mapping[str, datetime]:
            with ledger_errors("The ledger can't be read"):
                return ledger.synced_at(output, keys, connection=connection, source=source)

        return ChangedSinceSync(stream.key_properties, self.updated_at, source_key, synced_at)


class ChangedSinceSync(LookupCheck):
    """The check that a lead changed since its last sync.

    Args:
        key_properties: The stream's key properties.
        updated_at: The property with the time of the last change.
        source_key: Makes the ledger's key from key values; raises ValueError if they are no key.
        synced_at: Looks up the last sync of each key, for many keys at once.
    """

    def __init__(
        self,
        key_properties: Sequence[str],
        updated_at: str,
        source_key: Callable[[Sequence[object]], str],
        synced_at: Callable[[Collection[str]], Mapping[str, datetime]],
    ) -> None:
        self._key_properties = key_properties
        self._updated_at = updated_at
        self._source_key = source_key
        self._synced_at = synced_at
        self._synced: Mapping[str, datetime] = {}

    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up the last sync of each of these leads."""
        keys = {key for key in map(self._key, leads) if key is not None}
        self._synced = self._synced_at(keys)

    def __call__(self, lead: Lead) -> str | None:
        """Why the lead fails the rule; None without a sync or with a change since."""
        if not self._synced:
            return None
        key = self._key(lead)
        synced = None if key is None else self._synced.get(key)
        if synced is None:
            return None
        changed = moment(lead.get(self._updated_at))
        if changed is not None and changed > synced - MARGIN:
            return None
        return f"was synced on {synced:%Y-%m-%d %H:%M} UTC and has not changed since"

    def _key(self, lead: Lead) -> str | None:
        return key_in_ledger(lead, self._key_properties, self._source_key)


def _knows_no_lead(lead: Lead) -> None:
    """Passes each lead: a ledger that does not exist has no syncs."""
