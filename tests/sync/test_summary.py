from __future__ import annotations

import json
import stat
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings

from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.summary import summary_line, write_summary
from tests.helpers.run_counts import happenings, report_of, summary_of

quick = settings(deadline=None, max_examples=30)

# --- the summary


def test_a_summary_says_how_and_when_the_run_ended() -> None:
    summary = summary_of(RunCounts("run-1"), exit_code=3, ended_because="No quota.")
    assert (summary["run_id"], summary["exit_code"]) == ("run-1", 3)
    assert summary["ended_because"] == "No quota."
    began, ended = (datetime.fromisoformat(summary[name]) for name in ("started_at", "ended_at"))
    assert began <= ended
    assert summary["seconds"] >= 0


def test_a_summary_names_fields_that_were_not_written() -> None:
    report = RunCounts("run-1")
    report.unknown_fields["contacts"] = ["nowhere"]
    report.not_writable["contacts"]["salesforce_id"] += 2
    summary = summary_of(report)
    assert summary["unknown_fields"] == {"contacts": ["nowhere"]}
    assert summary["not_writable"] == {"contacts": {"salesforce_id": 2}}


@quick
@given(happenings)
def test_a_summary_is_json(happened: list[tuple[str, Outcome | Reason]]) -> None:
    summary = summary_of(report_of(happened))
    assert json.loads(json.dumps(summary)) == summary


# --- the line in the log


def test_the_line_says_what_became_of_the_records() -> None:
    report = report_of(
        [
            ("contacts", Outcome.CREATED),
            ("accounts", Outcome.CREATED),
            ("contacts", Outcome.UNCHANGED),
            ("contacts", Reason.MISSING_EMAIL),
            ("contacts", Reason.DELETED),
            ("accounts", Reason.DELETED),
        ]
    )
    line = summary_line(summary_of(report))
    assert line.startswith("Run run-1 ended with exit code 0: received 6: created 2, updated 0, ")
    assert "unchanged 1" in line
    assert "rejected 3 (deleted_in_apollo 2, missing_email 1); 4 requests in " in line
    assert "left for the next run" not in line


def test_the_line_says_what_is_left_and_why() -> None:
    summary = summary_of(
        report_of([("contacts", Outcome.CREATED)]),
        received=5,
        exit_code=3,
        ended_because="Apollo's rate limit is used up.",
    )
    line = summary_line(summary)
    assert "exit code 3" in line
    assert "left for the next run 4;" in line
    assert line.endswith(" s. Apollo's rate limit is used up.")


@quick
@given(happenings)
def test_the_line_is_one_line(happened: list[tuple[str, Outcome | Reason]]) -> None:
    assert "\n" not in summary_line(summary_of(report_of(happened), api={}))


# --- the file


def test_the_file_is_the_summary_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "run-1.json"
    summary = summary_of(report_of([("contacts", Outcome.CREATED), ("größe", Reason.GONE)]))
    write_summary(path, summary)
    assert json.loads(path.read_text("utf-8")) == summary
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_of_an_earlier_run_is_replaced_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("x" * 100_000)
    path.chmod(0o644)
    write_summary(path, summary_of(RunCounts("run-1")))
    assert json.loads(path.read_text("utf-8"))["run_id"] == "run-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_json_has_no_form_for_is_written_as_text(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    when = datetime(2026, 3, 1)
    write_summary(path, summary_of(RunCounts("run-1"), api={"retry_at": when}))
    assert json.loads(path.read_text("utf-8"))["api"] == {"retry_at": str(when)}


def test_a_place_that_can_t_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_summary(tmp_path / "file" / "summary.json", {})
