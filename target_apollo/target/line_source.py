"""Lines of the input as they come, without waiting for those that don't.

What a line may cost is bounded: one that is too long is skipped to its end and never held whole.
"""

from __future__ import annotations

import os
import select
import stat
from collections import deque
from dataclasses import dataclass
from typing import IO, Any

#: Bytes of the longest line that is read, a hundred times what a wide contact takes. Decoded, a
#: line of empty arrays takes thirty times its length.
LONGEST_LINE = 8 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class LongLine:
    """A line that was skipped, being longer than `LONGEST_LINE`; its length is in bytes."""

    length: int


def too_long() -> str:
    """What is said of a line that was skipped."""
    return f"longer than {LONGEST_LINE >> 20} MB and was skipped"


class LineSource:
    """Lines of a file or pipe, and whether one is there to be read now.

    A blocking read would keep a partial batch, and STATE with it, waiting for the next message of
    a tap that has fallen silent.
    """

    def __init__(self, source: IO[Any], idle_seconds: float) -> None:
        self._source = getattr(source, "buffer", source)
        self._idle_seconds = idle_seconds
        #: Pieces of a line whose end has not come yet.
        self._parts: list[bytes] = []
        self._length = 0
        #: Lines that came with the newest piece of input and wait to be read.
        self.lines: deque[bytes | LongLine] = deque()
        self._ended = False
        try:
            self._descriptor = self._source.fileno()
            select.select([self._descriptor], [], [], 0)
        except (AttributeError, OSError, ValueError):
            # Text in memory, or a file that can't be waited for: reading never blocks for long.
            self._descriptor = None

    def ready(self) -> bool:
        """Waits for a whole line, or for the end; False when none came for `idle_seconds`."""
        if self._descriptor is None:
            return True
        while not self.lines and not self._ended:
            found, _, _ = select.select([self._descriptor], [], [], self._idle_seconds)
            if not found:
                return False
            self._take(os.read(self._descriptor, _CHUNK))
        return True

    @property
    def part_read(self) -> float | None:
        """Part of a file that is read, 0 to 1; None for what has no size."""
        if self._descriptor is None:
            return None
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        return min(1.0, os.lseek(self._descriptor, 0, os.SEEK_CUR) / status.st_size)

    def skip(self) -> bool:
        """Passes over what has come, without keeping it; True at the end.

        Only a pipe has somebody who waits for its being read.
        """
        if self._descriptor is None or self._ended or not _is_pipe(self._descriptor):
            return True
        found, _, _ = select.select([self._descriptor], [], [], self._idle_seconds)
        return bool(found) and not os.read(self._descriptor, _CHUNK)

    def readline(self) -> bytes | LongLine:
        """The next line; empty at the end. To be called when `ready` has said so."""
        if self._descriptor is None:
            return self._readline_of_source()
        return self.lines.popleft() if self.lines else b""

    def _readline_of_source(self) -> bytes | LongLine:
        line = self._source.readline(LONGEST_LINE + 1)
        if isinstance(line, str):
            line = line.encode("utf-8", "surrogatepass")
        if len(line) <= LONGEST_LINE:
            return bytes(line)
        length, ended = len(line), line.endswith(b"\n")
        while not ended:
            piece = self._source.readline(_CHUNK)
            length += len(piece)
            ended = not piece or piece[-1:] in (b"\n", "\n")
        return LongLine(length)

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self._ended = True
            if self._length:
                self._end_line()
            return
        first, *whole = chunk.split(b"\n")
        if whole:
            self._add(first + b"\n")
            self._end_line()
            *whole, first = whole
            # Lines that begin and end within a chunk are shorter than the longest.
            self.lines.extend([line + b"\n" for line in whole])
        if first:
            self._add(first)

    def _add(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > LONGEST_LINE:
            self._parts.clear()
        else:
            self._parts.append(part)

    def _end_line(self) -> None:
        is_long = self._length > LONGEST_LINE
        self.lines.append(LongLine(self._length) if is_long else b"".join(self._parts))
        self._parts.clear()
        self._length = 0


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
