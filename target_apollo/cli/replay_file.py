"""The rejects file of a replay: which of its lines are sent again, and which of them stay.

The file is read in place, by offsets, since it may hold a whole table, too large for a list of its
lines. After the run, a successor with the records that are still rejected replaces it in one step.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.sync.rejects.rejects_file import UNREADABLE_STREAM
from target_apollo.sync.source_record import REJECT, SourceRecord
from target_apollo.system.files import locked, open_private, sync_folder
from target_apollo.target.odd_lines import LONGEST_LINE, Message
from target_apollo.target.stdin import SingerInput

_CHUNK_BYTES = 1 << 20
#: Bytes of the longest entry that is sent. A record of a line of `LONGEST_LINE` is longer in the
#: file: it has the reason beside it, and its numbers are spelled in another way.
LONGEST_ENTRY = 2 * LONGEST_LINE
#: Unreadable lines that get a sentence each.
_MOST_NAMED = 50
_UNREADABLE_ENTRY = f'{{"type":"RECORD","stream":"{UNREADABLE_STREAM}",'.encode()


@dataclass(frozen=True)
class Line:
    """A line of the file, from offset `start` to before offset `end`, in bytes.

    Attributes:
        number: Its number in the file; the first is 1.
        kind: ``SCHEMA`` or ``RECORD``; empty for any other line, which can't be sent.
        stream: The message's stream; empty where `kind` is.
        text: The line with its line break; empty where `kind` is.
        source: Where a record comes from; empty where the file does not tell.
        fault: Why it can't be read, as the end of a sentence; empty for other lines.
    """

    start: int
    end: int
    number: int
    kind: str = ""
    stream: str = ""
    text: bytes = b""
    source: str = ""
    fault: str = ""

    @property
    def can_be_sent(self) -> bool:
        """Whether some replay sends it."""
        return bool(self.kind) and self.stream != UNREADABLE_STREAM

    def is_sent(self, source: str | None) -> bool:
        """Whether a replay for a source sends it: a SCHEMA, or a record of that source.

        Args:
            source: As `source` of the lines; None for a replay of all sources.
        """
        is_of_it = source is None or self.kind == "SCHEMA" or self.source == source
        return self.can_be_sent and is_of_it


def lines_of(file: BinaryIO, size: int) -> Iterator[Line]:
    """Yields the lines of a file's first `size` bytes, without blank lines."""
    reader = SingerInput()
    file.seek(0)
    # Some editors put a mark before the first line.
    start = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    number = 0
    while start < size:
        number += 1
        # The caller may move the file's position between two lines.
        file.seek(start)
        text = file.readline(min(LONGEST_ENTRY + 1, size - start))
        end = start + len(text)
        if len(text) > LONGEST_ENTRY:
            is_unreadable_line = text.startswith(_UNREADABLE_ENTRY)
            while end < size and not text.endswith(b"\n"):
                text = file.readline(min(_CHUNK_BYTES, size - end))
                end += len(text)
            if is_unreadable_line:
                # It is never sent, so nobody needs its text.
                yield Line(start, end, number, "RECORD", UNREADABLE_STREAM)
            else:
                yield Line(start, end, number, fault=f"longer than {LONGEST_ENTRY >> 20} MB")
        elif not text.isspace():
            yield _parsed(reader, Line(start, end, number), text)
        start = end


def _parsed(reader: SingerInput, line: Line, text: bytes) -> Line:
    try:
        message = reader.deserialize_json(text)
    except InvalidInputLine as problem:
        return replace(line, fault=str(problem))
    if message["type"] not in ("SCHEMA", "RECORD"):
        return line
    return replace(
        line, kind=message["type"], stream=message["stream"], text=text, source=_source_of(message)
    )


def _source_of(message: Message) -> str:
    reject = message["record"].get(REJECT) if message["type"] == "RECORD" else None
    source = reject.get("source") if isinstance(reject, dict) else None
    return source if isinstance(source, str) else ""


@dataclass
class Contents:
    """What a rejects file holds.

    Attributes:
        sources: The sources of its records, in their order; empty where it tells none.
        unreadable: Number and fault of the first lines that can't be read.
        number_unreadable: How many lines can't be read.
    """

    sources: list[str] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    number_unreadable: int = 0

    @classmethod
    def of(cls, file: BinaryIO) -> Contents:
        """Reads a rejects file."""
        contents = cls()
        sources: dict[str, None] = {}
        for line in lines_of(file, os.fstat(file.fileno()).st_size):
            if line.fault:
                contents.number_unreadable += 1
                if len(contents.unreadable) < _MOST_NAMED:
                    contents.unreadable.append((line.number, line.fault))
            elif line.can_be_sent and line.kind == "RECORD":
                sources[line.source] = None
        contents.sources = list(sources)
        return contents

    def sentences(self, path: Path) -> Iterator[str]:
        """A sentence for each line that can't be read, and one for those that are not named."""
        for number, fault in self.unreadable:
            yield (
                f"Line {number} of {path} can't be read and stays there: it is {fault}. The other "
                "lines are replayed. Mend the line, or remove it."
            )
        more = self.number_unreadable - len(self.unreadable)
        if more:
            yield f"{more} more lines of {path} can't be read and stay there."


