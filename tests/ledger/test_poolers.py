"""A ledger in PostgreSQL behind a pooler that gives each transaction another session."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from target_apollo.demo.postgres import PostgresServer, server_of
from target_apollo.ledger import (
    AnotherRunActive,
    Intent,
    Ledger,
    LedgerError,
    LinkOutcome,
    LinkStatus,
    LockLost,
    Place,
)
from target_apollo.ledger.database import Address
from target_apollo.tap.bookmark import settled_until
from tests.helpers.databases import database_on
from tests.helpers.poolers import needs_pgbouncer, pgbouncer

TEAM = "5f5e100c0d4ae7000181a2b3"
PLACE = Place(TEAM, "contact", "contacts")
KEYS = [str(number) for number in range(300)]


@pytest.fixture
def ledger_url(pooler_url: str) -> str:
    return pooler_url


def test_a_second_run_is_refused_whatever_session_it_gets(opened: Callable[[], Ledger]) -> None:
    first = opened()
    first.lock(TEAM, "contacts", "run-1")
    for _ in range(6):
        with pytest.raises(AnotherRunActive, match="Run run-1"):
            opened().lock(TEAM, "contacts", "run-2")
    first.close()
    opened().lock(TEAM, "contacts", "run-2")


def test_hundreds_of_links_are_written_and_found(opened: Callable[[], Ledger]) -> None:
    ledger, other = opened(), opened()
    ledger.lock(TEAM, "contacts", "run-1")
    for number in range(1, 8):
        ledger.record_intents(PLACE, "run-1", [Intent(key) for key in KEYS[:100]])
        outcomes = [LinkOutcome(key, LinkStatus.UPDATED, f"{number:024x}") for key in KEYS]
        ledger.record_outcomes(PLACE, "run-1", outcomes)
        links = other.links(PLACE, KEYS)
        assert {links[key].apollo_id for key in KEYS} == {f"{number:024x}"}


def test_a_reader_leaves_no_session_that_refuses_to_write(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    for _ in range(6):
        reader = Ledger.open_existing(ledger_url)
        assert reader is not None
        with reader:
            reader.links(PLACE, ["1"])
        with Ledger.open(ledger_url) as writer:
            writer.record_intents(PLACE, "run-1", [Intent("1")])


def test_a_run_whose_lock_was_taken_over_writes_no_more(
    opened: Callable[[], Ledger], ledger_url: str
) -> None:
    first, second = opened(), opened()
    first.lock(TEAM, "contacts", "run-1")
    with psycopg.connect(ledger_url) as database:
        database.execute("UPDATE apollo_locks SET host = 'other', heartbeat_at = '2024-05-01'")
    second.lock(TEAM, "contacts", "run-2")
    with pytest.raises(LockLost):
        first.record_intents(PLACE, "run-1", [Intent("1")])
    assert second.links(PLACE, ["1"]) == {}


def test_the_tap_sees_when_all_writes_are_settled(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    address = Address.of(ledger_url)
    with address.engine(read_only=True).connect() as database:
        assert settled_until(address, database) is not None


# What a pooler refuses


@pytest.fixture
def server(postgresql_server: str) -> PostgresServer:
    return server_of(postgresql_server)


@needs_pgbouncer
def test_a_pooler_that_keeps_no_transaction_is_refused_with_a_sentence(
    server: PostgresServer,
) -> None:
    with (
        database_on(server) as database,
        pgbouncer(database, mode="statement") as pooled,
        pytest.raises(LedgerError, match="pool_mode"),
    ):
        Ledger.open(pooled.url)


@needs_pgbouncer
def test_options_that_a_pooler_does_not_pass_on_are_refused_with_a_sentence(
    server: PostgresServer,
) -> None:
    with (
        database_on(server) as database,
        pgbouncer(database) as pooled,
        pytest.raises(LedgerError, match="for the role or the database"),
    ):
        Ledger.open(f"{pooled.url}?options=-csearch_path%3Dcrm")
