from __future__ import annotations

import pytest

from target_apollo.apollo import ENDPOINTS, Answer, Request
from target_apollo.apollo.endpoints import READING
from target_apollo.sync.dry_run.known_records import Lookups, Records
from target_apollo.sync.dry_run.simulated_apollo import Team
from target_apollo.sync.dry_run.transport import RehearsedLimits, RehearsedTransport


class Apollo:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, request: Request) -> Answer:
        self.sent.append(request.endpoint)
        return Answer(200, {}, attempts=1, seconds=0.25)


def rehearsed(apollo: Apollo) -> RehearsedTransport:
    records = Records()
    team = Team(records, Lookups(apollo, records), list)
    return RehearsedTransport(apollo, team, RehearsedLimits(apollo))


def test_what_reads_is_sent_and_counted() -> None:
    apollo = Apollo()
    transport = rehearsed(apollo)

    transport.send(Request("GET", "/fields", "GET /fields"))

    assert apollo.sent == ["GET /fields"]
    assert transport.requests == {"GET /fields": 1}
    assert transport.mean_seconds == 0.25


def test_a_request_that_nothing_answers_is_not_sent() -> None:
    apollo = Apollo()

    with pytest.raises(NotImplementedError):
        rehearsed(apollo).send(Request("POST", "/deals", "POST /deals", {"name": "x"}))

    assert "POST /deals" not in apollo.sent


def test_every_endpoint_of_a_run_is_read_or_answered() -> None:
    records = Records()
    answered = set(Team(records, Lookups(Apollo(), records), list)._answers)

    # Custom fields are made by a command of their own, never by a run.
    assert set(ENDPOINTS) - READING - answered == {"POST /fields"}
