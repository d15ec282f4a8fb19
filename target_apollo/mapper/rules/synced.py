"""The rule that a lead was not synced to Apollo before, unless it changed since."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import msgspec
from typing_extensions import override

from target_apollo.mapper.errors import InputError, SettingsError
from target_apollo.mapper.rules.base import Check, Lead, LookupCheck, Rule, StreamFacts
from target_apollo.model.values import moment

MARGIN = timedelta(minutes=5)
"""The ledger knows a lead up to the start of the run that wrote it. The tap may have read the row
a little earlier, and the warehouse's clock may be behind, so a lead that changed in this time
before counts as changed. If it was not, the target sees the same payload and sends no request."""


def _ledger_of_the_target() -> str:
    """Where the target keeps its ledger, unless the settings of either say otherwise."""
    return os.environ.get("TARGET_APOLLO_LEDGER_URL", "sqlite:///.target-apollo/ledger.db")


class NotSynced(Rule, frozen=True, kw_only=True):
    """Not in Apollo yet by the ledger, or changed since it was synced."""

    rule: ClassVar[str] = "not_synced"

    ledger_url: str = msgspec.field(default_factory=_ledger_of_the_target)
    updated_at: str = "updated_at"
    connection: str | None = None

    @override
    def fields(self) -> tuple[str, ...]:
        """The property with the time of the last change."""
        return (self.updated_at,)

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The ledger has no link under the output stream's name, or one older than the change."""
        if not stream.key_properties:
            raise SettingsError(
                f"The rule not_synced can't work on stream '{stream.stream}': its SCHEMA names no "
                "key properties by which the ledger could know a lead. Set them in the tap's "
                "catalog, or set rules.not_synced to false."
            )
        if not self.ledger_url:
            # The target's own way to say that there is no ledger.
            return _knows_no_lead
        # The ledger brings SQLAlchemy, which runs without this rule need not load.
        from target_apollo.ledger import Ledger, LedgerError, source_key

        try:
            ledger = Ledger.open_existing(self.ledger_url)
        except LedgerError as error:
            raise SettingsError(f"Setting rules.not_synced.ledger_url: {error}") from None
        if ledger is None:
            return _knows_no_lead
        output, connection = stream.output, self.connection

        def synced_at(keys: Collection[str]) -> Mapping[str, datetime]:
            try:
                return ledger.synced_at(output, keys, connection=connection)
            except LedgerError as error:
                raise InputError(f"The ledger can't be read: {error}") from None

        return ChangedSinceSync(stream.key_properties, self.updated_at, source_key, synced_at)


class ChangedSinceSync(LookupCheck):
    """Compares leads with their last syncs, which are looked up for a set of leads at a time."""

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
        """No sync is known, or the lead changed after it."""
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
        try:
            return self._source_key([lead.get(name) for name in self._key_properties])
        except ValueError:
            # A key of a list or an object; the target rejects such a record with a reason.
            return None


def _knows_no_lead(lead: Lead) -> None:
    """A ledger that does not exist yet has no link for any lead."""
