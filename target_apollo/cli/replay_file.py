"""Puts in place of a rejects file what is still rejected after a replay."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from target_apollo.cli.lines import Line, lines_of
from target_apollo.files import locked, open_private, sync_folder
from target_apollo.sync.received import Received

_CHUNK = 1 << 20


class Settled:
    """The records of a replay that have their outcome, by number: written, or rejected again."""

    def __init__(self) -> None:
        # One byte a record: a rejects file may hold a whole table.
        self._flags = bytearray()

    def note(self, received: Received) -> None:
        """Takes in that a record has its outcome."""
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

    def know(self, schema: Line) -> None:
        """Takes in the SCHEMA of the records that follow."""
        self._schemas[schema.stream] = schema

    def keep(self, line: Line) -> None:
        """Copies a line as it stands, after the SCHEMA of its stream where that is not there."""
        if line.stream:
            self._write_schema(line.stream)
        self._copy(line.start, line.end)

    def keep_rest(self, start: int, end: int) -> None:
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
        while start < end and (piece := self._source.read(min(_CHUNK, end - start))):
            self._successor.write(piece)
            start += len(piece)
            last = piece[-1:]
        if last != b"\n":
            self._successor.write(b"\n")


def leave_only_rejected(
    path: Path, rejects: BinaryIO, size: int, settled: Settled, successor_path: Path
) -> None:
    """Replaces a rejects file by its successor, at once and on disk.

    The successor holds already what was rejected again. It takes in what has no outcome, the lines
    that nobody can send, and what other runs appended.

    Args:
        rejects: The file as it was opened when the replay began; `size` bytes long then.

    Raises:
        OSError: The successor can't be written; the rejects file is as it was.
    """
    with open_private(successor_path) as successor:
        copy = _Copy(rejects, successor)
        number = 0
        for line in lines_of(rejects, size):
            if line.kind == "SCHEMA":
                copy.know(line)
                continue
            if line.is_sent:
                number += 1
                if number in settled:
                    continue
            copy.keep(line)
        with locked(path) as current:
            if os.path.samestat(os.fstat(rejects.fileno()), os.fstat(current.fileno())):
                end = os.fstat(current.fileno()).st_size
                if end > size:
                    copy.keep_rest(size, end)
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
    while piece := successor.read(_CHUNK):
        current.write(piece)
    current.flush()
    os.fsync(current.fileno())
