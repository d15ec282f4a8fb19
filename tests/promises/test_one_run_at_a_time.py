"""Two target processes on one stream and one ledger: no older value wins, whatever ends the first.

The ledgers: SQLite, PostgreSQL, and PostgreSQL behind a pooler in transaction mode.
"""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from target_apollo.demo.postgres import server_of
from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.serving.faults import Fault, FaultKind
from tests.helpers.databases import database_on
from tests.helpers.poolers import needs_pgbouncer, pgbouncer, transaction_pooler
from tests.ledger.conftest import postgresql_server  # noqa: F401 - a fixture
from tests.promises.conftest import contact, lines_of, schema

CREATE, UPDATE = "POST /contacts/bulk_create", "PATCH /contacts/{id}"
ROWS = 40
AS_OF_ANOTHER_MACHINE = (
    "UPDATE apollo_locks SET host = 'elsewhere', heartbeat_at = '2024-05-01 12:00:00.000000'"
)
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.full),
        pytest.param("postgresql", marks=pytest.mark.full),
        "transaction_pooler",
        pytest.param("pgbouncer", marks=[pytest.mark.full, needs_pgbouncer]),
    ]
)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    server = server_of(request.getfixturevalue("postgresql_server"))
    with database_on(server) as database:
        if request.param == "postgresql":
            yield database.url
            return
        pooler = pgbouncer if request.param == "pgbouncer" else transaction_pooler
        with pooler(database) as pooled:
            yield pooled.url


@pytest.fixture
def start(
    apollo: Sandbox, tmp_path: Path, target_config: Callable[..., Path], ledger_url: str
) -> Iterator[Start]:
    config = target_config(apollo, batch_size=10, parallel_requests=1, ledger_url=ledger_url)
    started: list[subprocess.Popen[bytes]] = []

    def start_one(title: str) -> subprocess.Popen[bytes]:
        messages = tmp_path / f"{title}.singer"
        rows = [contact(number, title=title) for number in range(ROWS)]
        messages.write_bytes(lines_of([schema("contacts"), *rows]))
        with messages.open("rb") as sent:
            process = subprocess.Popen(
                [sys.executable, "-m", "target_apollo", "--config", str(config)],
                stdin=sent,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=tmp_path,
            )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, said = process.communicate(timeout=60)
    assert b"Traceback" not in said
    assert b"defect" not in said
    return process.returncode, said.decode()


def titles(apollo: Sandbox) -> list[str]:
    return [str(one["title"]) for one in apollo.store.contacts()]


def under_way(apollo: Sandbox, first: subprocess.Popen[bytes]) -> None:
    """Wait until the first run is in its second request, whose answer takes long."""
    while apollo.count(CREATE) < 2:
        assert first.poll() is None
        time.sleep(0.01)


def run_sql(ledger_url: str, statement: str) -> None:
    if ledger_url.startswith("sqlite"):
        path = ledger_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30)) as file, file:
            file.execute(statement)
    else:
        with psycopg.connect(ledger_url) as server:
            server.execute(statement.encode())


@pytest.mark.full
def test_a_run_that_starts_while_another_writes_is_refused(apollo: Sandbox, start: Start) -> None:
    apollo.inject(Fault(CREATE, FaultKind.SLOW, after=1, seconds=1))
    first = start("Old")
    under_way(apollo, first)
    # Stopped, it still runs: a machine that can see it does not take its lock.
    first.send_signal(signal.SIGSTOP)
    code, said = end_of(start("New"))
    assert code == 2
    assert f"process {first.pid} on " in said
    first.send_signal(signal.SIGCONT)
    assert end_of(first)[0] == 0
    assert end_of(start("New"))[0] == 0
    assert titles(apollo) == ["New"] * ROWS


@pytest.mark.full
def test_a_killed_run_holds_nobody_back(apollo: Sandbox, start: Start) -> None:
    apollo.inject(Fault(CREATE, FaultKind.SLOW, after=1, seconds=4))
    first = start("Old")
    under_way(apollo, first)
    first.kill()
    first.wait()
    assert end_of(start("New"))[0] == 0
    assert titles(apollo) == ["New"] * ROWS


@pytest.mark.full
def test_a_run_that_was_stopped_and_taken_over_writes_no_more(
    apollo: Sandbox, start: Start, ledger_url: str
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.SLOW, after=1, seconds=1))
    first = start("Old")
    under_way(apollo, first)
    first.send_signal(signal.SIGSTOP)
    run_sql(ledger_url, AS_OF_ANOTHER_MACHINE)
    code, said = end_of(start("New"))
    assert code == 0, said
    sent = apollo.count(UPDATE), apollo.count(CREATE)
    first.send_signal(signal.SIGCONT)
    code, said = end_of(first)
    assert code == 1
    assert "no longer holds the lock of the stream 'contacts'" in said
    assert (apollo.count(UPDATE), apollo.count(CREATE)) == sent
    assert titles(apollo) == ["New"] * ROWS
    code, said = end_of(start("New"))
    assert re.search(rf"unchanged {ROWS}\b", said)
