"""How commands run the target without a write to Apollo, and show what came of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from target_apollo.cli.options import CommandFailed
from target_apollo.reporting.terminal import UNBOUNDED, Paint
from target_apollo.sync.exit import FAILED, MISCONFIGURED
from target_apollo.system import crashes
from target_apollo.target.target import TargetApollo

#: The lines that show the summary of a run, for the width of a terminal.
Lines = Callable[[Mapping[str, Any], int, Paint], Iterable[str]]


def open_messages(file: str | None) -> AbstractContextManager[IO[bytes] | None]:
    """The Singer messages of a file; None without one, for those of standard input.

    Raises:
        CommandFailed: The file can't be read.
    """
    try:
        return nullcontext() if file is None else Path(file).open("rb")
    except OSError as problem:
        raise CommandFailed(
            f"The input {file} can't be read: {problem.strerror}.",
            exit_code=MISCONFIGURED,
        ) from None


def run_and_show(target: TargetApollo, messages: IO[bytes] | None, lines: Lines) -> int:
    """Runs the target and prints its summary, unless a defect ends it; returns the exit code."""
    try:
        exit_code = target.sync(messages)
    except Exception as defect:  # noqa: BLE001 - its message may show a record
        target.logger.error("%s", crashes.text_of(defect))
        return FAILED
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    paint = Paint.for_output(sys.stdout, os.environ)
    sys.stdout.write("\n".join(lines(target.run.summary, width, paint)) + "\n")
    sys.stdout.flush()
    return exit_code
