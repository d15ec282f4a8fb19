"""`python -m target_apollo.demo` ends by itself, ends well, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from target_apollo.demo.meltano import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full

COMMAND = [sys.executable, "-m", "target_apollo.demo"]


def processes() -> str:
    return subprocess.run(
        ["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    # Without DATABASE_URL, since the demo would use the schema of whoever set it.
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_it_shows_both_syncs_and_exits_with_0(demo: subprocess.Popen[str]) -> None:
    said, _ = demo.communicate(timeout=220)
    assert demo.returncode == 0, said
    assert "Every good row is there, once" in said
    assert "Exactly the changed rows were updated" in said
    assert "The list holds the rows of the table, and whom somebody put there stays." in said
    assert "@" not in said, "the demo shows keys and reasons, no addresses"


def test_stopped_in_the_middle_of_a_run_it_leaves_no_process(demo: subprocess.Popen[str]) -> None:
    assert demo.stdout is not None
    before = []
    for line in demo.stdout:
        before.append(line)
        if line.startswith("3."):
            break
    else:
        pytest.fail("".join(before))
    time.sleep(2)
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGINT, said
    working_folder = str(ROOT / ".demo")
    assert working_folder not in processes()
