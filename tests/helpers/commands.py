"""`apollo-sync` called inside the test, with what it says."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
from collections.abc import Sequence

from target_apollo.cli import main


def apollo_sync(*arguments: str) -> tuple[int, str]:
    """The exit code of the command, and its log with what it prints."""
    said = io.StringIO()
    return run_command(arguments, said, said), said.getvalue()


def run_command(arguments: Sequence[str], out: io.StringIO, log: io.StringIO) -> int:
    """Runs ``apollo-sync`` inside the test; returns its exit code."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    try:
        with contextlib.redirect_stderr(log), contextlib.redirect_stdout(out):
            return main(list(arguments))
    finally:
        for handler in list(root.handlers):
            if handler not in before:
                root.removeHandler(handler)
        root.setLevel(level)
        for number, former in handlers.items():
            signal.signal(number, former)
