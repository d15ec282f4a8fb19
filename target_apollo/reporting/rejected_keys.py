"""Which records of a run are in the rejects file: their keys, never their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from target_apollo.model.rows import key_text
from target_apollo.sync.rejects_file import REJECT, UNREADABLE_STREAM

#: Stream under which the summary counts lines that are no Singer message.
NO_STREAM = "(no stream)"
_KEPT = 50


@dataclass
class RejectedKeys:
    """Records of one stream and reason.

    Attributes:
        number: How many are in the file.
        keys: The first of them, fit to be shown.
    """

    number: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        """Count a record and keep its key while there is room."""
        self.number += 1
        if len(self.keys) < _KEPT:
            self.keys.append(key)


class _Line(msgspec.Struct):
    type: str
    stream: str = ""
    key_properties: list[str] = []
    record: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(_Line)

ByReason = Mapping[tuple[str, str], RejectedKeys]
"""Stream and reason -> records."""


def rejected_keys(path: Path, run_id: str) -> ByReason:
    """The records that a run put into the rejects file and that are still there.

    What was replayed since is gone from it, or stands there under the replay's run id.

    Raises:
        OSError: There is a file that can't be read.
    """
    found: dict[tuple[str, str], RejectedKeys] = {}
    keys: dict[str, list[str]] = {}
    mark = run_id.encode()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return found
    with file:
        for written in file:
            if mark not in written and b'"SCHEMA"' not in written:
                continue
            try:
                line = _decoder.decode(written)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                # Half a line of a run that was killed, or a file that somebody edited.
                continue
            if line.type == "SCHEMA":
                keys[line.stream] = line.key_properties
                continue
            said = line.record.get(REJECT)
            if not isinstance(said, dict) or said.get("run_id") != run_id:
                continue
            stream = NO_STREAM if line.stream == UNREADABLE_STREAM else line.stream
            group = found.setdefault((stream, str(said.get("reason"))), RejectedKeys())
            group.add(_key(line, keys.get(line.stream, ())))
    return found


def _key(line: _Line, names: Sequence[str]) -> str:
    if line.stream == UNREADABLE_STREAM:
        return f"line {key_text([line.record.get('line_number')])}"
    return key_text([line.record.get(name) for name in names]) or "(no key)"
