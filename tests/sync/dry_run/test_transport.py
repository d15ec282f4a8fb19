from __future__ import annotations

from typing import Any

import pytest

from target_apollo.apollo import ENDPOINTS, Answer, Request
from target_apollo.apollo.endpoints import READING
from target_apollo.sync.dry_run.known_records import KnownRecords
from target_apollo.sync.dry_run.lookups import RecordLookups
from target_apollo.sync.dry_run.simulated_apollo import SimulatedApollo
from target_apollo.sync.dry_run.transport import DryRunLimits, DryRunTransport


class Apollo:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.body: Any = {}

    def send(self, request: Request) -> Answer:
        self.sent.append(request.endpoint)
        return Answer(200, self.body, attempts=1, seconds=0.25)


def dry_run_transport(apollo: Apollo) -> DryRunTransport:
    records = KnownRecords()
    simulated = SimulatedApollo(records, RecordLookups(apollo, records))
    return DryRunTransport(apollo, simulated, DryRunLimits(apollo))


def test_what_reads_is_sent_and_counted() -> None:
    apollo = Apollo()
    transport = dry_run_transport(apollo)

    transport.send(Request("GET", "/fields", "GET /fields"))

    assert apollo.sent == ["GET /fields"]
    assert transport.requests == {"GET /fields": 1}
    assert transport.mean_seconds == 0.25


def test_a_team_without_lists_is_asked_for_them_once() -> None:
    apollo = Apollo()
    apollo.body = []
    transport = dry_run_transport(apollo)

    for _ in range(2):
        transport.send(Request("GET", "/labels", "GET /labels"))

    assert apollo.sent == ["GET /labels"]


def test_a_request_that_nothing_answers_is_not_sent() -> None:
    apollo = Apollo()

    with pytest.raises(NotImplementedError):
        dry_run_transport(apollo).send(Request("POST", "/deals", "POST /deals", {"name": "x"}))

    assert "POST /deals" not in apollo.sent


def test_every_endpoint_of_a_run_is_read_or_answered() -> None:
    records = KnownRecords()
    answered = set(SimulatedApollo(records, RecordLookups(Apollo(), records))._answers)

    # Custom fields are made by a command of their own, never by a run.
    assert set(ENDPOINTS) - READING - answered == {"POST /fields"}
