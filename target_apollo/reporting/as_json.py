"""The report on a run as one JSON object, for programs. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from target_apollo.reporting.detail import Detail, RejectRow
from target_apollo.reporting.words import reason_words, remedy_words
from target_apollo.system.shown import escaped


def as_json(detail: Detail) -> str:
    """What the report says of a run; keys of rejected records are in it, and no values."""
    run, summary = detail.run, detail.summary
    report: dict[str, Any] = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "exit_code": run.exit_code,
        "ended_because": run.because,
        "team": run.team,
        "mode": run.mode,
        "dry_run": run.dry,
        "records": dict(run.counts),
        "streams": {name: msgspec.to_builtins(one) for name, one in detail.streams.items()},
        "rejects": [_reject(row) for row in detail.rejects],
        "to_follow": summary.to_follow if summary else {},
        "follow_from": summary.follow_from if summary else None,
        "followed": summary.followed if summary else {},
        "not_followed": summary.not_followed if summary else {},
        "waiting": [dataclasses.asdict(row) for row in detail.waiting],
        "requests": {row.endpoint: row.sent for row in detail.requests},
    }
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    return escaped(text)


def _reject(row: RejectRow) -> dict[str, Any]:
    return {
        "stream": row.stream,
        "reason": row.reason,
        "words": reason_words(row.reason),
        "to_do": remedy_words(row.reason),
        "number": row.number,
        "in_file": row.kept.number,
        "causes": [
            {
                "column": cause.column or None,
                "sentence": cause.sentence,
                "answer": cause.answer or None,
                "number": number,
            }
            for cause, number in row.causes
        ],
        "keys": row.kept.keys,
    }
