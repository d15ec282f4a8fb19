"""A record as it was received, and its earlier rejection if it is replayed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from target_apollo.model.rows import key_text
from target_apollo.model.times import moment

#: Property of a record with the reason of its rejection.
REJECT = "_reject"
#: A larger number is none that this program has written.
_MOST_ATTEMPTS = 1_000_000_000
#: The property by which taps mark a row that was deleted.
DELETED_AT = "_sdc_deleted_at"


@dataclass(frozen=True)
class Former:
    """The earlier rejection of a record.

    Attributes:
        run_id: The run that rejected it last.
        first_run_id: The run that read it from its source.
        first_at: When that run rejected it; None if the time can't be read.
        reason: Why it was rejected last, as the file has it.
    """

    attempts: int
    run_id: str
    first_run_id: str
    first_at: datetime | None
    reason: str = ""

    @classmethod
    def taken_from(cls, record: dict[str, Any]) -> Former | None:
        """Removes ``_reject`` from a record and reads it; None if the record has none."""
        if REJECT not in record:
            return None
        written = record.pop(REJECT)
        written = written if isinstance(written, dict) else {}
        attempts = written.get("attempts")
        run_id = str(written.get("run_id", ""))
        return cls(
            attempts=attempts if isinstance(attempts, int) and 0 < attempts < _MOST_ATTEMPTS else 0,
            run_id=run_id,
            first_run_id=str(written.get("first_run_id", run_id)),
            first_at=moment(written.get("first_at", written.get("at"))),
            reason=str(written.get("reason", "")),
        )

    @property
    def kept(self) -> dict[str, Any]:
        """The entries of ``_reject`` that are kept when the record is rejected again."""
        at = None if self.first_at is None else self.first_at.isoformat(timespec="microseconds")
        return {"first_run_id": self.first_run_id, "first_at": at}


class SourceRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it was received, kept until it has its outcome.

    Attributes:
        number: Its number among all records of the input; the first is 1.
        stream: The tap's name of the stream, before stream maps.
        record: The record before stream maps, as the rejects file holds it.
        former: Its earlier rejection, if it was rejected before.
        length: Bytes of its line; in memory it needs a multiple of this.
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
        """The source key in a form that may be logged."""
        return key_text([self.record.get(name) for name in self.key_properties]) or "(no key)"