class RejectedLines:
    """The input of a replay's target: SCHEMA and RECORD messages of a rejects file.

    Attributes:
        records: How many records were returned so far; also the number of the latest record.

    A line that is not sent is returned as a blank one, so that the target counts the file's lines.
    """

    def __init__(self, file: BinaryIO, size: int, source: str | None = None) -> None:
        """`source` is that of the records to send, as in the file; None sends all of them."""
        self._lines = lines_of(file, size)
        self._source = source
        self._next: Line | None = None
        #: Number of the line that was returned last.
        self._number = 0
        self.records = 0

    def readline(self, _limit: int = -1) -> bytes:
        """The next line to send, or a blank one for each line before it; empty at the end."""
        if self._next is None:
            sent = (line for line in self._lines if line.is_sent(self._source))
            self._next = next(sent, None)
        line = self._next
        if line is None:
            return b""
        self._number += 1
        if self._number < line.number:
            return b"\n"
        self._next = None
        self.records += line.kind == "RECORD"
        return line.text if line.text.endswith(b"\n") else line.text + b"\n"


class RecordsWithOutcome:
    """The numbers of a replay's records that were written, or were rejected again."""

    def __init__(self) -> None:
        # One byte a record: a rejects file may hold a whole table.
        self._flags = bytearray()

    def add(self, received: SourceRecord) -> None:
        """Notes that a record has its outcome."""
        missing = received.number + 1 - len(self._flags)
        if missing > 0:
            self._flags.extend(bytes(missing))
        self._flags[received.number] = 1

    def __contains__(self, number: int) -> bool:
        return number < len(self._flags) and self._flags[number] == 1

    def __len__(self) -> int:
        return sum(self._flags)


class _Copy:
    """Copies lines of a rejects file to its successor, each record after its SCHEMA."""

    def __init__(self, source: BinaryIO, successor: BinaryIO) -> None:
        self._source = source
        self._successor = successor
        self._schemas: dict[str, Line] = {}
        self._written: dict[str, Line] = {}

    def begin_schema(self, schema: Line) -> None:
        """Remembers the SCHEMA of its stream's next records."""
        self._schemas[schema.stream] = schema

    def add_line(self, line: Line) -> None:
        """Copies a line unchanged; copies the SCHEMA of its stream before it if that is missing."""
        if line.stream:
            self._write_schema(line.stream)
        self._copy(line.start, line.end)

    def add_rest(self, start: int, end: int) -> None:
        """Copies the lines that other runs appended, which may need any SCHEMA before them."""
        for stream in self._schemas:
            self._write_schema(stream)
        self._copy(start, end)

    def _write_schema(self, stream: str) -> None:
        schema = self._schemas.get(stream)
        if schema is not None and self._written.get(stream) is not schema:
            self._written[stream] = schema
            self._copy(schema.start, schema.end)

    def _copy(self, start: int, end: int) -> None:
        self._source.seek(start)
        last = b"\n"
        while start < end and (piece := self._source.read(min(_CHUNK_BYTES, end - start))):
            self._successor.write(piece)
            start += len(piece)
            last = piece[-1:]
        if last != b"\n":
            self._successor.write(b"\n")


def leave_only_rejected(
    path: Path,
    rejects: BinaryIO,
    size: int,
    with_outcome: RecordsWithOutcome,
    successor_path: Path,
    source: str | None = None,
) -> None:
    """Replaces a rejects file by its successor in one step and syncs it to disk.

    The successor has the records that were rejected again already. This adds the records without an
    outcome, the lines that can't be sent, and the lines that other runs have appended meanwhile.

    Args:
        rejects: The rejects file, opened when the replay began.
        size: Its size in bytes when the replay began.
        with_outcome: The records that are not copied.
        successor_path: The file that replaces the rejects file.
        source: That of the records that were sent, as `RejectedLines` had it.

    Raises:
        OSError: The successor can't be written; the rejects file is unchanged.
    """
    with open_private(successor_path) as successor:
        copy = _Copy(rejects, successor)
        number = 0
        for line in lines_of(rejects, size):
            if line.kind == "SCHEMA":
                copy.begin_schema(line)
                continue
            if line.is_sent(source):
                number += 1
                if number in with_outcome:
                    continue
            copy.add_line(line)
        with locked(path) as current:
            if os.path.samestat(os.fstat(rejects.fileno()), os.fstat(current.fileno())):
                end = os.fstat(current.fileno()).st_size
                if end > size:
                    copy.add_rest(size, end)
                _replace(path, successor_path, successor)
            else:
                # Somebody has moved the rejects file away, and the file at its path is another one.
                _append(successor, current)
                successor_path.unlink()
        sync_folder(path.parent)


def _replace(path: Path, successor_path: Path, successor: BinaryIO) -> None:
    successor.flush()
    os.fsync(successor.fileno())
    if os.fstat(successor.fileno()).st_size:
        successor_path.replace(path)
    else:
        path.unlink()
        successor_path.unlink()


def _append(successor: BinaryIO, current: BinaryIO) -> None:
    successor.seek(0)
    while piece := successor.read(_CHUNK_BYTES):
        current.write(piece)
    current.flush()
    os.fsync(current.fileno())
