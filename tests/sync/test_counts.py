from __future__ import annotations

import json
import stat
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.sync.counts import RunCounts, summary_line, write_summary

quick = settings(deadline=None, max_examples=30)

API = {"requests": {"POST /contacts/bulk_create": 3, "GET /labels": 1}}
happenings = st.lists(
    st.tuples(
        st.sampled_from(["contacts", "accounts", "(no stream)"]),
        st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.REJECTED])
        | st.sampled_from(Reason),
    ),
    max_size=40,
)


def report_of(happened: list[tuple[str, Outcome | Reason]]) -> RunCounts:
    report = RunCounts("run-1")
    for stream, what in happened:
        if isinstance(what, Outcome):
            report.count(stream, what)
        else:
            report.count_rejected(stream, what)
    return report


def summary_of(report: RunCounts, *, received: int | None = None, **own: Any) -> dict[str, Any]:
    report.received = report.settled if received is None else received
    settled: dict[str, Any] = {
        "exit_code": 0,
        "ended_because": "",
        "api": API,
    }
    return report.summary(**{**settled, **own})


# --- counts


@quick
@given(happenings, st.integers(0, 5))
def test_every_record_that_was_received_is_accounted_for(
    happened: list[tuple[str, Outcome | Reason]], open_: int
) -> None:
    records = summary_of(report_of(happened), received=len(happened) + open_)["records"]
    assert records.pop("received") == sum(records.values())
    assert records["without_outcome"] == open_


@quick
@given(happenings)
def test_the_streams_add_up_to_the_whole(happened: list[tuple[str, Outcome | Reason]]) -> None:
    summary = summary_of(report_of(happened))
    for outcome in Outcome:
        assert summary["records"][outcome.value] == sum(
            stream[outcome.value] for stream in summary["streams"].values()
        )


@quick
@given(happenings)
def test_every_rejected_record_has_its_reason(
    happened: list[tuple[str, Outcome | Reason]],
) -> None:
    for stream, found in summary_of(report_of(happened))["streams"].items():
        reasons = Counter(
            what.value for name, what in happened if name == stream and isinstance(what, Reason)
        )
        assert found["rejected_because"] == dict(reasons)
        assert found["rejected"] == reasons.total()


@quick
@given(happenings)
def test_the_share_of_rejects_is_that_among_the_records_with_an_outcome(
    happened: list[tuple[str, Outcome | Reason]],
) -> None:
    bad = sum(isinstance(what, Reason) for _, what in happened)
    share = report_of(happened).rejected_percent
    assert share == pytest.approx(100 * bad / len(happened) if happened else 0)


def test_a_run_without_records_rejected_none() -> None:
    assert RunCounts("run-1").rejected_percent == 0


def test_two_reports_share_nothing() -> None:
    RunCounts("run-1").count("contacts", Outcome.CREATED)
    assert RunCounts("run-2").settled == 0


# --- duplicates


def test_all_duplicates_are_counted_and_the_first_hundred_listed() -> None:
    report = RunCounts("run-1")
    report.count_duplicates("contacts", [[(n,), (n + 1000,)] for n in range(150)], "same_email")
    report.count_duplicates("contacts", [[(1,), (2,), (3,)]], "same_email")
    found = summary_of(report)["duplicates"]
    assert found["found"] == 151
    assert len(found["listed"]) == 100
    assert found["listed"][0] == {
        "stream": "contacts",
        "keys": ["0", "1000"],
        "kind": "same_email",
    }


def test_an_e_mail_address_among_the_duplicates_is_not_shown() -> None:
    report = RunCounts("run-1")
    report.count_duplicates("contacts", [[("ada@example.com",), ("eu", 7)]], "same_email")
    assert "ada@example.com" not in json.dumps(summary_of(report))
    assert "eu/7" in json.dumps(summary_of(report))


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
