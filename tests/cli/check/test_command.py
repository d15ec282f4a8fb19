"""`apollo-sync check` as its user sees it: lines, JSON, standard input and exit codes."""

from __future__ import annotations

import io
import json
import signal
import subprocess
from typing import Any

import pytest

from target_apollo.cli import main
from tests.helpers.checking import Message, Team, row, stream

WRONG = {"field_policy": {"titel": "never"}, "lists": ["Custumers"]}
PEOPLE = stream("crm-contacts", "id", "E-Mail", "titel")


@pytest.fixture
def check(team: Team, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, **settings: Any) -> tuple[int, str, str]:
        own = {"api_url": team.sandbox.url, "api_key": "sandbox"}
        own["rejects_path"] = str(team.folder / "rejects.singer")
        own["ledger_url"] = f"sqlite:///{team.folder / 'ledger.db'}"
        config = team.write(json.dumps({**own, **settings}))
        exit_code = main(["check", "--config", config, "--object", "contacts", *arguments])
        said = capsys.readouterr()
        return exit_code, said.out, said.err

    return run


def catalog(team: Team, *messages: Message) -> str:
    entries = [
        {
            "tap_stream_id": one["stream"],
            "schema": one["schema"],
            "key_properties": one["key_properties"],
            "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
        }
        for one in messages
    ]
    return team.write(json.dumps({"streams": entries}))


def test_faults_come_first_then_warnings_then_streams_then_endpoints(
    check: Any, team: Team
) -> None:
    exit_code, out, err = check("--catalog", catalog(team, PEOPLE), **WRONG)
    heads = ["Faults", "1. The setting 'field_policy'", "Warnings", "- The setting 'lists'"]
    places = [out.find(one) for one in (*heads, "Stream crm-contacts: contacts", "A run needs:")]
    assert -1 not in places
    assert places == sorted(places)
    assert exit_code == 2
    assert "Not usable: 1 fault would end a run or reject its rows" in err


def test_warnings_alone_leave_it_usable(check: Any) -> None:
    exit_code, out, err = check(lists=["Custumers"])
    assert (exit_code, err) == (0, "")
    assert out.endswith("\nUsable, with 1 warning.\n")


def test_a_stream_is_shown_with_what_its_columns_are_written_to(check: Any, team: Team) -> None:
    path = catalog(team, PEOPLE)
    _, out, _ = check("--catalog", path)
    assert "Stream crm-contacts: contacts in mode upsert, recognised by email; key: id\n" in out
    assert "  written: 1 column\n  other names: E-Mail as email\n  not written: titel\n" in out
    assert f"apollo-sync fields --create-missing-fields --catalog {path}\n" in out


def test_the_output_of_a_tap_is_read_from_standard_input(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [PEOPLE, row("crm-contacts", id="1", titel="x", **{"E-Mail": "nonsense"})]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, messages))))
    exit_code, out, _ = check("-")
    assert exit_code == 0
    assert "1 of 1 record would be rejected" in out
    assert "nonsense" not in out


def test_json_tells_faults_warnings_streams_and_ledger(check: Any, team: Team) -> None:
    exit_code, out, _ = check("--json", "--catalog", catalog(team, PEOPLE), **WRONG)
    said = json.loads(out)
    assert (said["usable"], said["exit_code"]) == (False, exit_code)
    assert [one["about"] for one in said["faults"]] == ["settings"]
    assert [one["about"] for one in said["warnings"]] == ["settings", "crm-contacts"]
    (one,) = said["streams"]
    assert one["written"] == {"E-Mail": "email"}
    assert one["not_written"] == ["titel"]
    assert "which the first run makes" in said["ledger"]


def test_private_files_that_git_would_take_are_warnings_also_for_programs(
    check: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(team.folder)
    subprocess.run(["git", "init", "-q"], check=True)
    exit_code, out, err = check("--json")
    warnings = json.loads(out)["warnings"]
    assert (exit_code, err) == (0, "")
    assert {one["about"] for one in warnings} == {"settings"}
    named = [one["sentence"] for one in warnings if "(the setting rejects_path)" in one["sentence"]]
    assert [one.startswith("git would take ") for one in named] == [True]


def test_a_wrong_key_ends_it_before_anything_else_is_asked(check: Any, team: Team) -> None:
    before = team.sandbox.count("GET /fields")
    exit_code, out, _ = check(api_key="wrong", **WRONG)
    assert exit_code == 2
    assert "Key      not valid" in out
    assert "Faults" not in out
    assert team.sandbox.count("GET /fields") == before


def test_a_catalog_and_the_output_of_a_tap_are_not_given_together(check: Any, team: Team) -> None:
    exit_code, _, err = check("--catalog", catalog(team, PEOPLE), "-")
    assert exit_code == 2
    assert "not both" in err


def test_nothing_is_left_behind(check: Any, team: Team) -> None:
    check("--catalog", catalog(team, PEOPLE))
    assert {path.name for path in team.folder.iterdir()} == {"given-1", "given-2"}


def test_a_key_needs_no_more_than_the_streams_of_the_source(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"api_url": team.sandbox.url, "api_key": "sandbox", "ledger_url": ""}
    config = team.write(json.dumps(settings))
    assert main(["check", "--config", config, "--catalog", catalog(team, PEOPLE)]) == 0
    out = capsys.readouterr().out
    assert "POST /contacts/bulk_create" in out
    assert "PATCH /accounts/{id}" not in out


def test_ctrl_c_still_ends_a_check(check: Any) -> None:
    before = signal.getsignal(signal.SIGINT)
    check()
    assert signal.getsignal(signal.SIGINT) is before


def test_warnings_are_found_at_every_level_of_the_log(
    check: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_APOLLO_LOGLEVEL", "ERROR")
    _, out, _ = check("--catalog", catalog(team, PEOPLE))
    assert "titel (did you mean 'title'?)" in out
