"""The input: Singer messages, read line by line.

A bad line does not affect others: it is reported with its number and length. The SDK's readers
would log it, with any e-mail address in it, and end the run. The memory for a line is bounded: a
record that is too long is skipped and never held as a whole. A long STATE is no fault of a row and
can't be skipped: it is held as text. A signal ends the reading, also while it waits for a line.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from singer_sdk.singerlib.encoding.base import GenericSingerReader
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.sync.exit import RunError
from target_apollo.system.batch_files import BatchRow, UnreadableBatch, batch_rows
from target_apollo.system.standard_streams import why_unreadable
from target_apollo.target.odd_lines import (
    DECODER,
    DEEPEST_LEVEL,
    LONGEST_LINE,
    LONGEST_STATE,
    Message,
    check_depth,
    check_shape,
    decode_leniently,
    long_state_value,
    too_long,
)

_CHUNK = 1 << 20

#: How a STATE begins. A `value` comes first only where a tap sorts the members otherwise than by
#: name, and no other message has one.
_STATE_BEGINS = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(type"\s*:\s*"STATE"|value"\s*:)')
_MOST_OF_BEGINNING = 200


@dataclass(frozen=True)
class LongLine:
    """A line that is longer than `LONGEST_LINE`.

    Attributes:
        length: In bytes.
        is_state: Whether it begins as a STATE does.
        text: The line; None if it was skipped.
    """

    length: int
    is_state: bool = False
    text: bytes | None = None


class LineSource:
    """Reads lines of a file or pipe, and tells whether one can be read without waiting.

    With a blocking read, a partial batch and its STATE would wait for the next message of a tap
    that sends none for a while.
    """

    def __init__(
        self, source: IO[Any], idle_seconds: float, longest_line: int = LONGEST_LINE
    ) -> None:
        """`longest_line` is in bytes; a longer line is skipped, unless it is a STATE."""
        self._longest_line = longest_line
        self._source = getattr(source, "buffer", source)
        self._idle_seconds = idle_seconds
        #: Pieces of a line whose end has not arrived yet.
        self._parts: list[bytes] = []
        self._length = 0
        self._is_state = False
        #: Whole lines that have been read from the source and are not processed yet.
        self.lines: deque[bytes | LongLine] = deque()
        self._ended = False
        try:
            self._descriptor = self._source.fileno()
            select.select([self._descriptor], [], [], 0)
        except (AttributeError, OSError, ValueError):
            # Text in memory, or a file that can't be waited for: reading never blocks for long.
            self._descriptor = None

    def ready(self) -> bool:
        """Waits for a whole line or the end; False if neither comes in `idle_seconds`.

        Raises:
            RunError: The input can't be read.
        """
        if self._descriptor is None:
            return True
        while not self.lines and not self._ended:
            found, _, _ = select.select([self._descriptor], [], [], self._idle_seconds)
            if not found:
                return False
            self._take(_read(self._descriptor))
        return True

    @property
    def part_read(self) -> float | None:
        """The part of the file that has been read, 0 to 1; None if its size is not known."""
        if self._descriptor is None:
            return None
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        return min(1.0, os.lseek(self._descriptor, 0, os.SEEK_CUR) / status.st_size)

    def skip(self) -> bool:
        """Reads and discards the input that has arrived; True at its end.

        Only the writer of a pipe waits for its input to be read: for a file this does nothing.
        """
        if self._descriptor is None or self._ended or not _is_pipe(self._descriptor):
            return True
        found, _, _ = select.select([self._descriptor], [], [], self._idle_seconds)
        return bool(found) and not os.read(self._descriptor, _CHUNK)

    def readline(self) -> bytes | LongLine:
        """The next line; empty at the end. Call it only after `ready` has returned True."""
        if self._descriptor is None:
            return self._readline_of_source()
        return self.lines.popleft() if self.lines else b""

    def _readline_of_source(self) -> bytes | LongLine:
        line = self._source.readline(self._longest_line + 1)
        if isinstance(line, str):
            line = line.encode("utf-8", "surrogatepass")
        if len(line) <= self._longest_line:
            return bytes(line)
        self._add(line)
        while not line.endswith(b"\n"):
            piece = self._source.readline(_CHUNK)
            line = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
            if not line:
                break
            self._add(line)
        self._end_line()
        return self.lines.popleft()

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
            # Lines that begin and end within a chunk are shorter than the longest line.
            self.lines.extend([line + b"\n" for line in whole])
        if first:
            self._add(first)

    def _add(self, part: bytes) -> None:
        was_long = self._length > self._longest_line
        self._length += len(part)
        self._parts.append(part)
        if self._length <= self._longest_line:
            return
        if not was_long:
            beginning = b"".join(self._parts)[:_MOST_OF_BEGINNING]
            self._is_state = _STATE_BEGINS.match(beginning) is not None
        if not self._is_state or self._length > LONGEST_STATE:
            self._parts.clear()

    def _end_line(self) -> None:
        text = b"".join(self._parts)
        if self._length > self._longest_line:
            self.lines.append(LongLine(self._length, self._is_state, text or None))
        else:
            self.lines.append(text)
        self._parts.clear()
        self._length, self._is_state = 0, False


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as problem:
        raise RunError(why_unreadable(problem)) from None


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class StopReading(Exception):
    """Raised in the main thread by the signal handler while it waits for input."""


class SingerInput(GenericSingerReader[bytes]):
    """Reads messages as bytes, so that a line that is not UTF-8 does not end the run.

    Attributes:
        handlers: Message type -> its handler. They replace the callbacks that the SDK passes to
            `process_lines`, which are private methods of its target.
        on_unreadable: Called with the line, its number and the end of a sentence on its fault.
        on_too_long: Called with length and line number of a line that was skipped. A long STATE
            is handed to its handler with a `LongValue`.
        stopped: Set to leave the loop before the next line.
        before_wait: Called after all lines that have arrived, before the wait for the next one.
        on_idle: Called when no line has arrived for `idle_seconds`.
        waiting: True while the main thread is blocked in a read; only then may `StopReading` be
            raised in it.
        line_number: Number of the newest line; the first is 1.
        line_length: Bytes of that line.
        longest_line: Bytes of the longest line that is read.
        most_records: Records after which the reading ends; None for no limit.
        ended_early: Whether the reading ended because of `most_records`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[str, Callable[[Message], None]] = {}
        self.on_unreadable: Callable[[bytes, int, str], None] = _refuse
        self.on_too_long: Callable[[int, int], None] = _refuse_long
        self.before_wait: Callable[[], None] = _do_nothing
        self.on_idle: Callable[[], None] = _do_nothing
        self.idle_seconds = 1.0
        self.stopped = False
        self.waiting = False
        self.line_number = 0
        self.line_length = 0
        self.longest_line = LONGEST_LINE
        self.most_records: int | None = None
        self.ended_early = False
        self._source: LineSource | None = None

    @property
    def part_read(self) -> float | None:
        """The part of the file that has been read, 0 to 1; None if its size is not known."""
        return None if self._source is None else self._source.part_read

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, undecoded."""
        return sys.stdin.buffer

    def deserialize_json(self, line: bytes) -> Message:
        """Decodes a line to a message.

        Raises:
            InvalidInputLine: The line is no Singer message; the exception does not show it.
        """
        message: Message = self._decode(line)
        is_record = (
            type(message) is dict
            and message.get("type") == "RECORD"
            and type(message.get("record")) is dict
            and type(message.get("stream")) is str
        )
        if not is_record:
            check_shape(message)
        return message

    @staticmethod
    def _decode(line: bytes) -> Any:
        try:
            message = DECODER.decode(line)
        except (ValueError, ArithmeticError, RecursionError) as refused:
            message = decode_leniently(line, refused)
        if _may_be_deep(line):
            check_depth(message)
        return message

    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[Message], None]],
    ) -> Counter[str]:
        """Hands each message to the handler of its type until the input ends or a signal comes.

        Args:
            callbacks: Handlers for types that are not among `handlers`.
        """
        handlers = {**callbacks, **self.handlers}
        counts: Counter[str] = Counter()
        source = self._source = LineSource(
            file_input or self.default_input, self.idle_seconds, self.longest_line
        )
        lines = source.lines
        try:
            # A line that has been read already needs neither a wait nor a system call.
            while line := (
                lines.popleft() if lines and not self.stopped else self._next_line(source)
            ):
                self.line_number += 1
                if isinstance(line, LongLine):
                    self._take_long(line, handlers, counts)
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
                if kind == "BATCH":
                    counts[kind] += 1
                    self._read_batch(message, handlers["RECORD"], counts)
                    if self.ended_early:
                        break
                    continue
                handler = handlers.get(kind)
                if handler is None:
                    self.on_unreadable(line, self.line_number, "of no known message type")
                    continue
                handler(message)
                counts[kind] += 1
                if counts["RECORD"] == self.most_records:
                    self.ended_early = True
                    break
        except StopReading:
            pass
        finally:
            self.waiting = False
        return counts

    def _read_batch(
        self, message: Message, handler: Callable[[Message], None], counts: Counter[str]
    ) -> None:
        """Hands the rows in the files of a BATCH message to the handler of RECORDs.

        Raises:
            RunError: A file can't be read; no STATE after the message may pass.
        """
        head = {"type": "RECORD", "stream": message.get("stream")}
        if message.get("version") is not None:
            head["version"] = message["version"]
        unread = 0
        try:
            for row in batch_rows(message, self.longest_line):
                if self.stopped:
                    return
                unread += row.length
                if unread > _CHUNK:
                    # As after each chunk of lines, so that no other stream's rows wait too long.
                    self.before_wait()
                    unread = 0
                self._read_row(row, head, handler, counts)
                if self.ended_early:
                    return
        except UnreadableBatch as problem:
            raise RunError(str(problem), exit_code=2 if problem.needs_person else 1) from None

    def _read_row(
        self,
        row: BatchRow,
        head: Message,
        handler: Callable[[Message], None],
        counts: Counter[str],
    ) -> None:
        self.line_length = row.length
        if not row.line:
            self.on_too_long(row.length, row.number)
            return
        if row.line.isspace():
            return
        try:
            record = self._decode(row.line)
            if not isinstance(record, dict):
                raise InvalidInputLine("no JSON object")
        except InvalidInputLine as problem:
            where = f"of the BATCH file {row.file} and"
            self.on_unreadable(row.line, row.number, f"{where} {problem}")
            return
        handler({**head, "record": record})
        counts["RECORD"] += 1
        self.ended_early = counts["RECORD"] == self.most_records

    def _take_long(
        self,
        line: LongLine,
        handlers: Mapping[str, Callable[[Message], None]],
        counts: Counter[str],
    ) -> None:
        """Hands a long STATE to its handler; any other line is reported as too long.

        Raises:
            RunError: The STATE is longer than `LONGEST_STATE`.
        """
        if line.is_state and line.length > LONGEST_STATE:
            raise RunError(
                f"Line {self.line_number} is a STATE of {line.length >> 20} MB, and at most "
                f"{LONGEST_STATE >> 20} MB are passed on. STATE stands where the last one before "
                "it stood: let the tap keep fewer bookmarks, such as of streams that it no longer "
                "reads."
            )
        value = None if line.text is None else long_state_value(line.text)
        if value is None:
            self.on_too_long(line.length, self.line_number)
            return
        handlers["STATE"]({"type": "STATE", "value": value})
        counts["STATE"] += 1

    def discard_rest(self) -> None:
        """Reads the input to its end, or until a signal comes, and discards it.

        Otherwise the tap would fail with a broken pipe, and the pipeline with it.
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
            self.before_wait()
        # A signal before `waiting` is set is found by the check of `stopped`. After that, its
        # handler raises `StopReading`; nothing is lost, since no line has been read.
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


def _may_be_deep(line: bytes) -> bool:
    """Whether a line has brackets enough to be nested too deep; few lines have."""
    # A record of plain values has two braces: finding no third is faster than counting.
    if b"[" not in line and line.find(b"{", line.find(b"{", 1) + 1) < 0:
        return False
    return line.count(b"[") + line.count(b"{") > DEEPEST_LEVEL


def _do_nothing() -> None:
    """Default handler of a reader without a target."""


def _refuse(line: bytes, line_number: int, problem: str) -> None:
    raise InvalidInputLine(f"Line {line_number} ({len(line)} bytes) is {problem}.")


def _refuse_long(length: int, line_number: int) -> None:
    raise InvalidInputLine(f"Line {line_number} ({length} bytes) is {too_long()}.")
