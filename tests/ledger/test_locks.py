from __future__ import annotations

import hashlib
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from target_apollo.ledger import (
    AnotherRunActive,
    Intent,
    Ledger,
    LedgerError,
    LinkOutcome,
    LinkStatus,
    LockLost,
    Place,
    Walk,
    locks,
)
from target_apollo.ledger.locks import STALE_AFTER, Holder, is_stale
from target_apollo.ledger.processes import Process

TEAM = "5f5e100c0d4ae7000181a2b3"
NOW = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
FRESH, STALE = NOW - STALE_AFTER, NOW - STALE_AFTER - timedelta(seconds=1)
Sql = Callable[[str], list[tuple[object, ...]]]


def holder(process: Process, heartbeat_at: datetime) -> Holder:
    return Holder("run-1", "token", process, heartbeat_at, heartbeat_at)


@pytest.fixture
def ended() -> Process:
    """A process of this machine that has run and ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return replace(Process.current(), pid=child.pid)


# Who is gone


def test_a_process_that_has_ended_is_gone_at_once(ended: Process) -> None:
    assert is_stale(holder(ended, NOW), Process.current(), NOW)


def test_a_process_that_runs_is_not_gone_however_old_its_heartbeat() -> None:
    here = Process.current()
    assert not is_stale(holder(here, STALE), here, NOW)


def test_a_process_whose_number_another_has_now_is_gone() -> None:
    here = Process.current()
    assert is_stale(holder(replace(here, started="1"), NOW), here, NOW)


def test_a_killed_process_is_gone_before_its_parent_takes_notice() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        process = replace(Process.current(), pid=child.pid, started=None)
        assert is_stale(holder(process, NOW), Process.current(), NOW)


@pytest.mark.parametrize("elsewhere", [{"host": "other"}, {"space": "other container"}])
def test_a_process_elsewhere_is_gone_once_its_heartbeat_is_stale(
    ended: Process, elsewhere: dict[str, str]
) -> None:
    there = replace(ended, **elsewhere)  # type: ignore[arg-type]
    here = Process.current()
    assert not is_stale(holder(there, FRESH), here, NOW)
    assert is_stale(holder(there, STALE), here, NOW)


def test_a_heartbeat_far_in_the_future_does_not_hold_a_lock_for_good() -> None:
    there = replace(Process.current(), host="other")
    assert is_stale(holder(there, NOW + timedelta(days=365)), Process.current(), NOW)


# One run at a time


def test_a_second_run_on_the_same_stream_is_told_which_and_since_when(
    opened: Callable[[], Ledger],
) -> None:
    opened().lock(TEAM, "contacts", "run-1")
    with pytest.raises(AnotherRunActive) as refused:
        opened().lock(TEAM, "contacts", "run-2")
    sentence = str(refused.value)
    assert f"Run run-1 (process {os.getpid()} on " in sentence
    assert "the stream 'contacts'" in sentence
    assert re.search(r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", sentence)
    assert "ledger_url" in sentence


def test_other_streams_and_other_connections_are_free(opened: Callable[[], Ledger]) -> None:
    opened().lock(TEAM, "contacts", "run-1")
    second = opened()
    second.lock(TEAM, "accounts", "run-2")
    second.lock("5f5e100c0d4ae7000181ffff", "contacts", "run-2")


def test_a_released_lock_is_free_for_the_next_run(opened: Callable[[], Ledger]) -> None:
    with opened().lock(TEAM, "contacts", "run-1"):
        pass
    opened().lock(TEAM, "contacts", "run-2")


def test_a_closed_ledger_holds_no_lock(opened: Callable[[], Ledger]) -> None:
    first = opened()
    first.lock(TEAM, "contacts", "run-1")
    first.lock(TEAM, "accounts", "run-1")
    first.close()
    second = opened()
    second.lock(TEAM, "contacts", "run-2")
    second.lock(TEAM, "accounts", "run-2")


def test_a_run_that_asks_again_has_the_lock_it_holds(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    lock = ledger.lock(TEAM, "contacts", "run-1")
    assert ledger.lock(TEAM, "contacts", "run-1") is lock
    lock.release()
    lock.release()
    opened().lock(TEAM, "contacts", "run-2")


def test_a_refused_run_takes_nothing_from_the_one_that_holds_the_lock(
    opened: Callable[[], Ledger],
) -> None:
    first, second = opened(), opened()
    first.lock(TEAM, "contacts", "run-1")
    with pytest.raises(AnotherRunActive):
        second.lock(TEAM, "contacts", "run-2")
    second.close()
    with pytest.raises(AnotherRunActive):
        opened().lock(TEAM, "contacts", "run-3")
    first.record_intents(Place(TEAM, "contact", "contacts"), "run-1", [Intent("1")])


# A lock that is lost


def test_the_heartbeat_goes_on_while_the_run_waits(
    ledger: Ledger, run_sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.02)
    ledger.lock(TEAM, "contacts", "run-1")
    ledger.lock(TEAM, "accounts", "run-1")
    heartbeats = "SELECT DISTINCT heartbeat_at FROM apollo_locks"
    seen = set(run_sql(heartbeats))
    deadline = time.monotonic() + 60
    while len(seen) < 6 and time.monotonic() < deadline:
        seen.update(run_sql(heartbeats))
    assert len(seen) >= 6


def test_a_run_whose_lock_was_taken_over_writes_no_more(
    opened: Callable[[], Ledger], run_sql: Sql
) -> None:
    first, second = opened(), opened()
    first.lock(TEAM, "contacts", "run-1")
    run_sql("UPDATE apollo_locks SET host = 'other', heartbeat_at = '2024-05-01 12:00:00.000000'")
    second.lock(TEAM, "contacts", "run-2")
    outcome = LinkOutcome("1", LinkStatus.ERROR)
    with pytest.raises(LockLost, match=r"'contacts'.*ledger_url"):
        first.record_intents(Place(TEAM, "contact", "contacts"), "run-1", [Intent("1")])
    with pytest.raises(LockLost):
        first.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [outcome])
    with pytest.raises(LockLost):
        first.drop_links(Place(TEAM, "contact", "contacts"), ["6095a710bd01d100a506d4ae"])
    with pytest.raises(LockLost):
        first.save_companies(TEAM, {"sha256:1": "6095a710bd01d100a506d4ae"})
    with pytest.raises(LockLost):
        first.save_walk(TEAM, Walk(2))
    first.close()
    assert run_sql("SELECT run_id FROM apollo_locks") == [("run-2",)]
    assert run_sql("SELECT * FROM apollo_links") == []
    second.record_intents(Place(TEAM, "contact", "contacts"), "run-2", [Intent("1")])


def test_a_run_whose_session_was_cut_still_has_its_lock(postgresql_url: str) -> None:
    name = f"cut_{secrets.token_hex(6)}"
    named = f"{postgresql_url}&application_name={name}"
    place = Place(TEAM, "contact", "contacts")
    with Ledger.open(named) as first, Ledger.open(postgresql_url) as second:
        first.lock(TEAM, "contacts", "run-1")
        with psycopg.connect(postgresql_url, autocommit=True) as admin:
            cut = admin.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [name],
            ).fetchall()
        assert cut == [(True,)]
        with pytest.raises(AnotherRunActive):
            second.lock(TEAM, "contacts", "run-2")
        with pytest.raises(LedgerError, match="run again"):
            first.record_intents(place, "run-1", [Intent("1")])
        first.record_intents(place, "run-1", [Intent("1")])
        first.close()
        second.lock(TEAM, "contacts", "run-2")


def test_a_run_of_an_earlier_release_excludes_others_by_its_session(postgresql_url: str) -> None:
    with Ledger.open(postgresql_url) as ledger:
        with psycopg.connect(postgresql_url) as earlier:
            name = "\0".join(("target-apollo", TEAM, "contacts")).encode()
            number = int.from_bytes(
                hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True
            )
            earlier.execute(
                "SELECT pg_advisory_lock(hashtextextended(current_schema(), %s))", [number]
            )
            with pytest.raises(AnotherRunActive):
                ledger.lock(TEAM, "contacts", "run-2")
        # The server ends a session a moment after its client has gone.
        with psycopg.connect(postgresql_url) as other:
            while other.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone():
                time.sleep(0.01)
        ledger.lock(TEAM, "contacts", "run-2")


def test_two_ledgers_in_one_postgresql_database_have_locks_of_their_own(
    postgresql_url: str, next_postgresql_url: str
) -> None:
    own, other = postgresql_url, next_postgresql_url
    with Ledger.open(own) as one, Ledger.open(other) as two:
        one.lock(TEAM, "contacts", "run-1")
        two.lock(TEAM, "contacts", "run-2")
