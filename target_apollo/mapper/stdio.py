"""Where the mapper leaves the SDK's path, and why.

`InlineMapper.listen` is final and hands over to ``message_reader.process_lines``, which decodes
each line wholly, calls back for each message, encodes the answers anew and flushes after each: most
of a mapper's time, and every number passes through Python. The reader is a class of the plugin's
choice, so this one reads and writes bytes in blocks and leaves the lines to a function. Signals and
a closed pipe are handled here as well, since both end the same loop.

Singer lines as bytes: what a line is, and how it changes without being written anew.

Only what is needed is decoded, and a record that goes on changed keeps the bytes of its values: a
number such as ``1.10`` or ``12345678901234567890`` leaves as it came.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import IO, Any, TypedDict

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from target_apollo.mapper.rules import Lead

#: Bytes read at once, at most: a pipe gives what it has.
BLOCK = 1 << 20

#: Takes lines without their ends and gives those that go on.
TransformLines = Callable[[list[bytes]], list[bytes]]


class _Stopped(BaseException):
    """A signal came while the mapper waited for input."""


class BlockReader(GenericSingerReader[bytes]):
    """Reads blocks of lines, passes them on through a function, and writes what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.transform: TransformLines = list
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
        passed = self.transform(lines)
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


_NO_RECORD = msgspec.Raw()


class Head(msgspec.Struct, gc=False):
    """The part of a message that says where it belongs; ``record`` is not decoded yet."""

    type: str = ""
    stream: str = ""
    record: msgspec.Raw = _NO_RECORD


_heads = msgspec.json.Decoder(Head)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])

_messages = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

_encoder = msgspec.json.Encoder(decimal_format="number")


def read_head(line: bytes) -> Head | None:
    """The head of a line; None if the line is no message that JSON readers understand."""
    try:
        return _heads.decode(line)
    except msgspec.DecodeError:
        # The standard library takes some lines that msgspec refuses, such as those with NaN or
        # half of a surrogate pair. A lead must not slip by the rules for that.
        return _lenient_head(line)


def _lenient_head(line: bytes) -> Head | None:
    try:
        message = json.loads(line)
        kind, stream = message.get("type"), message.get("stream")
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(kind, str):
        return None
    record = message.get("record")
    raw = _NO_RECORD if record is None else msgspec.Raw(json.dumps(record).encode())
    return Head(kind, stream if isinstance(stream, str) else "", raw)


def read_message(line: bytes) -> dict[str, Any]:
    """A whole message; numbers with a fraction become Decimals."""
    try:
        return _messages.decode(line)
    except msgspec.DecodeError:
        message: dict[str, Any] = json.loads(line, parse_float=Decimal)
        return message


def write_message(message: Mapping[str, Any]) -> bytes:
    """A message as a line, without the line's end."""
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:
        return json.dumps(message, default=_number).encode()


def _number(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


class LeadReader:
    """Reads the named properties of a stream's records, and skips the others undecoded."""

    def __init__(self, stream: str, fields: Iterable[str]) -> None:
        self.beginnings = tuple(_beginning(stream, space) for space in _SPACES)
        """How a RECORD line of the stream begins, with nearly all taps."""
        self._fields = dict.fromkeys(fields, Any)
        lead = TypedDict("lead", self._fields, total=False)  # type: ignore[misc]
        line = msgspec.defstruct("line", [("record", lead)], gc=False)
        inner: Any = msgspec.json.Decoder(lead, float_hook=Decimal)
        self._decode: Callable[[msgspec.Raw], Lead] = inner.decode
        whole: Any = msgspec.json.Decoder(line, float_hook=Decimal)
        self._decode_line: Callable[[bytes], Any] = whole.decode

    def read_line(self, line: bytes) -> Lead | None:
        """The properties of the record in a line that has one of the `beginnings`.

        None where the line needs the long way: `read_head`, then `read`.
        """
        try:
            lead: Lead = self._decode_line(line).record
        except msgspec.DecodeError:
            return None
        return lead

    def read(self, record: msgspec.Raw) -> Lead | None:
        """The properties of a record; None if it is no object."""
        try:
            return self._decode(record)
        except msgspec.DecodeError:
            return self._lenient(record)

    def _lenient(self, record: msgspec.Raw) -> Lead | None:
        try:
            read = json.loads(bytes(record), parse_float=Decimal)
        except ValueError:
            return None
        if not isinstance(read, dict):
            return None
        return {name: value for name, value in read.items() if name in self._fields}


def with_stream(line: bytes, stream: str) -> bytes:
    """The same message for a stream of another name."""
    return _join(_split(line) | {"stream": _text(stream)})


class RecordWriter:
    """Writes the RECORD lines of one stream anew, for a stream of another name."""

    def __init__(self, stream: str, output: str) -> None:
        self._output = output
        self._beginnings = [
            (_beginning(stream, space), _beginning(output, space)) for space in _SPACES
        ]

    def write(self, line: bytes, pair: bytes = b"", without: Collection[str] = ()) -> bytes:
        """The line with one property (`property_pair`) more, and without some that it does have."""
        if not without:
            for theirs, ours in self._beginnings:
                # An empty record has no comma to put behind the property.
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
    """A property with its value as it stands in a record."""
    return _pair(name, _text(value))


# Nearly all taps write a RECORD's members in one order, in one of the two spacings that Python's
# JSON writers have. Then a glance at the beginning tells the stream, and what the mapper changes
# is that beginning alone.
_SPACES = (b"", b" ")


def _beginning(stream: str, space: bytes) -> bytes:
    members = ((b"type", b'"RECORD"'), (b"stream", _encoder.encode(stream)), (b"record", b"{"))
    return b"{" + (b"," + space).join(b'"%b":%b%b' % (name, space, raw) for name, raw in members)


def _split(line: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _members.decode(line)
    except msgspec.DecodeError:
        members = json.loads(line)
        return {key: msgspec.Raw(json.dumps(value).encode()) for key, value in members.items()}


def _join(members: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join([_pair(key, raw) for key, raw in members.items()]) + b"}"


def _pair(key: str, raw: msgspec.Raw) -> bytes:
    return b"%b:%b" % (_encoder.encode(key), bytes(raw))


def _text(value: str) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value))
