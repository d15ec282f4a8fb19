from __future__ import annotations

from datetime import datetime, timedelta, timezone

from target_apollo.ledger import Ledger, Run

TEAM = "5f5e100c0d4ae7000181a2b3"
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def test_a_run_that_has_begun_has_no_end(ledger: Ledger) -> None:
    ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", NOON)
    assert ledger.runs(10) == [
        Run("run-1", TEAM, ("contacts",), "upsert", NOON, None, {}, None, None)
    ]


def test_the_end_of_a_run_brings_counts_exit_code_and_reason(ledger: Ledger) -> None:
    ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", NOON)
    before = datetime.now(timezone.utc)
    ledger.finish_run("run-1", {"created": 3, "rejected": 1}, 3, "the quota is used up")
    (run,) = ledger.runs(10)
    assert run.counts == {"created": 3, "rejected": 1}
    assert (run.exit_code, run.reason) == (3, "the quota is used up")
    assert run.finished_at is not None
    assert before <= run.finished_at <= datetime.now(timezone.utc)


def test_a_run_that_meets_another_stream_stays_one_row(ledger: Ledger) -> None:
    ledger.begin_run("run-1", TEAM, ["accounts"], "upsert", NOON)
    ledger.begin_run("run-1", TEAM, ["accounts", "contacts"], "upsert", NOON)
    assert [run.streams for run in ledger.runs(10)] == [("accounts", "contacts")]


def test_the_latest_runs_come_first(ledger: Ledger) -> None:
    for number in (2, 3, 1):
        started = NOON + timedelta(minutes=number)
        ledger.begin_run(f"run-{number}", TEAM, ["contacts"], "upsert", started)
    assert [run.run_id for run in ledger.runs(2)] == ["run-3", "run-2"]
