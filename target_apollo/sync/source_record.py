"""A record as it came in, and what an earlier run said of it if it was rejected before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from target_apollo.model.rows import key_text
from target_apollo.model.values import moment

#: Property of a record that says why it was rejected.
REJECT = "_reject"
#: The property by which taps mark a row that was deleted.
DELETED_AT = "_sdc_deleted_at"


@dataclass(frozen=True)
class Former:
    """What an earlier run said of a record that it rejected.

    Attributes:
        run_id: The run that rejected it last.
        first_run_id: The run that read it from its source.
        first_at: When that run rejected it, if that can be read.
    """

    attempts: int
    run_id: str
    first_run_id: str
    first_at: datetime | None

    @classmethod
    def taken_from(cls, record: dict[str, Any]) -> Former | None:
        """Takes ``_reject`` out of a record; None where it has none."""
        if REJECT not in record:
            return None
        written = record.pop(REJECT)
        written = written if isinstance(written, dict) else {}
        attempts = written.get("attempts")
        run_id = str(written.get("run_id", ""))
        return cls(
            attempts=attempts if isinstance(attempts, int) and attempts > 0 else 0,
            run_id=run_id,
            first_run_id=str(written.get("first_run_id", run_id)),
            first_at=moment(written.get("first_at", written.get("at"))),
        )

    @property
    def kept(self) -> dict[str, Any]:
        """What stays in ``_reject`` when the record is rejected again."""
        at = None if self.first_at is None else self.first_at.isoformat(timespec="microseconds")
        return {"first_run_id": self.first_run_id, "first_at": at}


class SourceRecord(msgspec.Struct, frozen=True):
    """A record as it came in, kept until it has its outcome.

    Attributes:
        number: Its place among all records of the input; the first is 1.
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
