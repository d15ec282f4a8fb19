"""What docs/how-to/many-teams/one_sync.py makes of the end of a run, and of a team's file."""

from __future__ import annotations

import importlib.util
import json
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from target_apollo.demo.meltano import ROOT

PATH = ROOT / "docs" / "how-to" / "many-teams" / "one_sync.py"
AGAIN = "2026-03-01T12:00:00+00:00"


@pytest.fixture
def one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TEAM_SECRETS", str(tmp_path))
    monkeypatch.setenv("TEAM_FILES", str(tmp_path / "files"))
    found = importlib.util.spec_from_file_location("one_sync", PATH)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_a_run_that_ended_well_gives_its_counts(one_sync: ModuleType) -> None:
    assert one_sync.outcome(0, {"records": {"created": 3}}) == {"created": 3}


@pytest.mark.parametrize(
    ("summary", "exception"),
    [
        ({"exit_code": 3, "run_again_after": AGAIN}, "Later"),
        # Another run writes the stream.
        ({"exit_code": 2, "run_again_after": AGAIN}, "Later"),
        ({"exit_code": 2, "run_again_after": None}, "PersonNeeded"),
        ({"exit_code": 1, "run_again_after": None}, "SyncFailed"),
        # The run before Meltano's failure was a good one, or there was none.
        ({"exit_code": 0}, "SyncFailed"),
        ({}, "SyncFailed"),
    ],
    ids=json.dumps,
)
def test_the_end_of_a_run_says_what_follows(
    one_sync: ModuleType, summary: dict[str, Any], exception: str
) -> None:
    with pytest.raises(getattr(one_sync, exception)):
        one_sync.outcome(1, summary)


def test_a_run_that_goes_on_later_says_when(one_sync: ModuleType) -> None:
    with pytest.raises(one_sync.Later) as later:
        one_sync.outcome(1, {"exit_code": 3, "run_again_after": AGAIN, "ended_because": "Quota."})
    assert later.value.at == datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    assert str(later.value) == "Quota."


def test_a_teams_file_is_read_line_by_line(one_sync: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "acme.env"
    path.touch(mode=0o600)
    path.write_text("# a remark\nAPOLLO_API_KEY=a=b\n\nTAP_POSTGRES_DATABASE=acme\n")
    found = one_sync.secrets_of("acme")
    assert found == {"APOLLO_API_KEY": "a=b", "TAP_POSTGRES_DATABASE": "acme"}


def test_a_teams_file_that_others_may_read_is_refused(one_sync: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "acme.env").write_text("APOLLO_API_KEY=a\n")
    (tmp_path / "acme.env").chmod(0o640)
    with pytest.raises(one_sync.PersonNeeded, match="chmod 600"):
        one_sync.secrets_of("acme")


def test_a_team_without_a_file_is_named(one_sync: ModuleType) -> None:
    with pytest.raises(one_sync.PersonNeeded, match="acme has no file"):
        one_sync.secrets_of("acme")
