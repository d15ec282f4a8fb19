"""The summary at the end of a run: one JSON file and one log line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from target_apollo.model.outcomes import Outcome
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.words import plural
from target_apollo.system.files import write_private
from target_apollo.system.shown import escaped


def run_summary(
    counts: RunCounts, *, exit_code: int, ended_because: str, api: Mapping[str, Any]
) -> dict[str, Any]:
    """The summary as it is written to `summary_path`.

    Args:
        ended_because: Why the run ended early, a sentence; empty if it read all its input.
        api: Requests, retries and waits as the client counted them.
    """
    ended_at = datetime.now(timezone.utc)
    return {
        "run_id": counts.run_id,
        "started_at": counts.started_at.isoformat(timespec="milliseconds"),
        "ended_at": ended_at.isoformat(timespec="milliseconds"),
        "seconds": round((ended_at - counts.started_at).total_seconds(), 3),
        "exit_code": exit_code,
        "ended_because": ended_because,
        "records": {
            "received": counts.received,
            "split": counts.split,
            **{outcome.value: counts.total(outcome) for outcome in Outcome},
            "without_outcome": counts.received + counts.split - counts.settled,
        },
        "streams": {
            stream: {
                **{outcome.value: found[outcome] for outcome in Outcome},
                "rejected_because": {
                    reason.value: number for reason, number in counts.rejected[stream].items()
                },
            }
            for stream, found in sorted(counts.outcomes.items())
        },
        "left_out": dict(counts.left_out),
        "rejected_before": dict(counts.rejected_before),
        "rejected_causes": counts.causes.as_json(),
        "unknown_fields": counts.unknown_fields,
        "protected": {kind: dict(found) for kind, found in counts.protected.items()},
        "accounts_made": counts.accounts_made,
        "unresolved": {stream: dict(found) for stream, found in counts.unresolved.items() if found},
        "deleted": dict(counts.deleted),
        "removed": dict(counts.removed),
        "returned": dict(counts.returned),
        "to_follow": dict(counts.to_follow),
        "follow_from": (
            counts.follow_from.isoformat(timespec="seconds") if counts.follow_from else None
        ),
        "followed": dict(counts.followed),
        "not_followed": dict(counts.not_followed),
        "identity": {
            stream: {
                verdict: {"count": count, "keys": counts.identity_keys[stream][verdict]}
                for verdict, count in found.items()
            }
            for stream, found in counts.identity.items()
        },
        "enrolments": counts.enrolments.summary,
        "not_writable": {name: dict(found) for name, found in counts.not_writable.items()},
        "duplicates": {"found": counts.duplicates, "listed": counts.duplicate_keys},
        "api": api,
    }


def summary_line(summary: Mapping[str, Any]) -> str:
    """The summary as one log line."""
    records = summary["records"]
    counts = ", ".join(f"{outcome.value} {records[outcome.value]}" for outcome in Outcome)
    reasons: Counter[str] = Counter()
    for stream in summary["streams"].values():
        reasons.update(stream["rejected_because"])
    why = f" ({', '.join(f'{name} {n}' for name, n in reasons.most_common())})" if reasons else ""
    before = sum(summary["rejected_before"].values())
    if before:
        why += f", {before} of these as before"
    split = records["split"]
    rows = f", split into {records['received'] + split} rows" if split else ""
    open_ = records["without_outcome"]
    left = f", left for the next run {open_}" if open_ else ""
    kept: Counter[str] = Counter()
    for found in summary["protected"].values():
        kept.update(found)
    named = ", ".join(f"{name} {n}" for name, n in kept.most_common())
    kept_line = f"; protected {kept.total()} values: {named}" if kept else ""
    moved, returned = sum(summary["deleted"].values()), sum(summary["returned"].values())
    moved_line = f"; moved {moved} whose rows are gone" if moved else ""
    removed = sum(summary["removed"].values())
    moved_line += f"; removed {plural(removed, 'member')} whose rows are gone" if removed else ""
    moved_line += f"; gave back {returned} whose rows returned" if returned else ""
    moved_line += _following(summary)
    requests = sum(summary["api"].get("requests", {}).values())
    end = f" {summary['ended_because']}" if summary["ended_because"] else ""
    return (
        f"Run {summary['run_id']} ended with exit code {summary['exit_code']}: received "
        f"{records['received']}{rows}: {counts}{why}{left}{kept_line}{moved_line}; "
        f"{requests} requests in {summary['seconds']:.1f} s.{end}"
    )


def _following(summary: Mapping[str, Any]) -> str:
    """The part of the line on values that were, or are still to be, sent after their rows."""
    sent = sum(summary["followed"].values())
    refused = sum(summary["not_followed"].values())
    left = sum(summary["to_follow"].values())
    if summary.get("dry_run"):
        return f"; {plural(left, 'field')} of earlier runs to follow" if left else ""
    line = f"; sent {plural(sent, 'field')} that had waited" if sent else ""
    line += f"; {plural(refused, 'field')} that had waited could not be written" if refused else ""
    if left:
        line += f"; {plural(left, 'field')} to follow in later runs"
        since = summary["follow_from"]
        line += f", from {datetime.fromisoformat(since):%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return line


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Writes the summary, readable by its owner only.

    Raises:
        OSError: The file can't be written.
    """
    text = escaped(json.dumps(summary, indent=2, ensure_ascii=False, default=str))
    write_private(path, f"{text}\n".encode())
