"""Reads Singer messages line by line; one bad line costs no other, and a signal ends the reading.

The SDK's readers log a line that is no JSON, and end the run with it. A line may hold an e-mail
address, so here it is handed on with its number and length only.
"""

from __future__ import annotations

import os
import select
import sys
from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from typing import IO, Any

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader
from singer_sdk.singerlib.exceptions import InvalidInputLine

Message = dict[str, Any]
_CHUNK = 1 << 20
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class StopReading(Exception):
    """Raised in the main thread by the signal handler while it waits for input."""


class LineReader(GenericSingerReader[bytes]):
    """Reads bytes, so that a line that is no UTF-8 is one bad line and not the end.

    Attributes:
        on_unreadable: Called with line, line number and what is wrong with it.
        stopped: Set to leave the loop before the next line.
        on_idle: Called when no line has come for `idle_seconds`.
        waiting: True while the main thread is blocked in a read; only then may `StopReading` be
            raised in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_unreadable: Callable[[bytes, int, str], None] = _refuse
        self.on_idle: Callable[[], None] = _do_nothing
        self.idle_seconds = 1.0
        self.stopped = False
        self.waiting = False
        self.line_number = 0

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, undecoded."""
        return sys.stdin.buffer

    def deserialize_json(self, line: bytes) -> Message:
        """A message from a line.

        Raises:
            InvalidInputLine: It is none; the sentence does not show the line.
        """
        try:
            message = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            why = str(problem) if isinstance(problem, msgspec.DecodeError) else "not readable"
            raise InvalidInputLine(f"not JSON ({why})") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise InvalidInputLine("not a Singer message: it has no 'type'")
        problem_found = _shape_problem(message)
        if problem_found:
            raise InvalidInputLine(f"not a Singer message: {problem_found}")
        return message

    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[Message], None]],
    ) -> Counter[str]:
        """Hands each message to the callback of its type until the input ends or a signal comes."""
        counts: Counter[str] = Counter()
        source = LineSource(file_input or self.default_input, self.idle_seconds)
        try:
            while line := self._next_line(source):
                self.line_number += 1
                if line.isspace():
                    continue
                try:
                    message = self.deserialize_json(line)
                except InvalidInputLine as problem:
                    self.on_unreadable(line, self.line_number, str(problem))
                    continue
                kind = message["type"]
                callback = callbacks.get(kind)
                if callback is None:
                    self.on_unreadable(line, self.line_number, "of no known message type")
                    continue
                callback(message)
                counts[kind] += 1
        except StopReading:
            pass
        finally:
            self.waiting = False
        return counts

    def _next_line(self, source: LineSource) -> bytes:
        self.waiting = True
        # A signal between the two statements finds `waiting` set and raises: nothing is lost,
        # since nothing was read yet.
        if self.stopped:
            return b""
        while not source.ready():
            self.waiting = False
            self.on_idle()
            self.waiting = True
        line = source.readline()
        self.waiting = False
        return line


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
        self._lines: deque[bytes] = deque()
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
        while not self._lines and not self._ended:
            found, _, _ = select.select([self._descriptor], [], [], self._idle_seconds)
            if not found:
                return False
            self._take(os.read(self._descriptor, _CHUNK))
        return True

    def readline(self) -> bytes:
        """The next line; empty at the end. To be called when `ready` has said so."""
        if self._descriptor is None:
            line = self._source.readline()
            return line.encode() if isinstance(line, str) else line
        return self._lines.popleft() if self._lines else b""

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self._ended = True
            if self._parts:
                self._lines.append(b"".join(self._parts))
            return
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._parts, whole[0]])
            self._parts = []
            self._lines.extend(line + b"\n" for line in whole)
        if rest:
            self._parts.append(rest)


def _shape_problem(message: Message) -> str | None:
    kind = message["type"]
    if kind in ("RECORD", "SCHEMA") and not isinstance(message.get("stream"), str):
        return f"a {kind} without 'stream'"
    if kind == "RECORD" and not isinstance(message.get("record"), dict):
        return "a RECORD whose 'record' is no object"
    if kind == "STATE" and "value" not in message:
        return "a STATE without 'value'"
    return None


def _do_nothing() -> None:
    """For a reader without a target."""


def _refuse(line: bytes, line_number: int, problem: str) -> None:
    raise InvalidInputLine(f"Line {line_number} ({len(line)} bytes) is {problem}.")
