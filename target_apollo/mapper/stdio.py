"""Singer lines as bytes: reading and writing them in blocks, and decoding only what is needed.

The SDK's reader decodes each line as a whole, encodes each answer and flushes after it, which takes
most of a mapper's time and sends every number through Python. The SDK lets a plugin choose its
reader: `BlockReader` reads and writes blocks of bytes and calls a function for their lines. It also
handles signals and a closed pipe, since both end its loop.

A record that is changed keeps the bytes of its other values. A number such as ``1.10`` or
``12345678901234567890`` leaves the mapper as the tap wrote it.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import IO, Any, TypedDict

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from target_apollo.mapper.errors import InputError
from target_apollo.mapper.rules import Lead
from target_apollo.model.texts.lenient_json import NUMBERS, read_lenient
from target_apollo.system.standard_streams import discard_output, why_unreadable, why_unwritable

#: Most bytes of a read; a pipe gives fewer.
BLOCK = 1 << 20
#: In each line of a BATCH message.
BATCH = b'"BATCH"'

#: Takes lines and returns the lines to pass on, both without line ends.
TransformLines = Callable[[list[bytes]], list[bytes]]


class _Stopped(BaseException):
    """A signal arrived while the mapper waited for input."""


class BlockReader(GenericSingerReader[bytes]):
    """Reads blocks of lines, calls ``transform`` for them, and writes the lines that it returns.

    Attributes:
        expand: Takes the lines of a block with a BATCH message and yields blocks of lines.
        transform: Takes the lines of a block and returns the lines to pass on.
        counts: Message type -> number of messages, counted by ``transform``.
        stopped_by: Number of the signal that ended the run; 0 for none.
        closed: Whether the target closed its input before the end of the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.expand: Callable[[list[bytes]], Iterable[list[bytes]]] = lambda lines: (lines,)
        self.transform: TransformLines = list
        self.counts: Counter[str] = Counter()
        self.stopped_by = 0
        self.closed = False
        self._reading = False

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input."""
        return sys.stdin.buffer

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Not used, since lines stay bytes; raises NotImplementedError."""
        raise NotImplementedError

    def stop(self, signum: int) -> None:
        """End the run for a signal: at once while it waits, else after the lines read so far.

        A second signal ends the process at once, also if the target takes no more lines.
        """
        if self.stopped_by:
            os._exit(128 + signum)
        self.stopped_by = signum
        if self._reading:
            raise _Stopped

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: Any,  # noqa: ARG002 - the SDK's methods for messages, which a run does not call
    ) -> Counter[str]:
        """Process all lines until the end of the input, a signal, or a closed pipe."""
        source = _bytes_of(file_input) if file_input else self.default_input
        try:
            self._pass_on(source)
        except _Stopped:
            pass
        except BrokenPipeError:
            self.closed = True
            discard_output()
        finally:
            self._reading = False
        return self.counts

    def _pass_on(self, source: Any) -> None:
        output = sys.stdout.buffer
        # A block mostly ends in the middle of a line. The parts of a long line are joined only once
        # it is complete, so that they are not copied again with each block.
        parts: list[bytes] = []
        while not self.stopped_by:
            self._reading = True
            try:
                block = source.read1(BLOCK)
            except OSError as problem:
                raise InputError(why_unreadable(problem)) from None
            self._reading = False
            if not block:
                break
            whole, end, rest = block.rpartition(b"\n")
            if not end:
                parts.append(block)
                continue
            text = b"".join([*parts, whole]).removeprefix(codecs.BOM_UTF8)
            parts = [rest] if rest else []
            self._process(output, text)
        if parts and not self.stopped_by:
            self._process(output, b"".join(parts))

    def _process(self, output: IO[bytes], text: bytes) -> None:
        lines = text.split(b"\n")
        if BATCH not in text:
            self._write(output, self.transform(lines))
            return
        for block in self.expand(lines):
            if self.stopped_by:
                return
            self._write(output, self.transform(block))

    @staticmethod
    def _write(output: IO[bytes], passed: list[bytes]) -> None:
        if not passed:
            return
        rest = memoryview(b"\n".join(passed) + b"\n")
        try:
            while rest:
                # With PYTHONUNBUFFERED, as in many containers, a signal can interrupt a write.
                rest = rest[output.write(rest) :]
            output.flush()
        except BrokenPipeError:
            raise
        except OSError as problem:
            discard_output()
            raise InputError(why_unwritable(problem)) from None


def _bytes_of(file: IO[Any]) -> Any:
    """A binary file for the text file that the SDK opens for ``--input``."""
    if isinstance(file, io.TextIOWrapper):
        return file.buffer
    return file if hasattr(file, "read1") else io.BytesIO(file.read().encode())


def log_end(reader: BlockReader, log: logging.Logger) -> int:
    """Log how the run ended, unless by the end of the input, and return the exit code."""
    if reader.stopped_by:
        log.info(
            "Stopped by signal %d; every line before it has been passed on.", reader.stopped_by
        )
        return 128 + reader.stopped_by
    if reader.closed:
        log.error("The target closed its input before the end; see its own log for the reason.")
        return 1
    return 0


_NO_RECORD = msgspec.Raw()


class Head(msgspec.Struct, gc=False):
    """A message's type and stream, and its record, which is not decoded."""

    type: str = ""
    stream: str = ""
    record: msgspec.Raw = _NO_RECORD


_heads = msgspec.json.Decoder(Head)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])

_messages = msgspec.json.Decoder(dict[str, Any], float_hook=NUMBERS.create_decimal)

_encoder = msgspec.json.Encoder(decimal_format="number")


