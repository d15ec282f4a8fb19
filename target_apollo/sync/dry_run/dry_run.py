"""What a dry run takes in place of a run's transport and ledger."""

from __future__ import annotations

from functools import partial
from typing import Any

from target_apollo.apollo import Transport, TransportProtocol, endpoints, request_to
from target_apollo.apollo.answers import CheckedBody
from target_apollo.ledger import Ledger
from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.sync.dry_run.estimate import Terms, outlook
from target_apollo.sync.dry_run.known_records import Lookups, Records
from target_apollo.sync.dry_run.ledger import RehearsedLedger
from target_apollo.sync.dry_run.seen_rows import SeenRows
from target_apollo.sync.dry_run.simulated_apollo import Team
from target_apollo.sync.dry_run.transport import RehearsedLimits, RehearsedTransport


class Rehearsal:
    """One rehearsal.

    Attributes:
        transport: For the run's client.
        lookups: What was asked that a run would not ask.
        limits: Apollo's limits, and what the rehearsed requests would leave of them.
    """

    def __init__(self, transport: Transport) -> None:
        self._sends = transport
        self._records = Records()
        self.seen = SeenRows()
        self.lookups = Lookups(transport, self._records)
        self.team = Team(self._records, self.lookups, partial(_labels, transport))
        self.limits = RehearsedLimits(transport)
        self.transport = RehearsedTransport(transport, self.team, self.limits)

    def ledger(self, ledger_url: str) -> Ledger:
        """The ledger of the setting `ledger_url`, read only.

        Raises:
            LedgerError: It can't be opened.
        """
        return RehearsedLedger.over(ledger_url, self._trust)

    def estimate(
        self, *, quota_share: float, max_wait_seconds: float, parallel_requests: int
    ) -> dict[str, Any]:
        """What the run would send and need, as the summary has it under ``estimate``."""
        terms = Terms(
            quota_share,
            max_wait_seconds,
            parallel_requests,
            self.transport.mean_seconds,
        )
        return {
            **outlook(self.transport.requests, self.limits, self._sends.quota, terms),
            "looked_up": self.lookups.sent,
            "not_looked_up": {
                kind.value: number for kind, number in self.lookups.not_looked_up.items()
            },
            "not_looked_up_because": self.lookups.ended_because,
        }

    def close(self) -> None:
        """Gives up what was kept for the time of the rehearsal."""
        self._records.close()
        self.seen.close()

    def show(self, object_type: ObjectType, apollo_id: str) -> Json:
        """A record as Apollo has it, or as the rehearsal has made it.

        Raises:
            RequestRefused: There is none.
        """
        return self.team.known(object_type.kind, apollo_id) or self.lookups.read(
            object_type, apollo_id
        )

    def _trust(self, singular: str, apollo_ids: frozenset[str]) -> None:
        self.team.trust(ObjectKind(f"{singular}s"), apollo_ids)


def _labels(transport: TransportProtocol) -> list[Json]:
    answer = transport.send(request_to(endpoints.LABELS))
    return CheckedBody(endpoints.LABELS, answer).bare_records()
