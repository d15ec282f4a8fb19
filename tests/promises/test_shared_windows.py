"""Target processes that write to one team at the same time share Apollo's rate windows."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from target_apollo.demo.postgres import server_of
from target_apollo.ledger import Ledger, SharedWindows
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.faults import Fault, FaultKind
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.databases import database_on
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.tiers import mostly_chaos
from tests.ledger.conftest import postgresql_server  # noqa: F401 - a fixture
from tests.promises.conftest import Run, contact, lines_of, record, schema

CREATE = "POST /contacts/bulk_create"
ROWS = 30
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    server = server_of(request.getfixturevalue("postgresql_server"))
    with database_on(server) as database:
        yield database.url


def limited(limit: int, **others: Any) -> SandboxOptions:
    return SandboxOptions(strict=True, plan=Plan.UNLIMITED, hour_limit=limit, **others)


@pytest.fixture
def start(tmp_path: Path, ledger_url: str) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(apollo: Sandbox, number: int, **settings: Any) -> subprocess.Popen[bytes]:
        """A process that creates `ROWS` contacts of its own stream, a request for each."""
        folder = tmp_path / f"{number}-of-{len(started)}"
        folder.mkdir()
        stream = f"contacts-{number}"
        rows = [record(stream, id=row, email=f"p{row}@company{number}.com") for row in range(ROWS)]
        config = {
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "ledger_url": ledger_url,
            "batch_size": 1,
            "max_wait_seconds": 0,
            "streams": {stream: {"object": "contacts"}},
            "summary_path": str(folder / "summary.json"),
            **settings,
        }
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "rows.singer").write_bytes(lines_of([schema("contacts"), *rows]))
        # The schema is that of contacts, under the stream's own name.
        text = (folder / "rows.singer").read_text().replace('"contacts"', f'"{stream}"', 1)
        (folder / "rows.singer").write_text(text)
        with (folder / "rows.singer").open("rb") as sent:
            process = subprocess.Popen(
                [sys.executable, "-m", "target_apollo", "--config", "config.json"],
                stdin=sent,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=folder,
            )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, said = process.communicate(timeout=400)
    return process.returncode, said.decode()


def refusals(apollo: Sandbox) -> int:
    return sum(one.status == 429 for one in apollo.requests)


def test_processes_use_up_an_hour_together_and_cause_no_429(start: Start) -> None:
    with new_sandbox(limited(2 * ROWS)) as apollo:
        ends = [end_of(one) for one in [start(apollo, number) for number in range(3)]]
        assert refusals(apollo) == 0, ends
        # The last request of the hour may be one that a process could not use in its order.
        assert len(apollo.store.contacts()) >= 2 * ROWS - 3
        assert {code for code, _ in ends} <= {0, 3}


@pytest.mark.full
def test_a_killed_process_leaves_the_others_its_share(start: Start) -> None:
    with new_sandbox(limited(3 * ROWS)) as apollo:
        apollo.inject(Fault(CREATE, FaultKind.SLOW, seconds=0.05, times=10))
        killed = start(apollo, 0)
        while apollo.count(CREATE) < 5:
            assert killed.poll() is None
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        others = [end_of(start(apollo, number)) for number in (1, 2)]
        assert [code for code, _ in others] == [0, 0], others
        assert refusals(apollo) == 0


@pytest.mark.full
# With either ledger they wait for a whole minute.
@pytest.mark.parametrize("ledger_url", mostly_chaos(["sqlite", "postgresql"]), indirect=True)
def test_eight_processes_wait_for_the_next_minute_together(start: Start) -> None:
    number = 8
    options = SandboxOptions(strict=True, plan=Plan.UNLIMITED, minute_limit=20 * number)
    with new_sandbox(options) as apollo:
        started = [start(apollo, one, max_wait_seconds=200) for one in range(number)]
        ends = [end_of(one) for one in started]
        assert [code for code, _ in ends] == [0] * number, ends
        assert refusals(apollo) == 0
        assert len(apollo.store.contacts()) == number * ROWS


# --- one run after the other


def test_a_later_run_knows_when_the_hour_of_an_earlier_one_ends(sync: Run) -> None:
    with new_sandbox(limited(3)) as apollo:
        rows = [schema("contacts"), *[contact(number) for number in range(3)]]
        assert sync(rows, sandbox=apollo, batch_size=1, max_wait_seconds=0).exit_code == 0
        ended = datetime.now(timezone.utc)
        later = sync([schema("contacts"), contact(3)], sandbox=apollo, max_wait_seconds=0)
        assert later.exit_code == 3
        again = datetime.fromisoformat(later.summary["run_again_after"])
        assert again < ended + timedelta(seconds=3602)
        assert apollo.count(CREATE) == 3


def test_a_run_that_can_t_share_the_windows_says_so_once_and_goes_on(
    apollo: Sandbox, sync: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = tmp_path / "ledger.db"
    Ledger.open(f"sqlite:///{ledger}").close()
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("DROP TABLE apollo_windows")
    rows = [schema("contacts"), *[contact(number) for number in range(20)]]
    done = sync(rows, ledger_url=f"sqlite:///{ledger}", batch_size=1)
    assert done.exit_code == 0
    assert len(apollo.store.contacts()) == 20
    assert caplog.text.count("without a look at other runs of this team") == 1


def test_a_run_without_a_ledger_paces_alone(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(1)], ledger_url="")
    assert done.exit_code == 0
    assert "other runs of this team" not in done.log


@pytest.mark.full
def test_sharing_the_windows_costs_no_request_and_few_transactions(
    free: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = SharedWindows.read

    def counted(self: SharedWindows, endpoint: str) -> tuple[str | None, int, float] | None:
        read.append(endpoint)
        return real(self, endpoint)

    monkeypatch.setattr(SharedWindows, "read", counted)
    rows = [schema("contacts"), *[contact(number) for number in range(1_000)]]
    assert sync(rows, sandbox=free).exit_code == 0
    with_ledger = len(free.requests)
    assert free.count(CREATE) == 10
    assert sync(rows, sandbox=free).exit_code == 0
    assert len(free.requests) - with_ledger <= 3
    # Without limits the first request of an endpoint is asked for, and then a minute's.
    assert len(read) <= 15, read
