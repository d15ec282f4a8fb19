"""The lines of a rejects file: which are sent again, and which stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.sync.rejects_file import UNREADABLE_STREAM
from target_apollo.target.line_source import LONGEST_LINE
from target_apollo.target.stdin import LineReader

_CHUNK = 1 << 20


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
    reader = LineReader()
    start = 0
    while start < size:
        # Others may move the file's position between two lines.
        file.seek(start)
        text = file.readline(min(LONGEST_LINE + 1, size - start))
        end = start + len(text)
        if len(text) > LONGEST_LINE:
            while end < size and not text.endswith(b"\n"):
                text = file.readline(min(_CHUNK, size - end))
                end += len(text)
            yield Line(start, end)
        elif not text.isspace():
            yield _read(reader, start, end, text)
        start = end


def _read(reader: LineReader, start: int, end: int, text: bytes) -> Line:
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
