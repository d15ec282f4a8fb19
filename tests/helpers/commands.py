"""`apollo-sync` called inside the test, with what it says."""

from __future__ import annotations

import contextlib
import io
import logging
import signal

from target_apollo.cli import main


def apollo_sync(*arguments: str) -> tuple[int, str]:
    """The exit code of the command, and its log with what it prints."""
    said = io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            exit_code = main(list(arguments))
    finally:
        for handler in list(root.handlers):
            if handler not in before:
                root.removeHandler(handler)
        root.setLevel(level)
        for number, former in handlers.items():
            signal.signal(number, former)
    return exit_code, said.getvalue()
