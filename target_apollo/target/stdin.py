"""Reads Singer messages line by line; one bad line costs no other, and a signal ends the reading.

The SDK's readers log a line that is no JSON, and end the run with it. A line may hold an e-mail
address, so here it is handed on with its number and length only.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from decimal import Context, InvalidOperation, Overflow, Underflow
from typing import IO, Any

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.target.line_source import LONGEST_LINE, LineSource, LongLine, too_long

Message = dict[str, Any]

#: Levels of arrays and objects. Code that walks a message calls itself once a level.
DEEPEST_LEVEL = 100
# A number keeps all its digits; one beyond these powers of ten would fill the memory as text.
_NUMBERS = Context(
    prec=LONGEST_LINE,
    Emax=999_999,
    Emin=-999_999,
    traps=[InvalidOperation, Overflow, Underflow],
)
_DECODER = msgspec.json.Decoder(float_hook=_NUMBERS.create_decimal)


class StopReading(Exception):
    """Raised in the main thread by the signal handler while it waits for input."""


class LineReader(GenericSingerReader[bytes]):
    """Reads bytes, so that a line that is no UTF-8 is one bad line and not the end.

    Attributes:
        on_unreadable: Called with line, line number and what is wrong with it.
        on_too_long: Called with length and line number of a line that was skipped.
        stopped: Set to leave the loop before the next line.
        on_caught_up: Called when all lines that have come are read, before the next are waited for.
        on_idle: Called when no line has come for `idle_seconds`.
        waiting: True while the main thread is blocked in a read; only then may `StopReading` be
            raised in it.
        line_number: Number of the newest line; the first is 1.
        line_length: Its bytes.
        most_records: Records after which the reading ends; None for no limit.
        ended_early: Whether it ended so, with input left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_unreadable: Callable[[bytes, int, str], None] = _refuse
        self.on_too_long: Callable[[int, int], None] = _refuse_long
        self.on_caught_up: Callable[[], None] = _do_nothing
        self.on_idle: Callable[[], None] = _do_nothing
        self.idle_seconds = 1.0
        self.stopped = False
        self.waiting = False
        self.line_number = 0
        self.line_length = 0
        self.most_records: int | None = None
        self.ended_early = False
        self._source: LineSource | None = None

    @property
    def part_read(self) -> float | None:
        """Part of a file that is read, 0 to 1; None for what has no size."""
        return None if self._source is None else self._source.part_read

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
        except RecursionError:
            raise InvalidInputLine(_TOO_DEEP) from None
        except ArithmeticError:
            raise InvalidInputLine("not readable: it holds a number out of all range") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            why = str(problem) if isinstance(problem, msgspec.DecodeError) else "not UTF-8"
            raise InvalidInputLine(f"not JSON ({why})") from None
        problem_found = _shape_problem(message)
        if problem_found:
            raise InvalidInputLine(f"not a Singer message: {problem_found}")
        # The walk is only for the rare line that has brackets enough to be deep.
        if line.count(b"[") + line.count(b"{") > DEEPEST_LEVEL and _is_too_deep(message):
            raise InvalidInputLine(_TOO_DEEP)
        found: Message = message
        return found

    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[Message], None]],
    ) -> Counter[str]:
        """Hands each message to the callback of its type until the input ends or a signal comes."""
        counts: Counter[str] = Counter()
        source = self._source = LineSource(file_input or self.default_input, self.idle_seconds)
        lines = source.lines
        try:
            # A line that is there already needs no wait, and so no look at the descriptor.
            while line := (
                lines.popleft() if lines and not self.stopped else self._next_line(source)
            ):
                self.line_number += 1
                if isinstance(line, LongLine):
                    self.on_too_long(line.length, self.line_number)
                    continue
                self.line_length = len(line)
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
                if counts["RECORD"] == self.most_records:
                    self.ended_early = True
                    break
        except StopReading:
            pass
        finally:
            self.waiting = False
        return counts

    def pass_over_rest(self) -> None:
        """Reads the input to its end, or until a signal comes, and looks at none of it.

        Whoever writes into a pipe that nobody reads ends with an error, and its run with it.
        """
        try:
            self.waiting = True
            while self._source is not None and not self.stopped and not self._source.skip():
                pass
        except StopReading:
            pass
        finally:
            self.waiting = False

    def _next_line(self, source: LineSource) -> bytes | LongLine:
        if not self.stopped:
            self.on_caught_up()
        # A signal before `waiting` is set is seen by the look at `stopped`; one after it raises,
        # and nothing is lost, since nothing was read yet.
        self.waiting = True
        while not self.stopped:
            if source.ready():
                line = source.readline()
                self.waiting = False
                return line
            self.waiting = False
            self.on_idle()
            self.waiting = True
        return b""


_TOO_DEEP = f"nested more than {DEEPEST_LEVEL} levels deep"


def _is_too_deep(message: object) -> bool:
    level: list[object] = [message]
    for _ in range(DEEPEST_LEVEL):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined]
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _shape_problem(message: Any) -> str | None:
    if not isinstance(message, dict) or not isinstance(kind := message.get("type"), str):
        return "it has no 'type'"
    if (
        kind == "RECORD"
        and type(message.get("record")) is dict
        and type(message.get("stream")) is str
    ):
        return None
    if kind in ("RECORD", "SCHEMA") and not isinstance(message.get("stream"), str):
        return f"a {kind} without 'stream'"
    if kind == "ACTIVATE_VERSION" and not isinstance(message.get("stream"), str):
        return "an ACTIVATE_VERSION without 'stream'"
    if kind == "RECORD" and not isinstance(message.get("record"), dict):
        return "a RECORD whose 'record' is no object"
    if kind == "SCHEMA" and not _are_names(message.get("key_properties")):
        return "a SCHEMA whose 'key_properties' is no array of names"
    if kind == "SCHEMA" and not _are_names(message.get("bookmark_properties")):
        return "a SCHEMA whose 'bookmark_properties' is no array of names"
    if kind == "STATE" and "value" not in message:
        return "a STATE without 'value'"
    return None


def _are_names(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(name, str) for name in value)
    )


def _do_nothing() -> None:
    """For a reader without a target."""


def _refuse(line: bytes, line_number: int, problem: str) -> None:
    raise InvalidInputLine(f"Line {line_number} ({len(line)} bytes) is {problem}.")


def _refuse_long(length: int, line_number: int) -> None:
    raise InvalidInputLine(f"Line {line_number} ({length} bytes) is {too_long()}.")
