"""A record as it came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from target_apollo.model.rows import key_text
from target_apollo.sync.rejects_file import Former


class Received(msgspec.Struct, frozen=True):
    """A record as it came in, kept until it has its outcome.

    Attributes:
        stream: The stream as the tap calls it, before stream maps.
        record: The record before stream maps; what the rejects file holds.
        former: What an earlier run said of it, where it was rejected before.
        length: Bytes of its line, of which what it takes in memory is a multiple.
        deleted: Whether the tap marks its row as deleted.
    """

    number: int
    stream: str
    record: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    key_properties: tuple[str, ...]
    former: Former | None = None
    length: int = 0
    deleted: bool = False

    @property
    def key(self) -> str:
        """The source key as it may be logged."""
        return key_text([self.record.get(name) for name in self.key_properties]) or "(no key)"
