"""What a user sees of a run under way: on a real terminal, and in a log."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import Message, lines_of, record, schema

CREATE = "POST /contacts/bulk_create"
#: The target with a line in the log every 0.3 s, so that no test takes half a minute.
IMPATIENT = (
    "import sys; from target_apollo.target import progress, target; "
    "progress.LOG_EVERY_SECONDS = 0.3; target.main()"
)


def rows() -> bytes:
    found: list[Message] = [schema("contacts")]
    found += [record("contacts", id=n, email=f"p{n}@firm{n}.com") for n in range(20)]
    found.append(record("contacts", id=20, email="no address"))
    return lines_of(found)


def log_of(config: Path) -> bytes:
    """Runs the impatient target; what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, "--config", str(config)],
        input=rows(),
        capture_output=True,
        timeout=120,
        cwd=config.parent,
        check=True,
    )
    return done.stderr


def slowly(apollo: Sandbox, seconds: float) -> None:
    apollo.inject(Fault(CREATE, FaultKind.SLOW, seconds=seconds))


@contextmanager
def on_terminal(config: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A target whose standard error is a terminal; with the other side of that terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "target_apollo", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            cwd=config.parent,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        )
        os.close(theirs)
        yield process, ours
    finally:
        os.close(ours)


def read_all(terminal: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            # Linux's word for a terminal whose other side is closed.
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


def on_screen(shown: str) -> list[str]:
    """The lines that a terminal would hold after all this."""
    lines = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        line = line.split("\r\x1b[K")[-1]
        lines.append(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line))
    return lines


def test_a_terminal_shows_a_live_line_that_leaves_no_trace(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    slowly(apollo, 1.5)
    with on_terminal(target_config(apollo)) as (process, terminal):
        assert process.stdin is not None
        process.stdin.write(rows())
        process.stdin.close()
        shown = read_all(terminal)
        assert process.wait(60) == 0

    drawn = re.findall(r"\r\x1b\[K(read [^\r]*)", shown)
    assert any(line.startswith("read 21, written 0, rejected 1") for line in drawn)
    assert 2 <= len(drawn) <= 1 + 4 * 30
    lines = on_screen(shown)
    assert not any(line.startswith("read ") for line in lines)
    assert any("Rejected contacts 20" in line for line in lines)
    assert any("ended with exit code 0" in line for line in lines)


@pytest.mark.full
def test_a_log_has_a_line_now_and_then_also_in_a_long_flush(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    slowly(apollo, 2.0)
    log = log_of(target_config(apollo))

    lines = [line for line in log.decode().splitlines() if "Progress: " in line]
    assert len(lines) >= 2
    assert any("Progress: read 21, written 0, rejected 1" in line for line in lines)
    assert b"\x1b[K" not in log


@pytest.mark.full
def test_a_log_has_lines_while_the_run_waits_for_quota(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RATE_LIMITED, retry_after=2))
    log = log_of(target_config(apollo))

    lines = [line for line in log.decode().splitlines() if "Progress: " in line]
    assert any("waiting until" in line and CREATE in line for line in lines)


@pytest.mark.full
def test_progress_shows_no_personal_data(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    slowly(apollo, 1.0)
    config = target_config(apollo)
    log = log_of(config)

    assert b"Progress: read 21" in log
    assert b"@firm" not in log
    summary = json.loads((config.parent / "summary.json").read_text())
    assert summary["records"]["created"] == 20


@pytest.mark.full
def test_a_silent_tap_does_not_silence_the_log(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    config = target_config(apollo)
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=config.parent,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(rows())
        process.stdin.flush()
        end = time.monotonic() + 60
        line = b""
        while b"Progress: read 21" not in line:
            assert time.monotonic() < end
            line = process.stderr.readline()
        process.stdin.close()
        process.stderr.read()
        assert process.wait(60) == 0
