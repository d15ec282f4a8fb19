from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli import main
from target_apollo.ledger import Ledger, PendingFields, Place
from tests.helpers.past_runs import AT, leave, summary_json
from tests.promises.conftest import TargetRun, record, schema
from tests.reporting.test_funnel import judge
from tests.reporting.test_terminal import CODES


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TARGET_APOLLO_", "MAP_APOLLO"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls the command as `apollo-sync report` does; gives exit code, stdout and stderr."""

    def report(*arguments: str, **settings: Any) -> tuple[int, str, str]:
        path = Path("report.config")
        path.write_text(json.dumps({"api_key": "k3y", **settings}))
        capsys.readouterr()
        exit_code = main(["report", *arguments, "--config", str(path)])
        said = capsys.readouterr()
        return exit_code, said.out, said.err

    return report


Report = Callable[..., tuple[int, str, str]]
RUNS = Path(".target-apollo/runs")


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# --- real runs


def test_a_real_run_is_told_with_its_own_numbers(
    sync: Callable[..., TargetRun], report: Report, tmp_path: Path
) -> None:
    people = [record("contacts", id=n, email=f"p{n}@firm.com", last_name="L") for n in range(12)]
    bad = [record("contacts", id="<b>17</b>", email=None), record("contacts", id=18, email="no")]
    ran = sync([schema("contacts"), *people, *bad])
    where = {
        "summary_path": str(tmp_path / "summary.json"),
        "rejects_path": str(tmp_path / "rejects.singer"),
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
    }
    exit_code, said, _ = report("--html", "page.html", **where)
    assert exit_code == 0
    run_id = ran.summary["run_id"]
    (line,) = [line for line in words(said) if run_id in line]
    sent = sum(ran.summary["api"]["requests"].values())
    assert line[-8:] == ["14", "12", "0", "0", "0", "0", "2", str(sent)]
    assert ["contacts", "12", "0", "0", "0", "0", "2"] in words(said)
    assert "keys <b>17</b>" in said
    for endpoint, number in ran.summary["api"]["requests"].items():
        left = [
            f"{ran.summary['api']['quota'][endpoint][window]['left']:,}"
            for window in ("minute", "hour", "day")
        ]
        (line,) = [line for line in words(said) if line[:2] == endpoint.split()]
        assert (line[2], line[-3:]) == (str(number), left)
    assert "the ledger does not know it" not in said
    assert ran.summary["streams"]["contacts"]["rejected_because"].keys() == {
        "missing_email",
        "malformed_email",
    }
    text = Path("page.html").read_text()
    assert run_id in text
    assert "&lt;b&gt;17&lt;/b&gt;" in text
    assert "p3@firm.com" not in said + text
    assert said.endswith("The report as a page: page.html\n")


# --- where runs are known from


def test_summaries_and_ledger_are_put_together(report: Report) -> None:
    leave(RUNS, summary_json("both"), age=30)
    leave(RUNS, summary_json("summary-only", AT + timedelta(minutes=1)))
    with Ledger.open("sqlite:///.target-apollo/ledger.db") as ledger:
        ledger.begin_run("both", "team1", ["contacts"], "insert", AT)
        ledger.finish_run("both", {"received": 4, "created": 3, "unchanged": 1}, 0)
        ledger.begin_run("killed", "team1", ["contacts"], "upsert", AT + timedelta(minutes=2))
    exit_code, said, complaints = report()
    assert (exit_code, complaints) == (0, "")
    table = said.split("\n\n")[0].splitlines()[1:]
    assert [line.split()[2] for line in table] == ["killed", "summary-only", "both"]
    assert "Run killed, 2026-11-20 09:32 UTC: no end noted" in said
    assert "Run both" in report("--run", "both")[1]
    assert "Team team1, mode insert." in report("--run", "both")[1]


def test_one_run_can_be_asked_for_beside_the_last(report: Report) -> None:
    for age in range(6):
        leave(RUNS, summary_json(f"run{age}", AT - timedelta(minutes=age)), age=60 * age)
    _, said, _ = report("--runs", "2", "--run", "run4")
    table = said.split("\n\n")[0].splitlines()[1:]
    assert [line.split()[2] for line in table] == ["run0", "run4"]
    assert "Run run4" in said


def test_a_run_that_only_the_ledger_remembers_can_be_asked_for(report: Report) -> None:
    with Ledger.open("sqlite:///.target-apollo/ledger.db") as ledger:
        for number in range(5):
            at = AT + timedelta(minutes=number)
            ledger.begin_run(f"run{number}", "team1", [], "upsert", at)
    exit_code, said, _ = report("--runs", "1", "--run", "run0")
    assert exit_code == 0
    assert "Run run0" in said


