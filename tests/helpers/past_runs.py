"""Summaries and runs for tests of reports, with the values that a test gives."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from target_apollo.ledger import Run
from target_apollo.reporting.detail import Detail, WaitingRow, detail_of
from target_apollo.reporting.past_runs import ByReason, PastRun, RejectedKeys, merged
from target_apollo.reporting.summaries import Summary
from target_apollo.sync.rejects.causes import Cause

AT = datetime(2026, 11, 20, 9, 30, tzinfo=timezone.utc)
OUTCOMES = ("created", "updated", "unchanged", "existing", "skipped", "rejected")


def summary_json(run_id: str = "run1", at: datetime = AT, **own: Any) -> dict[str, Any]:
    """The JSON of a summary; its sums follow from the counts in ``streams``."""
    streams = own.pop("streams", {"contacts": {"created": 3, "unchanged": 1}})
    records = {name: sum(stream.get(name, 0) for stream in streams.values()) for name in OUTCOMES}
    left = own.pop("left", 0)
    return {
        "run_id": run_id,
        "started_at": at.isoformat(timespec="milliseconds"),
        "ended_at": (at + timedelta(seconds=12.5)).isoformat(timespec="milliseconds"),
        "seconds": 12.5,
        "exit_code": 0,
        "ended_because": "",
        "records": {"received": sum(records.values()) + left, **records, "without_outcome": left},
        "streams": streams,
        "api": {"requests": {"POST /contacts/bulk_create": 1}},
        **own,
    }


def summary(run_id: str = "run1", at: datetime = AT, **own: Any) -> Summary:
    return msgspec.convert(summary_json(run_id, at, **own), Summary)


def past_run(run_id: str = "run1", at: datetime = AT, **own: Any) -> PastRun:
    return merged([summary(run_id, at, **own)], [])[0]


def detail(kept: ByReason | None = None, waits: Sequence[WaitingRow] = (), **own: Any) -> Detail:
    return detail_of(past_run(**own), kept or {}, (), waits)


def rejected(number: int, *causes: tuple[str, str, int]) -> RejectedKeys:
    """Records in the rejects file: how many, and column, sentence and number of each cause."""
    keys = [str(key) for key in range(min(number, 50))]
    counted = Counter({Cause(column, sentence): count for column, sentence, count in causes})
    return RejectedKeys(number, keys, counted)


def waiting(field: str, values: int, stream: str = "contacts", hours: float = 3) -> WaitingRow:
    """Values that wait to be sent for some hours before `AT`."""
    since = AT - timedelta(hours=hours)
    return WaitingRow("contact", stream, field, values, since, hours * 3600)


def row(run_id: str = "run1", at: datetime = AT, **own: Any) -> Run:
    """A run as in the ledger; without ``finished_at`` it has not ended."""
    known: dict[str, Any] = {
        "connection": "5f2a00000000000000000001",
        "streams": ("contacts",),
        "mode": "upsert",
        "finished_at": None,
        "counts": {},
        "exit_code": None,
        "reason": None,
        **own,
    }
    return Run(run_id=run_id, started_at=at, **known)


def leave(folder: Path, content: dict[str, Any], *, name: str = "", age: int = 0) -> Path:
    """Writes a summary as a run does, with a modification time ``age`` seconds ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{content['run_id']}.json")
    path.write_text(json.dumps(content))
    then = AT.timestamp() - age
    os.utime(path, (then, then))
    return path
