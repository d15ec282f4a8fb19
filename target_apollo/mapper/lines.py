"""Singer lines as bytes: what a line is, and how it changes without being written anew.

Only what is needed is decoded, and a record that goes on changed keeps the bytes of its values: a
number such as ``1.10`` or ``12345678901234567890`` leaves as it came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypedDict

import msgspec

from target_apollo.mapper.rules import Lead

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