def test_no_run_at_all_is_said(report: Report) -> None:
    exit_code, said, complaint = report()
    assert (exit_code, said) == (1, "")
    assert complaint.startswith("There is no run to show, neither in .target-apollo/runs nor")


def test_a_run_that_nobody_knows_is_said(report: Report) -> None:
    leave(RUNS, summary_json())
    exit_code, said, complaint = report("--run", "nowhere")
    assert (exit_code, said) == (1, "")
    assert complaint.startswith("There is no run nowhere,")


def test_foreign_files_are_left_out_with_a_sentence_each_up_to_five(report: Report) -> None:
    leave(RUNS, summary_json())
    for number in range(8):
        leave(RUNS, {"run_id": "x"}, name=f"foreign{number}.json", age=-number)
    exit_code, said, complaints = report()
    assert exit_code == 0
    assert "run1" in said
    assert complaints.count("is not the summary of a run; it is left out.") == 5
    assert complaints.endswith("3 more files are left out likewise.\n")


def test_a_ledger_that_can_t_be_opened_costs_only_itself(report: Report) -> None:
    leave(RUNS, summary_json())
    Path("ledger.db").write_text("this is no database, and long enough to be looked at" * 20)
    exit_code, said, complaint = report(ledger_url="sqlite:///ledger.db")
    assert exit_code == 0
    assert "run1" in said
    assert "ledger_url" in complaint
    assert complaint.endswith("The report is made from the summaries alone.\n")


def test_a_report_makes_no_ledger(report: Report) -> None:
    leave(RUNS, summary_json())
    report()
    assert not Path(".target-apollo/ledger.db").exists()


def test_without_a_ledger_the_summaries_do(report: Report) -> None:
    leave(RUNS, summary_json())
    exit_code, _, complaints = report(ledger_url="")
    assert (exit_code, complaints) == (0, "")


# --- verdicts


