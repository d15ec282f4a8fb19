"""Rejected records as a Singer file, so that a target can read them again.

The file holds customers' data: mode 0600 in a folder that only its owner may enter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from target_apollo.outcomes import Rejection

#: Stream under which lines stand that could not be read as a Singer message.
UNREADABLE_STREAM = "_unreadable"
_UNREADABLE_SCHEMA = {
    "properties": {"line": {"type": "string"}, "line_number": {"type": "integer"}}
}


class RejectsFile:
    """Appends rejected records, each after the SCHEMA of its stream; opened with the first one.

    A record carries ``_reject``: reason, detail, status, endpoint, attempts, at, run_id.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.path = path
        self._run_id = run_id
        self._file: BinaryIO | None = None
        self._schemas: dict[str, object] = {}
        # Taps hand on decimals and, at times, text with lone surrogates.
        self._encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="number")

    def append(
        self,
        stream: str,
        schema: Mapping[str, Any] | None,
        key_properties: Sequence[str],
        record: Mapping[str, Any],
        rejection: Rejection,
    ) -> None:
        """Writes a record and why it was rejected.

        Args:
            schema: The stream's JSON schema as received; None where it had none yet.
            record: The record as received.

        Raises:
            OSError: The file can't be written.
        """
        self._write_schema(stream, schema or {"properties": {}}, key_properties)
        detail = rejection.detail
        if rejection.said:
            detail = f"{detail} Apollo's words: {rejection.said}"
        reject = {
            "reason": rejection.reason.value,
            "detail": detail,
            "status": rejection.status,
            "endpoint": rejection.endpoint,
            "attempts": rejection.attempts,
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "run_id": self._run_id,
        }
        self._write({"type": "RECORD", "stream": stream, "record": {**record, "_reject": reject}})

    def append_line(self, line: bytes, line_number: int, rejection: Rejection) -> None:
        """Keeps a line that is no Singer message, as a record of `UNREADABLE_STREAM`."""
        text = line.decode("utf-8", "replace")
        record = {"line": text, "line_number": line_number}
        self.append(UNREADABLE_STREAM, _UNREADABLE_SCHEMA, (), record, rejection)

    def sync(self) -> None:
        """Puts on disk what was appended; a STATE that covers it may pass only afterwards."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Syncs and closes the file."""
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None

    def _write_schema(
        self, stream: str, schema: Mapping[str, Any], key_properties: Sequence[str]
    ) -> None:
        known = (schema, list(key_properties))
        if self._schemas.get(stream) == known:
            return
        self._schemas[stream] = known
        self._write(
            {
                "type": "SCHEMA",
                "stream": stream,
                "schema": schema,
                "key_properties": list(key_properties),
            }
        )

    def _write(self, message: Mapping[str, Any]) -> None:
        if self._file is None:
            self._file = open_private(self.path)
        self._file.write(self._encoder.encode(message) + b"\n")


def open_private(path: Path) -> BinaryIO:
    """Opens a file for appending that only its owner can read, in a folder made like it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    # An older file may have been made by hand with other rights.
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab")
