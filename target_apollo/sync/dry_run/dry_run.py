"""The parts of a dry run, which take the place of a run's transport and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.apollo import Transport
from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.sync.dry_run.estimate import Terms, estimate
from target_apollo.sync.dry_run.known_records import KnownRecords, SeenRows
from target_apollo.sync.dry_run.ledger import LedgerOverlay
from target_apollo.sync.dry_run.lookups import RecordLookups
from target_apollo.sync.dry_run.simulated_apollo import SimulatedApollo
from target_apollo.sync.dry_run.transport import DryRunLimits, DryRunTransport


class DryRun:
    """One dry run.

    Attributes:
        transport: The transport for the run's client.
        lookups: Asks Apollo for records, in addition to the requests of a run.
        limits: Apollo's rate limits, and how much of them the requests would use.
        seen: The rows by e-mail and domain.
        apollo: Contacts, accounts and lists as the run would have changed them so far.
    """

    def __init__(self, transport: Transport) -> None:
        self._sends = transport
        self._records = KnownRecords()
        self.seen = SeenRows()
        self.lookups = RecordLookups(transport, self._records)
        self.apollo = SimulatedApollo(self._records, self.lookups)
        self.limits = DryRunLimits(transport)
        self.transport = DryRunTransport(transport, self.apollo, self.limits)

    def ledger(self, ledger_url: str) -> LedgerOverlay:
        """The ledger of the setting `ledger_url`, which is only read.

        Raises:
            LedgerError: It can't be opened.
        """
        return LedgerOverlay(ledger_url, self.apollo)

    def estimate(self, settings: Settings, may_follow: Mapping[str, int]) -> dict[str, Any]:
        """The requests that the run would send and their time, for ``estimate`` in the summary.

        Args:
            may_follow: Endpoint -> how many of them later runs may send, as no row waits for them.
        """
        terms = Terms(
            settings.quota_share,
            settings.max_wait_seconds,
            settings.parallel_requests,
            self.transport.mean_seconds,
        )
        return {
            **estimate(self.transport.requests, self.limits, self._sends.quota, terms, may_follow),
            "looked_up": self.lookups.sent,
            "not_looked_up": {
                kind.value: number for kind, number in self.lookups.not_looked_up.items()
            },
            "not_looked_up_because": self.lookups.ended_because,
        }

    def close(self) -> None:
        """Deletes the temporary data of the dry run."""
        self._records.close()
        self.seen.close()

    def show(self, object_type: ObjectType, apollo_id: str) -> Json:
        """A record as the dry run would have changed it so far.

        Raises:
            RequestRefused: There is no such record.
        """
        return self.apollo.known(object_type.kind, apollo_id) or self.lookups.read(
            object_type, apollo_id
        )
