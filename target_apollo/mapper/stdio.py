"""Where the mapper leaves the SDK's path, and why.

`InlineMapper.listen` is final and hands over to ``message_reader.process_lines``, which decodes
each line wholly, calls back for each message, encodes the answers anew and flushes after each: most
of a mapper's time, and every number passes through Python. The reader is a class of the plugin's
choice, so this one reads and writes bytes in blocks and leaves the lines to a function. Signals and
a closed pipe are handled here as well, since both end the same loop.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import IO, Any

from singer_sdk.singerlib.encoding.base import GenericSingerReader

BLOCK = 1 << 20
"""Bytes read at once, at most: a pipe gives what it has."""

Through = Callable[[list[bytes]], list[bytes]]
"""Takes lines without their ends and gives those that go on."""


class _Stopped(BaseException):
    """A signal came while the mapper waited for input."""


class BlockReader(GenericSingerReader[bytes]):
    """Reads blocks of lines, passes them on through a function, and writes what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.through: Through = list
        self.counts: Counter[str] = Counter()
        self.stopped_by = 0
        """Number of the signal that ended the run; 0 for none."""
        self.closed = False
        """Whether the target closed its input before the run's end."""
        self._reading = False

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input."""
        return sys.stdin.buffer

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Not used: lines stay bytes."""
        raise NotImplementedError

    def stop(self, signum: int) -> None:
        """End the run for a signal: at once while waiting, else when the lines at hand are out.

        A second signal does not wait for a target that takes nothing any more.
        """
        if self.stopped_by:
            os._exit(128 + signum)
        self.stopped_by = signum
        if self._reading:
            raise _Stopped

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: Any,  # noqa: ARG002 - the SDK's way of a message, which is not taken
    ) -> Counter[str]:
        """Pass all lines on until the input's end, a signal, or a closed pipe."""
        source = _bytes_of(file_input) if file_input else self.default_input
        try:
            self._pass_on(source)
        except _Stopped:
            pass
        except BrokenPipeError:
            self.closed = True
            _forget_output()
        finally:
            self._reading = False
        return self.counts

    def _pass_on(self, source: Any) -> None:
        output = sys.stdout.buffer
        # The end of a block is mostly the beginning of a line. The pieces of a long line are
        # joined once it is whole, so that a line of many blocks is not copied with each of them.
        begun: list[bytes] = []
        while not self.stopped_by:
            self._reading = True
            block = source.read1(BLOCK)
            self._reading = False
            if not block:
                break
            whole, end, rest = block.rpartition(b"\n")
            if not end:
                begun.append(block)
                continue
            lines = b"".join([*begun, whole]).split(b"\n")
            begun = [rest] if rest else []
            self._write(output, lines)
        if begun and not self.stopped_by:
            self._write(output, [b"".join(begun)])

    def _write(self, output: IO[bytes], lines: list[bytes]) -> None:
        passed = self.through(lines)
        if not passed:
            return
        rest = memoryview(b"\n".join(passed) + b"\n")
        while rest:
            # With PYTHONUNBUFFERED, as in many containers, a signal ends a write in the middle.
            rest = rest[output.write(rest) :]
        output.flush()


def _bytes_of(file: IO[Any]) -> Any:
    """The bytes under a text file, which is what the SDK's ``--input`` opens."""
    if isinstance(file, io.TextIOWrapper):
        return file.buffer
    return file if hasattr(file, "read1") else io.BytesIO(file.read().encode())


def _forget_output() -> None:
    """Send what is still buffered nowhere, else Python complains at exit about the closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def log_end(reader: BlockReader, log: logging.Logger) -> int:
    """Say how the run ended, if not by the input's end, and give the exit code."""
    if reader.stopped_by:
        log.info(
            "Stopped by signal %d; every line before it has been passed on.", reader.stopped_by
        )
        return 128 + reader.stopped_by
    if reader.closed:
        log.error("The target closed its input before the end; see its own log for the reason.")
        return 1
    return 0