def test_the_mappers_verdicts_are_read_where_they_usually_are(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    from target_apollo.mapper.verdicts import Outcome

    leave(RUNS, summary_json(streams={"accounts": {"created": 2}}))
    fell = [("leads", Outcome.DROPPED, ["icp_fit"])]
    judge(Path(".target-apollo/verdicts.jsonl"), [("leads", Outcome.PASSED, [])] * 2 + fell)
    _, said, _ = report()
    assert ["rule", "icp_fit", "2", "1"] in words(said)
    judge(Path("mine"), fell * 4)
    assert ["rule", "icp_fit", "0", "4"] in words(report("--verdicts", "mine")[1])
    monkeypatch.setenv("MAP_APOLLO_LEADS_VERDICTS_PATH", "mine")
    assert ["rule", "icp_fit", "0", "4"] in words(report()[1])


def test_verdicts_that_were_asked_for_must_be_there(report: Report) -> None:
    leave(RUNS, summary_json())
    exit_code, _, complaint = report("--verdicts", "nowhere")
    assert exit_code == 1
    assert complaint.startswith("The verdicts in nowhere can't be read: No such file or directory.")


# --- what can go wrong


def test_wrong_settings_are_said(report: Report) -> None:
    exit_code, said, complaint = report(summary_pth="x")
    assert (exit_code, said) == (2, "")
    assert "There is no setting 'summary_pth'" in complaint


def test_a_rejects_file_that_can_t_be_read_is_said(report: Report) -> None:
    streams = {"contacts": {"rejected": 1, "rejected_because": {"missing_email": 1}}}
    leave(RUNS, summary_json(streams=streams))
    Path("rejects").mkdir()
    exit_code, _, complaint = report(rejects_path="rejects")
    assert exit_code == 2
    assert "rejects_path" in complaint
    assert "it is a folder; name a file" in complaint


def test_a_page_that_can_t_be_written_is_said(report: Report) -> None:
    leave(RUNS, summary_json())
    Path("file").touch()
    exit_code, said, complaint = report("--html", "file/page.html")
    assert exit_code == 1
    assert "run1" in said
    assert complaint.startswith("The page can't be written to file/page.html:")


@pytest.mark.parametrize("number", ["0", "-1", "501", "ten", "1.5", "²"])
def test_the_number_of_runs_has_bounds(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"--runs={number}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Invalid value for '--runs'" in said.err


# --- how it is shown


def test_a_page_is_for_its_owner_alone(report: Report) -> None:
    leave(RUNS, summary_json())
    report("--html", "page.html")
    assert stat.S_IMODE(Path("page.html").stat().st_mode) == 0o600


def test_what_goes_into_a_file_has_no_colour(report: Report) -> None:
    leave(RUNS, summary_json())
    assert "\x1b" not in report()[1]


def test_a_terminal_sees_colours_and_its_own_width(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(RUNS, summary_json(ended_because="word " * 40))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    _, said, _ = report()
    assert "\x1b[32mall well\x1b[0m" in said
    assert max(len(CODES.sub("", line)) for line in said.splitlines()) <= 60
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in report()[1]


def test_the_page_says_when_it_was_made(report: Report) -> None:
    leave(RUNS, summary_json())
    before = datetime.now(timezone.utc)
    report("--html", "page.html")
    after = datetime.now(timezone.utc)
    text = Path("page.html").read_text()
    assert any(f"{at:%B %Y, %H:%M} UTC" in text for at in (before, after))


# --- one stream, and programs as readers


def test_one_stream_of_a_run_can_be_asked_for(
    sync: Callable[..., TargetRun], report: Report, tmp_path: Path
) -> None:
    wrong = record("contacts", id=1, email="ann@@firm.com", last_name="L")
    firm = record("accounts", id=2, domain="no domain", name="F")
    sync([schema("contacts"), wrong, schema("accounts"), firm])
    where = {
        "summary_path": str(tmp_path / "summary.json"),
        "rejects_path": str(tmp_path / "rejects.singer"),
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
    }
    exit_code, said, _ = report("--stream", "contacts", **where)
    assert exit_code == 0
    assert "1 × email: 'email' is not an e-mail address" in said
    assert "to do: Correct the address in the warehouse" in said
    assert "malformed_domain" not in said
    _, printed, _ = report("--json", **where)
    told = json.loads(printed)
    (reject,) = [one for one in told["rejects"] if one["stream"] == "accounts"]
    assert reject["causes"][0]["column"] == "domain"
    assert reject["to_do"] == "Correct the domain in the warehouse"
    assert told["waiting"] == []
    assert "ann@" not in said + printed
    assert "no domain" not in printed


def test_a_stream_that_the_run_has_not_is_said_with_those_it_has(report: Report) -> None:
    leave(RUNS, summary_json())
    exit_code, said, complaint = report("--stream", "leads")
    assert (exit_code, said) == (1, "")
    assert complaint == "The run run1 has no stream 'leads'. It has: contacts.\n"


def test_what_waits_in_the_ledger_is_told(report: Report) -> None:
    team = "5f5e100c0d4ae7000181a2b3"
    leave(RUNS, summary_json(team=team, to_follow={"contacts": 1}))
    place = Place(team, "contact", "contacts")
    with Ledger.open("sqlite:///.target-apollo/ledger.db") as ledger:
        fields = PendingFields(place, "1", "a" * 24, {"website_url": "https://secret.example"})
        ledger.change_pending_fields(place, {}, [fields])
    _, said, _ = report()
    assert "contacts: 1 value of website_url to be sent" in said
    _, printed, _ = report("--json")
    (waiting,) = json.loads(printed)["waiting"]
    assert (waiting["stream"], waiting["field"], waiting["values"]) == (
        "contacts",
        "website_url",
        1,
    )
    assert "secret" not in said + printed


def test_a_dry_run_has_causes_too(
    sync: Callable[..., TargetRun], report: Report, tmp_path: Path
) -> None:
    wrong = record("contacts", id=1, email="ann@@firm.com", last_name="L")
    sync([schema("contacts"), wrong], dry_run=True)
    where = {
        "summary_path": str(tmp_path / "summary.json"),
        "rejects_path": str(tmp_path / "rejects.singer"),
        "ledger_url": "",
    }
    assert not (tmp_path / "rejects.singer").exists()
    _, said, _ = report(**where)
    assert "1 × email: 'email' is not an e-mail address" in said


def test_causes_of_a_run_that_an_earlier_version_made_come_from_the_rejects_file(
    sync: Callable[..., TargetRun], report: Report, tmp_path: Path
) -> None:
    wrong = record("contacts", id=1, email="ann@@firm.com", last_name="L")
    summary = sync([schema("contacts"), wrong]).summary
    del summary["rejected_causes"]
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(summary))
    where = {"summary_path": str(path), "rejects_path": str(tmp_path / "rejects.singer")}
    _, said, _ = report(**where, ledger_url="")
    assert "1 × email: 'email' is not an e-mail address" in said
