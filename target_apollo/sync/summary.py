"""The summary of a run: put together at its end, logged as one line, written as one JSON file."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from target_apollo.model.outcomes import Outcome
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.dry_run.plan_sentences import plan_sentences
from target_apollo.sync.end_notices import left_out_sentences, unresolved_names
from target_apollo.sync.exit import RunEnd
from target_apollo.sync.run import SyncRun
from target_apollo.sync.words import plural
from target_apollo.system.files import write_private
from target_apollo.system.shown import escaped


def summarise(run: SyncRun, ending: RunEnd) -> dict[str, Any]:
    """Tells how a run ended: in the log, in its ledger, and in the file of `summary_path`.

    What can't be written is logged, since the end of the run is told by its exit code too.

    Returns:
        The summary.
    """
    _log_what_was_left(run)
    summary = _summary_of(run, ending)
    run.close_ledger(summary)
    _log(run, summary)
    path = Path(run.settings.summary_path or f".target-apollo/runs/{run.run_id}.json")
    try:
        write_summary(path, summary)
    except OSError as problem:
        run.logger.error(
            "The summary could not be written to %s (setting summary_path): %s",
            path,
            problem.strerror,
        )
    return summary


def _log_what_was_left(run: SyncRun) -> None:
    for sentence in unresolved_names(run.counts.unresolved, run.settings.default_owner):
        run.logger.warning("%s", sentence)
    for sentence in left_out_sentences(run.counts.left_out):
        run.logger.info("%s", sentence)
    if run.companies.stopped:
        run.logger.info(
            "Apollo's limits ended the pass through its accounts; the next run goes on with it."
        )
    if run.counts.accounts_made:
        run.logger.info(
            "%d accounts were made for domains that rows name (missing_accounts).",
            run.counts.accounts_made,
        )


def _summary_of(run: SyncRun, ending: RunEnd) -> dict[str, Any]:
    api = {
        **run.transport.counters.snapshot(),
        "quota": run.transport.quota.snapshot(),
        "closed": run.update_routes.closed,
    }
    again = ending.run_again_after
    summary = run_summary(
        run.counts, exit_code=ending.exit_code, ended_because=ending.because, api=api
    ) | {
        "run_again_after": again.isoformat(timespec="seconds") if again else None,
        "team": run.team,
        "mode": run.mode_name,
        "dry_run": run.settings.dry_run and run.adoption is None,
        "max_records": run.settings.max_records,
        "estimate": run.estimate or {"requests": run.request_counter.requests},
    }
    if run.adoption is not None:
        summary["adopted"] = run.adoption.summary
    if run.sample_diffs is not None:
        summary["diffs"] = run.sample_diffs.diffs
    return summary


def _log(run: SyncRun, summary: dict[str, Any]) -> None:
    if summary["dry_run"]:
        for sentence in plan_sentences(summary):
            run.logger.info("Plan: %s", sentence)
    # The samples show values of records.
    logged = {name: value for name, value in summary.items() if name != "diffs"}
    level = logging.INFO if summary["exit_code"] == 0 else logging.ERROR
    run.logger.log(level, "%s", summary_line(summary), extra={"summary": logged})


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
