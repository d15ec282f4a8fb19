"""The rejects file: rejected records as Singer messages, so that a target can read them again.

The file holds customers' data, so its mode is 0600. Several runs may append to it, and a replay may
replace it by a shorter one. So each write is a block of whole lines under the file's lock. A block
repeats the SCHEMA messages that it needs, unless the file has not changed since this run's last
block.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.source_record import REJECT, Former
from target_apollo.system.files import locked, open_private, sync_folder

#: The stream of lines that could not be read as a Singer message.
UNREADABLE_STREAM = "_unreadable"
_UNREADABLE_SCHEMA = {
    "properties": {
        "line": {"type": "string"},
        "line_number": {"type": "integer"},
        "length": {"type": "integer"},
    }
}
#: The schema of a stream whose SCHEMA has not come. Earlier versions wrote it without a mark.
NO_PROPERTIES: Mapping[str, Any] = {"properties": {}}
#: In characters. Names in it can be megabytes long, and the line must be readable again.
_LONGEST_DETAIL = 10_000
#: Bytes that are collected in memory before a write, unless `sync` is called earlier.
_HELD = 1 << 20


class RejectsFile:
    """Appends rejected records, each after the SCHEMA of its stream. The first creates the file.

    A record has the property ``_reject``: reason, detail, status, endpoint, attempts, at, run_id;
    first_at and first_run_id if it was rejected before; source if the run has one.

    Args:
        path: The rejects file as the user knows it.
        source: The setting `source`; empty if it is not set.
        into: The file to write instead, while a replay prepares a new file for `path`.
    """

    def __init__(self, path: Path, run_id: str, source: str = "", into: Path | None = None) -> None:
        self.path = path
        self._source = {"source": source} if source else {}
        self._written_to = into or path
        self._run_id = run_id
        self._made = False
        #: Stream, SCHEMA line and RECORD line of each record that is not yet written.
        self._held: list[tuple[str, bytes, bytes]] = []
        self._held_bytes = 0
        #: The last SCHEMA line of each stream in the file.
        self._written: dict[str, bytes] = {}
        #: Device, inode and size of the file after this run's last block.
        self._left_at: tuple[int, int, int] | None = None
        self._schemas: dict[str, tuple[object, bytes]] = {}
        # Records may hold `Decimal` numbers.
        self._encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="number")

    def append(
        self,
        stream: str,
        schema: Mapping[str, Any] | None,
        key_properties: Sequence[str],
        record: Mapping[str, Any],
        rejection: Rejection,
        former: Former | None = None,
    ) -> None:
        """Adds a record with the reason of its rejection; `sync` puts it on disk.

        Args:
            schema: The stream's JSON schema as received; None if no SCHEMA has come yet.
            record: The record as received.
            former: Its earlier rejection, if there was one; the attempts are added up.

        Raises:
            OSError: The file can't be written.
        """
        detail = rejection.detail
        if rejection.apollo_message:
            detail = f"{detail} Apollo's words: {rejection.apollo_message}"
        detail = detail[:_LONGEST_DETAIL]
        attempts = rejection.attempts
        if former is not None:
            attempts = former.attempts + max(1, attempts)
        reject = {
            "reason": rejection.reason.value,
            "detail": detail,
            "status": rejection.status,
            "endpoint": rejection.endpoint,
            "attempts": attempts,
            # In microseconds, as the ledger's times: a row may be written in the same second.
            "at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            "run_id": self._run_id,
            **self._source,
            **(former.kept if former is not None else {}),
        }
        line = self._line(
            {"type": "RECORD", "stream": stream, "record": {**record, REJECT: reject}}
        )
        self._held.append((stream, self._schema_line(stream, schema, key_properties), line))
        self._held_bytes += len(line)
        if not self._made:
            # So a file that can't be written is noticed at the first reject.
            open_private(self._written_to).close()
            sync_folder(self._written_to.parent)
            self._made = True
        if self._held_bytes > _HELD:
            self.sync()

    def append_line(self, line: bytes, line_number: int, rejection: Rejection) -> None:
        """Adds a line that is no Singer message, as a record of `UNREADABLE_STREAM`."""
        text = line.decode("utf-8", "replace")
        record = {"line": text, "line_number": line_number}
        self.append(UNREADABLE_STREAM, _UNREADABLE_SCHEMA, (), record, rejection)

    def append_long_line(self, length: int, line_number: int, rejection: Rejection) -> None:
        """Adds the length and number of a line that was too long for the memory."""
        record = {"length": length, "line_number": line_number}
        self.append(UNREADABLE_STREAM, _UNREADABLE_SCHEMA, (), record, rejection)

    def sync(self) -> None:
        """Makes sure that appended records are on disk; STATE may pass them only afterwards.

        Raises:
            OSError: The file can't be written. It is unchanged, and a later call tries again.
        """
        if not self._held:
            return
        with locked(self._written_to) as file:
            descriptor = file.fileno()
            found = _signature(descriptor)
            written = dict(self._written) if found == self._left_at else {}
            block = [b"\n"] if _ends_in_half_a_line(file) else []
            for stream, schema, line in self._held:
                if written.get(stream) != schema:
                    written[stream] = schema
                    block.append(schema)
                block.append(line)
            try:
                _write(descriptor, b"".join(block))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, found[2])
                raise
            self._left_at = _signature(descriptor)
        self._written = written
        self._held = []
        self._held_bytes = 0

    def close(self) -> None:
        """Calls `sync` for the last time."""
        self.sync()

    def _schema_line(
        self, stream: str, schema: Mapping[str, Any] | None, key_properties: Sequence[str]
    ) -> bytes:
        described = (schema, list(key_properties))
        known = self._schemas.get(stream)
        if known is not None and known[0] == described:
            return known[1]
        message: dict[str, Any] = {
            "type": "SCHEMA",
            "stream": stream,
            "schema": NO_PROPERTIES if schema is None else _with_reject(schema),
            "key_properties": list(key_properties),
        }
        if schema is None:
            message[REJECT] = Reason.NO_SCHEMA.value
        line = self._line(message)
        self._schemas[stream] = (described, line)
        return line

    def _line(self, message: Mapping[str, Any]) -> bytes:
        try:
            return self._encoder.encode(message) + b"\n"
        except UnicodeEncodeError:
            # There is a lone surrogate, from Apollo's message or from a stream map.
            return self._encoder.encode(_storable(message)) + b"\n"


def is_placeholder(message: Mapping[str, Any]) -> bool:
    """Whether a SCHEMA message of the file stands for one that never came.

    It tells other targets the stream. This one ignores it, so that its records are not taken for
    rows without a key.
    """
    return REJECT in message


def without_reject(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's schema without the property ``_reject``."""
    properties = {name: of for name, of in schema["properties"].items() if name != REJECT}
    return {**schema, "properties": properties}


def _with_reject(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    # Another target may read the file, and a schema without additional properties would refuse it.
    if schema.get("additionalProperties") is not False:
        return schema
    return {**schema, "properties": {**schema.get("properties", {}), REJECT: {}}}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(inner) for inner in value]
    return value


def _write(descriptor: int, content: bytes) -> None:
    # Not buffered: a buffer could write its rest after `sync` has truncated the file.
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _signature(descriptor: int) -> tuple[int, int, int]:
    found = os.fstat(descriptor)
    return (found.st_dev, found.st_ino, found.st_size)


def _ends_in_half_a_line(file: BinaryIO) -> bool:
    size = os.fstat(file.fileno()).st_size
    return size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
