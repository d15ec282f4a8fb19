"""A first small sync: so many records and no more, and the tap does not notice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, TargetRun, lines_of, record, schema, state

Sync = Callable[..., TargetRun]


def contacts(*numbers: int) -> list[Message]:
    return [record("contacts", id=n, email=f"p{n}@firm{n}.com") for n in numbers]


def start(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "target_apollo", "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=config.parent,
    )


def test_only_the_first_records_are_written(apollo: Sandbox, sync: Sync) -> None:
    run = sync([schema("contacts"), *contacts(*range(50))], max_records=10)

    assert run.exit_code == 0
    assert run.records == {"received": 10, "created": 10}
    assert len(apollo.store.contacts()) == 10
    assert run.summary["max_records"] == 10


def test_state_is_not_advanced(apollo: Sandbox, sync: Sync) -> None:
    rows = [schema("contacts"), *contacts(1, 2), state({"at": 2}), *contacts(3), state({"at": 3})]

    assert sync(rows, max_records=2).states == []
    assert sync(rows, max_records=100).states == []


def test_the_log_says_that_the_rest_was_left(apollo: Sandbox, sync: Sync) -> None:
    run = sync([schema("contacts"), *contacts(1, 2, 3)], max_records=2)

    assert "the first 2 records are read" in run.log
    assert "STATE is not advanced" in run.log


def test_bad_records_count_among_the_first(apollo: Sandbox, sync: Sync) -> None:
    rows = [schema("contacts"), record("contacts", id=1, email="no address"), *contacts(2, 3)]

    assert sync(rows, max_records=2).records == {"received": 2, "created": 1, "rejected": 1}


def test_a_dry_run_plans_for_the_first_records_only(apollo: Sandbox, sync: Sync) -> None:
    run = sync([schema("contacts"), *contacts(*range(50))], max_records=10, dry_run=True)

    assert run.records == {"received": 10, "created": 10}
    assert apollo.store.contacts() == []


@pytest.mark.full
def test_the_tap_can_write_all_that_it_has(
    apollo: Sandbox, target_config: Callable[..., Path], tmp_path: Path
) -> None:
    rest = lines_of(contacts(1)) * 200_000

    with start(target_config(apollo, max_records=10)) as process:
        assert process.stdin is not None
        process.stdin.write(lines_of([schema("contacts"), *contacts(*range(10))]))
        process.stdin.write(rest)
        process.stdin.close()
        assert process.wait(60) == 0

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["records"]["received"] == 10
    assert len(apollo.store.contacts()) == 10


@pytest.mark.full
def test_a_signal_ends_the_run_while_the_rest_passes_by(
    apollo: Sandbox, target_config: Callable[..., Path], tmp_path: Path
) -> None:
    with start(target_config(apollo, max_records=3)) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines_of([schema("contacts"), *contacts(1, 2, 3, 4)]))
        process.stdin.flush()
        for line in process.stderr:
            if b"passed over" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["records"]["created"] == 3
