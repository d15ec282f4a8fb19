"""What the machine refuses is a sentence; anything else stays a defect."""

from __future__ import annotations

import errno

import pytest
import requests

from target_apollo.sync.exit import FAILED, ending_of
from target_apollo.system.crashes import trouble_of

NO_THREAD = RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (MemoryError(), "memory"),
        (NO_THREAD, "no further thread"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device."),
        (OSError(errno.EMFILE, "Too many open files", "a.db"), "(`ulimit -n`) (a.db)."),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory"), "No usable temporary"),
    ],
)
def test_what_the_machine_refuses_ends_a_run_with_a_sentence(
    problem: Exception, words: str
) -> None:
    ending = ending_of(problem, 0)
    assert ending is not None
    assert (ending.exit_code, words in ending.because) == (FAILED, True)


def test_a_cause_counts_too() -> None:
    problem = ValueError("x")
    problem.__cause__ = NO_THREAD
    assert "thread" in (trouble_of(problem) or "")


@pytest.mark.parametrize(
    "problem", [ValueError("x"), RuntimeError("x"), requests.ConnectionError("x"), OSError("x")]
)
def test_any_other_exception_is_a_defect(problem: Exception) -> None:
    assert trouble_of(problem) is None
    assert ending_of(problem, 0) is None
