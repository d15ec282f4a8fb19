from __future__ import annotations

from datetime import timedelta

import pytest

from target_apollo.reporting.past_runs import merged
from tests.helpers.past_runs import AT, row, summary


def test_runs_of_both_are_shown_once_and_the_newest_first() -> None:
    summaries = [summary("b", AT + timedelta(hours=1)), summary("a", AT)]
    rows = [row("c", AT + timedelta(hours=2)), row("b", AT + timedelta(hours=1))]
    runs = merged(summaries, rows)
    assert [(run.run_id, run.summary is not None, run.in_ledger) for run in runs] == [
        ("c", False, True),
        ("b", True, True),
        ("a", True, False),
    ]


def test_a_run_that_was_killed_has_no_end_and_no_counts() -> None:
    (run,) = merged([], [row()])
    assert (run.ended_at, run.exit_code, run.seconds) == (None, None, None)
    assert run.count("created") is None
    assert run.requests is None


def test_a_run_without_a_summary_has_the_ledgers_counts() -> None:
    ended = AT + timedelta(minutes=2)
    counts = {"received": 5, "created": 4, "rejected": 1}
    known = row(finished_at=ended, counts=counts, exit_code=1, reason="Too many.")
    (run,) = merged([], [known])
    assert (run.exit_code, run.because, run.seconds) == (1, "Too many.", 120)
    assert run.count("created") == 4
    assert run.count("updated") == 0
    assert run.requests is None


def test_the_ledger_tells_team_and_mode_of_a_summary_without_them() -> None:
    (run,) = merged([summary()], [row(connection="team7", mode="insert")])
    assert (run.team, run.mode) == ("team7", "insert")
    (told,) = merged([summary(team="team8", mode="update")], [row()])
    assert (told.team, told.mode) == ("team8", "update")


def test_a_summary_knows_the_end_that_the_ledger_missed() -> None:
    (run,) = merged([summary(exit_code=3, ended_because="No quota.")], [row()])
    assert (run.exit_code, run.because) == (3, "No quota.")
    assert run.seconds == pytest.approx(12.5)


def test_requests_are_those_of_all_endpoints() -> None:
    (run,) = merged([summary(api={"requests": {"GET /labels": 2, "POST /labels": 3}})], [])
    assert run.requests == 5
