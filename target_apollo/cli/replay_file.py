"""The rejects file of a replay: which of its lines are sent again, and which stay in the end.

The file is read in place, by offsets: it may hold a whole table, so no list of its lines is kept.
After the run a successor takes its place at once, with what is still rejected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.files import locked, open_private, sync_folder
from target_apollo.sync.rejects_file import UNREADABLE_STREAM
from target_apollo.sync.source_record import SourceRecord
from target_apollo.target.stdin import LONGEST_LINE, SingerInput

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Line:
    """A line by its place in the file, from `start` to before `end`, in bytes.

    Attributes:
        kind: ``SCHEMA`` or ``RECORD``; empty for everything else, which nobody can send.
        stream: Its stream; empty where `kind` is.
        text: The line, empty where `kind` is.
    """

    start: int
    end: int
    kind: str = ""
    stream: str = ""
    text: bytes = b""

    @property
    def is_sent(self) -> bool:
        """Whether a replay sends it."""
        return bool(self.kind) and self.stream != UNREADABLE_STREAM


def lines_of(file: BinaryIO, size: int) -> Iterator[Line]:
    """The lines of a file's first `size` bytes; blank ones are left out."""
    reader = SingerInput()
    start = 0
    while start < size:
        # Others may move the file's position between two lines.
        file.seek(start)
        text = file.readline(min(LONGEST_LINE + 1, size - start))
        end = start + len(text)
        if len(text) > LONGEST_LINE:
            while end < size and not text.endswith(b"\n"):
                text = file.readline(min(_CHUNK_BYTES, size - end))
                end += len(text)
            yield Line(start, end)
        elif not text.isspace():
            yield _parsed(reader, start, end, text)
        start = end


def _parsed(reader: SingerInput, start: int, end: int, text: bytes) -> Line:
    try:
        message = reader.deserialize_json(text)
    except InvalidInputLine:
        return Line(start, end)
    if message["type"] not in ("SCHEMA", "RECORD"):
        return Line(start, end)
    return Line(start, end, message["type"], message["stream"], text)


class RejectedLines:
    """What a replay's target reads as its input: SCHEMAs and RECORDs of a rejects file.

    Attributes:
        records: Records handed out so far, which is also the number of the newest.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._lines = lines_of(file, size)
        self.records = 0

    def readline(self, _limit: int = -1) -> bytes:
        """The next line that is sent; empty at the end."""
        for line in self._lines:
            if line.is_sent:
                self.records += line.kind == "RECORD"
                return line.text if line.text.endswith(b"\n") else line.text + b"\n"
        return b""


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
        """The records that follow are described by this SCHEMA."""
        self._schemas[schema.stream] = schema

    def add_line(self, line: Line) -> None:
        """Copies a line as it stands, after the SCHEMA of its stream where that is not there."""
        if line.stream:
            self._write_schema(line.stream)
        self._copy(line.start, line.end)

    def add_rest(self, start: int, end: int) -> None:
        """Copies what other runs appended; it may count on SCHEMAs that stood before it."""
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
    path: Path, rejects: BinaryIO, size: int, with_outcome: RecordsWithOutcome, successor_path: Path
) -> None:
    """Replaces a rejects file by its successor, at once and on disk.

    The successor holds already what was rejected again. It takes in what has no outcome, the lines
    that nobody can send, and what other runs appended.

    Args:
        rejects: The file as it was opened when the replay began; `size` bytes long then.
        with_outcome: The records that leave it.
        successor_path: The file that takes its place.

    Raises:
        OSError: The successor can't be written; the rejects file is as it was.
    """
    with open_private(successor_path) as successor:
        copy = _Copy(rejects, successor)
        number = 0
        for line in lines_of(rejects, size):
            if line.kind == "SCHEMA":
                copy.begin_schema(line)
                continue
            if line.is_sent:
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
                # Somebody took the file away meanwhile; what is there now is none of ours.
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
