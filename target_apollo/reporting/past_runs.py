"""Past runs, merged from the ledger and the summaries, and the keys of their rejected records.

Of a rejected record only the key and the cause are kept, never a value.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from target_apollo.ledger import Run
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import key_text
from target_apollo.reporting.summaries import Summary
from target_apollo.sync.rejects.causes import MOST_CAUSES, Cause, cause_of, columns_of
from target_apollo.sync.rejects.rejects_file import UNREADABLE_STREAM
from target_apollo.sync.source_record import REJECT

RECEIVED, SPLIT, OPEN = "received", "split", "without_outcome"
#: The outcomes in the order in which they are shown.
OUTCOMES = tuple(outcome.value for outcome in Outcome)


@dataclass(frozen=True)
class PastRun:
    """A past run.

    Attributes:
        ended_at: None if no end is noted: the run was killed, or is still under way.
        exit_code: None in that case too.
        counts: ``received``, ``split`` (further rows that stream maps made of records), each
            outcome and ``without_outcome`` -> records; empty in that case.
        summary: None if its file is gone or was never written.
        in_ledger: Whether the ledger has it.
    """

    run_id: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    because: str
    counts: Mapping[str, int]
    team: str | None
    mode: str | None
    summary: Summary | None
    in_ledger: bool

    @property
    def seconds(self) -> float | None:
        """How long it took; None without an end."""
        if self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @property
    def requests(self) -> int | None:
        """Requests sent; None without a summary."""
        return None if self.summary is None else sum(self.summary.api.requests.values())

    @property
    def dry(self) -> bool:
        """Whether it was a dry run."""
        return self.summary is not None and self.summary.dry_run

    def count(self, name: str) -> int | None:
        """One of the counts; None if they are not known."""
        if not self.counts:
            return None
        if name == SPLIT and SPLIT not in self.counts:
            # Runs of earlier releases counted these rows as less than none without an outcome.
            return max(0, -self.counts.get(OPEN, 0))
        return max(0, self.counts.get(name, 0))


def merged(summaries: Sequence[Summary], rows: Sequence[Run]) -> list[PastRun]:
    """The runs of summaries and ledger, each once, the newest first."""
    of_ledger = {row.run_id: row for row in rows}
    runs = {
        summary.run_id: _of_summary(summary, of_ledger.get(summary.run_id)) for summary in summaries
    }
    for run_id, row in of_ledger.items():
        if run_id not in runs:
            runs[run_id] = _of_row(row)
    return sorted(runs.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)


def _of_summary(summary: Summary, row: Run | None) -> PastRun:
    return PastRun(
        run_id=summary.run_id,
        started_at=summary.started_at,
        ended_at=summary.ended_at,
        exit_code=summary.exit_code,
        because=summary.ended_because,
        counts=summary.records,
        team=summary.team or (row.connection if row else None),
        mode=summary.mode or (row.mode if row else None),
        summary=summary,
        in_ledger=row is not None,
    )


def _of_row(row: Run) -> PastRun:
    return PastRun(
        run_id=row.run_id,
        started_at=row.started_at,
        ended_at=row.finished_at,
        exit_code=row.exit_code,
        because=row.reason or "",
        counts=row.counts,
        team=row.connection,
        mode=row.mode,
        summary=None,
        in_ledger=True,
    )


#: Stream under which the summary counts lines that are no Singer message.
NO_STREAM = "(no stream)"

_KEPT = 50


@dataclass
class RejectedKeys:
    """Keys of rejected records of one stream and reason, and why they were rejected.

    Attributes:
        number: Records in the file.
        keys: Keys of the first of them, as text.
        causes: Cause -> records; the rest of them have causes that are not told apart.
    """

    number: int = 0
    keys: list[str] = field(default_factory=list)
    causes: Counter[Cause] = field(default_factory=Counter)

    def add(self, key: str, cause: Cause) -> None:
        """Count a record, and keep its key and its cause while there is room."""
        self.number += 1
        if len(self.keys) < _KEPT:
            self.keys.append(key)
        if cause in self.causes or len(self.causes) < MOST_CAUSES:
            self.causes[cause] += 1


class _Line(msgspec.Struct):
    type: str
    stream: str = ""
    key_properties: list[str] | None = None
    schema: dict[str, Any] = {}
    record: dict[str, Any] = {}


# Keeps numbers that no float holds.
_decoder = msgspec.json.Decoder(_Line, float_hook=Decimal)

#: Stream and reason -> records.
ByReason = Mapping[tuple[str, str], RejectedKeys]


def rejected_keys(path: Path, run_id: str) -> ByReason:
    """The records that a run put into the rejects file and that are still there.

    A record that was replayed since is no longer in the file, or has the replay's run id.

    Raises:
        OSError: The file exists and can't be read.
    """
    found: dict[tuple[str, str], RejectedKeys] = {}
    keys: dict[str, list[str]] = {}
    columns: dict[str, Collection[str]] = {}
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
                line = _decoder.decode(written.removeprefix(BOM_UTF8))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
                # Half a line of a run that was killed, or a file that somebody edited.
                continue
            if line.type == "SCHEMA":
                keys[line.stream] = line.key_properties or []
                columns[line.stream] = columns_of(line.schema)
                continue
            said = line.record.get(REJECT)
            if not isinstance(said, dict) or said.get("run_id") != run_id:
                continue
            stream = NO_STREAM if line.stream == UNREADABLE_STREAM else line.stream
            group = found.setdefault((stream, str(said.get("reason"))), RejectedKeys())
            # `_reject` itself is no value of the record.
            record = {name: one for name, one in line.record.items() if name != REJECT}
            cause = cause_of(said, record, columns.get(line.stream, ()))
            group.add(_key(line, keys.get(line.stream, ())), cause)
    return found


def _key(line: _Line, names: Sequence[str]) -> str:
    if line.stream == UNREADABLE_STREAM:
        return f"line {key_text([line.record.get('line_number')])}"
    return key_text([line.record.get(name) for name in names]) or "(no key)"
