from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.reporting.summaries import Summary, latest
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.rejects.causes import Cause
from target_apollo.sync.summary import run_summary, write_summary
from tests.helpers.past_runs import AT, leave, summary_json


def ids(path: Path, limit: int = 10, run_id: str | None = None) -> list[str]:
    return [summary.run_id for summary in latest(str(path), limit, run_id).summaries]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder, from the place where runs are started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".target-apollo" / "runs"


def test_what_a_run_writes_is_read_back(tmp_path: Path) -> None:
    report = RunCounts("run1")
    report.count("contacts", Outcome.CREATED)
    report.count_rejected("contacts", Reason.MISSING_EMAIL)
    report.causes.add("contacts", "missing_email", Cause("email", "it is missing"))
    report.count_duplicates("contacts", [[(1,), (2,)]], "same_email")
    report.unknown_fields["contacts"] = ["nowhere"]
    report.not_writable["contacts"]["salesforce_id"] += 1
    window = {"limit": 200, "usage": 1, "left": None}
    api = {
        "requests": {"GET /labels": 2},
        "statuses": {"200": 2},
        "retries": 0,
        "rate_limited": 0,
        "seconds_waited": 0.25,
        "quota": {"GET /labels": {"minute": window, "hour": window, "day": window}},
    }
    report.received = 2
    written = run_summary(report, exit_code=0, ended_because="", api=api)
    write_summary(tmp_path / "run1.json", written)
    read = latest(str(tmp_path / "run1.json"), 1)
    assert read.skipped == []
    assert read.summaries == [msgspec.convert(written, Summary)]
    (found,) = read.summaries
    assert found.records == written["records"]
    assert found.streams["contacts"].rejected_because == {"missing_email": 1}
    (cause,) = found.rejected_causes["contacts"]["missing_email"]
    assert (cause.column, cause.sentence, cause.number) == ("email", "it is missing", 1)
    assert found.duplicates.listed[0].keys == ("1", "2")
    assert found.api.quota["GET /labels"].hour.limit == 200
    assert found.not_writable == {"contacts": {"salesforce_id": 1}}


def test_a_summary_of_the_first_version_is_read(runs: Path) -> None:
    leave(runs, summary_json())
    (found,) = latest("", 10).summaries
    assert (found.team, found.mode, found.estimate, found.diffs) == (None, None, None, None)
    assert (found.protected, found.deleted, found.dry_run) == ({}, {}, False)


def test_the_newest_files_are_read_and_no_older_ones(runs: Path) -> None:
    for age in range(4):
        leave(runs, summary_json(f"run{age}"), age=age)
    broken = leave(runs, summary_json(), name="broken.json", age=60)
    os.truncate(broken, 9)
    os.utime(broken, (0, 0))
    found = latest("", 3)
    assert [summary.run_id for summary in found.summaries] == ["run0", "run1", "run2"]
    assert found.skipped == []


def test_a_run_that_is_asked_for_is_found_however_old(runs: Path) -> None:
    for age in range(5):
        leave(runs, summary_json(f"run{age}"), age=age)
    assert [s.run_id for s in latest("", 2, "run4").summaries] == ["run0", "run1", "run4"]
    assert [s.run_id for s in latest("", 2, "run1").summaries] == ["run0", "run1"]
    assert [s.run_id for s in latest("", 2, "nowhere").summaries] == ["run0", "run1"]


def test_files_beside_the_one_that_the_setting_names_are_read_too(tmp_path: Path) -> None:
    leave(tmp_path, summary_json("monday"), name="one.summary", age=10)
    leave(tmp_path, summary_json("tuesday"), name="two.summary")
    leave(tmp_path, summary_json("other"), name="three.json")
    assert ids(tmp_path / "one.summary") == ["tuesday", "monday"]
    assert ids(tmp_path / "one.summary", 1, "monday") == ["tuesday", "monday"]


def test_a_path_without_an_ending_names_its_file_alone(tmp_path: Path) -> None:
    leave(tmp_path, summary_json("one"), name="summary")
    leave(tmp_path, summary_json("two"), name="another")
    assert ids(tmp_path / "summary") == ["one"]
    assert ids(tmp_path / "nowhere") == []


def test_a_folder_that_is_not_there_holds_no_summary(runs: Path) -> None:
    assert latest("", 10).summaries == []
    assert latest("", 10).skipped == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no whole JSON file"),
        ("", "is no whole JSON file"),
        (b'{"run_id": "\xff"}', "is no whole JSON file"),
        ('{"more": ' + "[" * 200_000, "is no whole JSON file"),
        ("[1, 2]", "is not the summary of a run"),
        ('{"api_key": "secret"}', "is not the summary of a run"),
        (json.dumps(summary_json() | {"records": {"created": "many"}}), "is not the summary"),
        (json.dumps(summary_json() | {"started_at": "2026-11-20T09:30:00"}), "is not the summary"),
        (json.dumps(summary_json() | {"streams": {"a": {"created": -1}}}), "is not the summary"),
    ],
    ids=["half", "empty", "bytes", "deep", "list", "foreign", "text", "zone", "negative"],
)
def test_a_file_that_is_no_summary_is_left_out_with_a_sentence(
    runs: Path, content: str | bytes, said: str
) -> None:
    leave(runs, summary_json(), age=10)
    foreign = runs / "foreign.json"
    foreign.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = latest("", 10)
    assert [summary.run_id for summary in found.summaries] == ["run1"]
    (sentence,) = found.skipped
    assert sentence.startswith(".target-apollo/runs/foreign.json ")
    assert said in sentence
    assert "secret" not in sentence


def test_a_file_that_is_too_large_is_not_read(runs: Path) -> None:
    leave(runs, summary_json())
    with (runs / "huge.json").open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    found = latest("", 10)
    assert len(found.summaries) == 1
    assert "too large" in found.skipped[0]


def test_moments_keep_their_zone(runs: Path) -> None:
    leave(runs, summary_json())
    (found,) = latest("", 10).summaries
    assert found.started_at == AT
    assert found.ended_at - found.started_at == timedelta(seconds=12.5)


def test_the_sums_of_a_stream(runs: Path) -> None:
    counts: dict[str, Any] = {
        "created": 1, "updated": 2, "unchanged": 4, "existing": 8, "skipped": 16, "rejected": 32
    }  # fmt: skip
    leave(runs, summary_json(streams={"contacts": counts}))
    stream = latest("", 1).summaries[0].streams["contacts"]
    assert (stream.written, stream.in_apollo, stream.settled) == (3, 15, 63)