def read_head(line: bytes) -> tuple[Head, bytes] | None:
    """The head of a line, and the line as strict JSON, the same bytes for nearly all lines.

    None if the line is no JSON object with a type.
    """
    try:
        return _heads.decode(line), line
    except msgspec.DecodeError:
        return _lenient_head(line)


def _lenient_head(line: bytes) -> tuple[Head, bytes] | None:
    try:
        message = read_lenient(line)
        kind, stream = message.get("type"), message.get("stream")
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(kind, str):
        return None
    record = message.get("record")
    raw = _NO_RECORD if record is None else msgspec.Raw(_encoder.encode(record))
    # A null stands where NaN was, as the target reads it, so that other loaders can read it too.
    return Head(kind, stream if isinstance(stream, str) else "", raw), _encoder.encode(message)


def read_message(line: bytes) -> dict[str, Any]:
    """A message of strict JSON, decoded as a whole; numbers with a fraction become Decimals."""
    try:
        return _messages.decode(line)
    except ArithmeticError:
        found: dict[str, Any] = read_lenient(line)
        return found


def write_message(message: Mapping[str, Any]) -> bytes:
    """A message as a line, without a line end."""
    return _encoder.encode(message)


class LeadReader:
    """Reads the named properties of a stream's records, and does not decode the others.

    ``prefixes`` are the beginnings that a RECORD line of the stream has with nearly all taps.
    """

    def __init__(self, stream: str, fields: Iterable[str]) -> None:
        self.prefixes = tuple(_prefix(stream, space) for space in _SPACES)
        self._fields = dict.fromkeys(fields, Any)
        lead = TypedDict("lead", self._fields, total=False)  # type: ignore[misc]
        line = msgspec.defstruct("line", [("record", lead)], gc=False)
        inner: Any = msgspec.json.Decoder(lead, float_hook=NUMBERS.create_decimal)
        self._decode: Callable[[msgspec.Raw], Lead] = inner.decode
        whole: Any = msgspec.json.Decoder(line, float_hook=NUMBERS.create_decimal)
        self._decode_line: Callable[[bytes], Any] = whole.decode

    def read_line(self, line: bytes) -> Lead | None:
        """The named properties of the record in a line with one of the `prefixes`.

        None if msgspec refuses the line: read it by `read_head` and `read` then.
        """
        try:
            lead: Lead = self._decode_line(line).record
        except (msgspec.DecodeError, ArithmeticError):
            return None
        return lead

    def read(self, record: msgspec.Raw) -> Lead | None:
        """The named properties of a record of strict JSON; None if it is no object."""
        try:
            return self._decode(record)
        except msgspec.DecodeError:
            return None
        except ArithmeticError:
            return self._decode(msgspec.Raw(_encoder.encode(read_lenient(bytes(record)))))


def record_line(record: bytes, stream: str, version: object = None) -> bytes:
    """A RECORD line of a record in JSON; what is no object comes back as it is.

    Each number in it stays as it was written.
    """
    try:
        _members.decode(record)
    except msgspec.DecodeError:
        try:
            # NaN, or half of a surrogate pair.
            if not isinstance(read_lenient(bytes(record)), dict):
                return record
        except (ValueError, RecursionError):
            return record
    end = b"}" if version is None else b',"version":%b}' % _encoder.encode(version)
    return b'{"type":"RECORD","stream":%b,"record":%b' % (_encoder.encode(stream), record) + end


def with_stream(line: bytes, stream: str) -> bytes:
    """A message's line with another stream's name."""
    return _join(_split(line) | {"stream": _text(stream)})


class RecordWriter:
    """Writes RECORD lines of one stream under another stream's name."""

    def __init__(self, stream: str, output: str) -> None:
        self._output = output
        self._prefixes = [(_prefix(stream, space), _prefix(output, space)) for space in _SPACES]

    def write(self, line: bytes, pair: bytes = b"", without: Collection[str] = ()) -> bytes:
        """A RECORD line under the output stream's name.

        Args:
            line: The line as the tap wrote it.
            pair: A property to add, made by `property_pair`; empty for none.
            without: Properties to remove, all of which the record has.
        """
        if not without:
            for theirs, ours in self._prefixes:
                # An empty record needs no comma after the added property.
                if line.startswith(theirs) and line[len(theirs) : len(theirs) + 1] == b'"':
                    return ours + pair + (b"," if pair else b"") + line[len(theirs) :]
        message = _split(line)
        record = bytes(message["record"])
        if without:
            members = {key: raw for key, raw in _split(record).items() if key not in without}
            record = _join(members)
        if pair:
            inside = record[record.index(b"{") + 1 :]
            comma = b"" if inside.lstrip().startswith(b"}") else b","
            record = b"{" + pair + comma + inside
        return _join(message | {"stream": _text(self._output), "record": msgspec.Raw(record)})


def property_pair(name: str, value: str) -> bytes:
    """A property and its value as JSON, ``"name":"value"``."""
    return _pair(name, _text(value))


# Nearly all taps write the members of a RECORD in the same order, without spaces or with those of
# Python's json module. Then the beginning of the line tells its stream, and the mapper changes only
# that beginning.
_SPACES = (b"", b" ")


def _prefix(stream: str, space: bytes) -> bytes:
    members = ((b"type", b'"RECORD"'), (b"stream", _encoder.encode(stream)), (b"record", b"{"))
    return b"{" + (b"," + space).join(b'"%b":%b%b' % (name, space, raw) for name, raw in members)


def _split(line: bytes) -> dict[str, msgspec.Raw]:
    return _members.decode(line)


def _join(members: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join([_pair(key, raw) for key, raw in members.items()]) + b"}"


def _pair(key: str, raw: msgspec.Raw) -> bytes:
    return b"%b:%b" % (_encoder.encode(key), bytes(raw))


def _text(value: str) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value))
