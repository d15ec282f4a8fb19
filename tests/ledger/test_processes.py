from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from target_apollo.ledger import AnotherRunActive, Ledger
from target_apollo.ledger.tables import CREATION_LOCK, VERSION
from tests.helpers import child_process

TEAM = "5f5e100c0d4ae7000181a2b3"
Sql = Callable[[str], list[tuple[object, ...]]]
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(ledger_url: str) -> Iterator[Start]:
    """Start a process that does one of the things in `child_process.py`."""
    children: list[subprocess.Popen[str]] = []

    def start_one(what: str) -> subprocess.Popen[str]:
        children.append(
            subprocess.Popen(
                [
                    sys.executable,
                    str(Path(child_process.__file__)),
                    what,
                    ledger_url,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return children[-1]

    yield start_one
    for child in children:
        child.kill()
        child.communicate()


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def lock_within_seconds(url: str, seconds: float) -> None:
    """PostgreSQL ends a killed run's session when it notices the closed socket, so try again."""
    deadline = time.monotonic() + seconds
    with Ledger.open(url) as ledger:
        while True:
            try:
                ledger.lock(TEAM, "contacts", "run-2")
            except AnotherRunActive:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


@pytest.mark.full
def test_two_runs_at_once_the_second_ends_at_the_start(start: Start, ledger: Ledger) -> None:
    child = start("hold_a_lock")
    assert said(child) == "locked"
    with pytest.raises(AnotherRunActive, match=f"process {child.pid} on "):
        ledger.lock(TEAM, "contacts", "run-2")


def test_a_lock_left_by_a_killed_run_is_taken_over_by_the_next(
    start: Start, ledger_url: str, run_sql: Sql
) -> None:
    child = start("hold_a_lock")
    assert said(child) == "locked"
    child.kill()
    child.wait()
    assert run_sql("SELECT run_id FROM apollo_locks") == [("run-1",)]
    # In SQLite at the first try; the heartbeat, 60 seconds, would outlast this.
    lock_within_seconds(ledger_url, 0 if ledger_url.startswith("sqlite") else 20)


@pytest.mark.full
def test_processes_that_create_the_same_ledger_at_once_all_succeed(
    start: Start, run_sql: Sql
) -> None:
    children = [start("open_when_told") for _ in range(5)]
    assert [said(child) for child in children] == ["ready"] * 5
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [said(child) for child in children] == ["opened"] * 5
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(VERSION,)]
    assert run_sql("SELECT count(*) FROM apollo_links") == [(5,)]


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_process_waits_for_another_that_is_creating_the_tables(
    start: Start, ledger_url: str, run_sql: Sql
) -> None:
    child = start("open_when_told")
    assert said(child) == "ready"
    with psycopg.connect(ledger_url) as creator:
        creator.execute("SELECT pg_advisory_xact_lock(%s)", [CREATION_LOCK])
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        waiting = "SELECT DISTINCT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        deadline = time.monotonic() + 60
        while not run_sql(waiting) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert run_sql("SELECT to_regclass('apollo_row_links')") == [(None,)]
        assert run_sql(waiting) == [(1,)]
    assert said(child) == "opened"


def test_a_run_killed_before_its_commit_leaves_the_links_of_the_flush_before(
    start: Start, ledger_url: str, run_sql: Sql
) -> None:
    child = start("die_before_a_commit")
    assert child.wait(60) == -signal.SIGKILL
    links = "SELECT DISTINCT run_id, apollo_id FROM apollo_links"
    assert run_sql(links) == [("run-1", f"{1:024x}")]
    lock_within_seconds(ledger_url, 20)


@pytest.mark.full
def test_a_run_killed_at_any_moment_leaves_whole_flushes(
    start: Start, ledger_url: str, run_sql: Sql
) -> None:
    moments = random.Random(20240501)
    for _ in range(6):
        child = start("write_for_ever")
        last = said(child)
        time.sleep(moments.uniform(0, 0.2))
        child.kill()
        rest, _nothing = child.communicate()
        # A line may be cut off by the kill; the last whole one was committed.
        lines = [last, *(line.strip() for line in rest.splitlines(keepends=True) if "\n" in line)]
        committed = int(lines[-1].split()[1])
        with Ledger.open(ledger_url):
            pass
        (row,) = run_sql("SELECT min(apollo_id), max(apollo_id), count(*) FROM apollo_links")
        # The flush after it may have been committed, too, but not yet reported.
        assert row in [(f"{n:024x}", f"{n:024x}", 2_000) for n in (committed, committed + 1)]
    if ledger_url.startswith("sqlite"):
        assert run_sql("PRAGMA integrity_check") == [("ok",)]
