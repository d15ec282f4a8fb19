"""The summary of a run: put together at its end, logged, and written to `summary_path`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from target_apollo.sync.counts import summary_line, write_summary
from target_apollo.sync.dry_run.plan_sentences import plan_sentences
from target_apollo.sync.end_notices import left_out_sentences, unresolved_names
from target_apollo.sync.exit import RunEnd
from target_apollo.sync.run import SyncRun


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
    summary = run.counts.summary(
        exit_code=ending.exit_code, ended_because=ending.because, api=api
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
