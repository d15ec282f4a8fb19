"""Standard input, output and error as shells, schedulers and containers leave them.

Any of them may be closed, full, or of an encoding that has few characters. The descriptor of a
closed stream would go to the next file that is opened, and a line for standard output be written
into the ledger: a closed stream is therefore replaced by one that fails. Standard error never
fails: where nothing can be said, the exit code still tells.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer as ReadableBuffer

_IN, _OUT, _ERR = 0, 1, 2


class _Output(io.FileIO):
    """Standard output; remembers why it could not be written to."""

    refused: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return super().write(content)
        except OSError as problem:
            self.refused = problem
            raise


class _Errors(io.FileIO):
    """Standard error; drops what can't be written to it."""

    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return super().write(content)
        except OSError:
            return memoryview(content).nbytes


def prepare() -> None:
    """Makes the three streams safe to use; called once, before anything else is opened."""
    for number, flags in ((_IN, os.O_WRONLY), (_OUT, os.O_RDONLY), (_ERR, os.O_WRONLY)):
        if not _is_open(number):
            _take_place(number, flags)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(_IN, "r", closefd=False)))
    output = _Output(_OUT, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=_encoding(sys.stdout),
        errors="backslashreplace",
        line_buffering=output.isatty(),
    )
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Errors(_ERR, "w", closefd=False)),
        encoding=_encoding(sys.stderr),
        errors="backslashreplace",
        line_buffering=True,
    )


def finish() -> OSError | None:
    """Writes what is left for standard output; returns why not all of it could be written.

    Afterwards the interpreter has nothing left to write, which would fail without a sentence.
    """
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
    return refused()


def refused() -> OSError | None:
    """Why standard output could not be written to; None if it always could."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.refused if isinstance(raw, _Output) else None


def discard_output() -> None:
    """Sends what is left for standard output nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _OUT)
    os.close(null)


def why_unwritable(problem: OSError) -> str:
    """A sentence that says why standard output can't be written to."""
    if isinstance(problem, BrokenPipeError):
        return "Whoever reads standard output has ended before the end of it."
    reason = "it is closed" if problem.errno == errno.EBADF else problem.strerror
    return f"Standard output can't be written to: {reason}."


def why_unreadable(problem: OSError) -> str:
    """A sentence that says why standard input can't be read."""
    reason = "it is closed" if problem.errno == errno.EBADF else problem.strerror
    return f"Standard input can't be read: {reason}."


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _take_place(number: int, flags: int) -> None:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _encoding(stream: TextIO | None) -> str:
    """The encoding of a stream; UTF-8 for ASCII, which is a part of it: so JSON stays JSON."""
    encoding = stream.encoding if stream is not None else "utf-8"
    return "utf-8" if codecs.lookup(encoding).name == "ascii" else encoding
