"""The verdict file, and the explanation why a lead was not sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from target_apollo.cli import main
from target_apollo.mapper import verdicts
from target_apollo.mapper.errors import InputError
from target_apollo.mapper.explain import NoVerdict, explain
from target_apollo.mapper.verdicts import VerdictFile
from tests.helpers.leads import GOOD, config, encode, pipeline, process, record, schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "verdicts.jsonl"


def judge(path: Path, *messages: object, key_properties: tuple[str, ...] = ("id",)) -> None:
    mapper = pipeline(config(verdicts_path=str(path)))
    process(mapper, schema(key_properties=key_properties), *messages)  # type: ignore[arg-type]
    mapper.finish()


def test_every_lead_has_a_line_with_its_reasons_and_the_values_that_were_seen(path: Path) -> None:
    judge(path, record(id=1), record(id=2, stage="Cold", icp_fit=None))
    passed, dropped = map(json.loads, path.read_text().splitlines())
    assert passed == {
        "at": "2026-11-20T12:00:00+00:00",
        "stream": "leads",
        "key": "1",
        "verdict": "passed",
        "failing": [],
        "values": dict(GOOD),
    }
    assert dropped["verdict"] == "dropped"
    assert dropped["failing"] == [
        {"rule": "icp_fit", "reason": "ICP fit is empty; allowed: moderate, strong"},
        {"rule": "stage", "reason": "the stage 'Cold' is below 'Interested'"},
    ]
    assert dropped["values"]["stage"] == "Cold"


def test_the_file_is_for_its_owner_alone_even_if_it_was_not(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    judge(path, record())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_folder_is_for_its_owner_alone(path: Path) -> None:
    judge(path, record())
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_runs_append(path: Path) -> None:
    judge(path, record(id=1))
    judge(path, record(id=2))
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["1", "2"]


def test_a_file_that_became_too_large_is_moved_aside_and_still_explains(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(path, record(id=1))
    monkeypatch.setattr(verdicts, "LARGEST", 10)
    judge(path, record(id=2))
    assert path.with_name("verdicts.jsonl.1").exists()
    assert "Lead 1" in explain(path, "1")
    assert "Lead 2" in explain(path, "2")


def test_half_of_a_surrogate_pair_does_not_end_the_run(path: Path) -> None:
    line = encode(record(id=1)).replace(b"Acme", b"\\ud83d")
    judge(path, line)
    assert json.loads(path.read_text())["values"]["name"] == "\ufffd GmbH"


def test_a_path_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^Setting verdicts_path: .* can't be written: "):
        VerdictFile(str(tmp_path / "file" / "verdicts"))


def test_explain_names_each_reason_of_a_dropped_lead(path: Path) -> None:
    judge(path, record(id=42, stage="Cold", domain="gmail.com"))
    assert explain(path, "42") == (
        "Lead 42 of leads was dropped on 2026-11-20 at 12:00 UTC.\n"
        "  - the stage 'Cold' is below 'Interested' (rule stage)\n"
        "  - 'gmail.com' is a free-mail provider (rule valid_company)\n"
        "It is looked at again as soon as it changes in the source.\n"
        "Values seen: id 42, record_type 'company', name 'Acme GmbH', domain 'gmail.com', "
        "is_customer false, icp_fit 'strong', stage 'Cold', quarantine_status 'active', user_id 7, "
        "updated_at '2026-11-20T09:00:00+00:00'."
    )


def test_explain_gives_the_latest_verdict(path: Path) -> None:
    judge(path, record(id=42, updated_at="2026-11-20T11:59:00Z"))
    assert "was held" in explain(path, "42")
    judge(path, record(id=42), record(id=420, stage="Cold"))
    said = explain(path, "42")
    assert "was passed" in said
    assert "the last of 2 times" in said


def test_explain_takes_a_key_of_several_properties(path: Path) -> None:
    judge(path, record(id=42, name="eu"), key_properties=("name", "id"))
    assert explain(path, "eu,42").startswith("Lead eu,42 of leads was passed")


def test_explain_reads_past_a_line_that_was_cut_off(path: Path) -> None:
    judge(path, record(id=42))
    with path.open("ab") as file:
        file.write(b'{"at":"2026-11-20T12:00:00+00:00","stream":"leads","key":"42","ver')
    assert "was passed" in explain(path, "42")


def test_a_run_after_a_line_that_was_cut_off_begins_a_new_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"at":"2026-')
    judge(path, record(id=42))
    assert "was passed" in explain(path, "42")


def test_explain_says_where_it_looked_for_a_lead_that_it_does_not_know(path: Path) -> None:
    with pytest.raises(NoVerdict, match=r"can't be read: No such file"):
        explain(path, "42")
    judge(path, record(id=1))
    with pytest.raises(NoVerdict, match=r"^There is no verdict on lead 42 in .*verdicts\.jsonl"):
        explain(path, "42")


def test_a_verdict_is_on_disk_before_its_lead_goes_on(path: Path) -> None:
    mapper = pipeline(config(verdicts_path=str(path)))
    process(mapper, schema(), record(id=5))
    assert json.loads(path.read_text())["key"] == "5"


def test_the_command_tells_and_its_exit_code_says_whether_it_could(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(path, record(id=42, stage="Cold"))
    assert main(["explain", "42", "--verdicts", str(path)]) == 0
    assert capsys.readouterr().out == explain(path, "42") + "\n"
    assert main(["explain", "43", "--verdicts", str(path)]) == 1
    assert "There is no verdict on lead 43" in capsys.readouterr().err


def test_the_command_takes_a_key_that_is_a_negative_number(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(path, record(id=-42, stage="Cold"))
    assert main(["explain", "-42", "--verdicts", str(path)]) == 0
    assert capsys.readouterr().out == explain(path, "-42") + "\n"
