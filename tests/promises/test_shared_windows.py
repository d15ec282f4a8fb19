"""Target processes that write to one team at the same time share Apollo's rate windows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.demo.postgres import server_of
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.faults import Fault, FaultKind
from target_apollo.sandbox.rate_windows import Plan
from tests.helpers.databases import database_on
from tests.helpers.new_sandbox import new_sandbox
from tests.ledger.conftest import postgresql_server  # noqa: F401 - a fixture
from tests.promises.conftest import lines_of, record, schema

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
    _, said = process.communicate(timeout=120)
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


def test_a_later_run_knows_when_the_hour_of_an_earlier_one_ends(start: Start) -> None:
    with new_sandbox(limited(ROWS)) as apollo:
        assert end_of(start(apollo, 0))[0] == 0
        asked = apollo.count(CREATE)
        code, _ = end_of(start(apollo, 1))
        assert code == 3
        assert apollo.count(CREATE) == asked


@pytest.mark.full
@pytest.mark.parametrize("number", [3, 8])
def test_processes_wait_for_the_next_minute_together(start: Start, number: int) -> None:
    options = SandboxOptions(strict=True, plan=Plan.UNLIMITED, minute_limit=20 * number)
    with new_sandbox(options) as apollo:
        started = [start(apollo, one, max_wait_seconds=200) for one in range(number)]
        ends = [end_of(one) for one in started]
        assert [code for code, _ in ends] == [0] * number, ends
        assert refusals(apollo) == 0
        assert len(apollo.store.contacts()) == number * ROWS
