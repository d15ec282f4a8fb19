"""A signal ends every command by its number and without a traceback, whenever it comes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMANDS = {
    "target": ["--config", "ENV"],
    "mapper": ["--config", "c.json"],
    "tap": [],
    "cli": ["plan", "--config", "ENV"],
}
ENVIRONMENT = {
    **os.environ,
    "TARGET_APOLLO_API_KEY": "k",
    "TARGET_APOLLO_API_URL": "http://127.0.0.1:1/api/v1",
}
#: Seconds after the first line of the package. Before it, the signal is Python's own.
_BEGUN = 0.1
_LONGEST = 2.5


def started(command: str, folder: Path) -> subprocess.Popen[bytes]:
    (folder / "c.json").write_text('{"rules": {"stage": false, "owner_mapped": false}}')
    begin = f"from target_apollo import entry; print('begun', flush=True); entry.{command}()"
    return subprocess.Popen(
        [sys.executable, "-c", begin, *COMMANDS[command]],
        cwd=folder, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(
    process: subprocess.Popen[bytes], number: signal.Signals, after: float
) -> tuple[int, bytes]:
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_during_the_imports_ends_a_command_in_silence(
    tmp_path: Path, command: str
) -> None:
    code, said = ended(started(command, tmp_path), signal.SIGINT, _BEGUN)
    assert (code, b"Traceback" in said) == (128 + signal.SIGINT, False), said


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_at_any_moment_ends_a_command_by_its_number(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    moments = random.Random(command)
    for _ in range(8):
        code, said = ended(started(command, tmp_path), number, moments.uniform(_BEGUN, _LONGEST))
        # The tap and a plan without input may have come to their end by themselves.
        assert code in (128 + number, *((0, 1) if command in ("tap", "cli") else ()))
        assert b"Traceback" not in said, said
