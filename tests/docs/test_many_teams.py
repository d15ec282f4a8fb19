"""What docs/how-to/many-teams/one_sync.py makes of the end of a run, and of a team's file.

And that the commands of its page are those that tests/promises/test_many_teams.py runs.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from target_apollo.demo.postgres import PostgresServer
from tests.helpers.airflow_engine import Airflow
from tests.helpers.dagster_engine import Dagster
from tests.helpers.engines import Engine
from tests.helpers.how_tos import HOW_TOS, blocks_of
from tests.helpers.teams import EXAMPLE, MAKE_TABLES, Project, environment_of

PATH = EXAMPLE / "one_sync.py"
SELECTED = {"breadcrumb": [], "metadata": {"selected": True}}
NOT_SELECTED = {"breadcrumb": [], "metadata": {"selected": False}}
BLOCKS = list(blocks_of((HOW_TOS / "many-teams.md").read_text(encoding="utf-8")))
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
        # Too many rejects, max_creates, or an error.
        ({"exit_code": 1, "run_again_after": None}, "PersonNeeded"),
        # Stopped by a signal.
        ({"exit_code": 143, "run_again_after": None}, "SyncFailed"),
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


def test_a_run_that_could_read_nothing_is_no_good_one(
    one_sync: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of teams.yml that the tap does not have: Meltano and the target end with 0."""
    path = tmp_path / "acme.env"
    path.touch(mode=0o600)
    path.write_text("APOLLO_API_KEY=a\nTAP_POSTGRES_DATABASE=acme\n")
    found = {"tap_stream_id": "crm-contacts", "metadata": [SELECTED]}
    others = {"tap_stream_id": "crm-accounts", "metadata": [NOT_SELECTED]}

    def run(command: list[str], env: dict[str, str], **_: object) -> SimpleNamespace:
        catalog = Path(env["MELTANO_SYS_DIR_ROOT"], "run", "tap-postgres", "tap.properties.json")
        catalog.parent.mkdir(parents=True, exist_ok=True)
        catalog.write_text(json.dumps({"streams": [found, others]}))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(one_sync.subprocess, "run", run)
    assert one_sync.sync("acme", "crm-contacts") == {}
    for stream in ("crm-contcats", "crm-accounts"):
        with pytest.raises(one_sync.PersonNeeded, match=stream):
            one_sync.sync("acme", stream)


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


@pytest.mark.parametrize(
    ("lines", "missing"),
    [("TAP_POSTGRES_DATABASE=acme\n", "APOLLO_API_KEY"), ("APOLLO_API_KEY=a\n", "TAP_POSTGRES_")],
)
def test_a_team_without_its_own_key_or_warehouse_is_not_synced_with_anothers(
    one_sync: ModuleType, tmp_path: Path, lines: str, missing: str
) -> None:
    (tmp_path / "acme.env").touch(mode=0o600)
    (tmp_path / "acme.env").write_text(lines)
    with pytest.raises(one_sync.PersonNeeded, match=f"begins with {missing}"):
        one_sync.secrets_of("acme")


@pytest.mark.parametrize("engine", [Dagster(), Airflow()], ids=["dagster", "airflow"])
def test_an_engines_commands_are_those_that_its_test_runs(engine: Engine) -> None:
    run = [shlex.join(command) for command in (*engine.once, *engine.commands())]
    shown = [
        shlex.join(shlex.split(line))
        for block in BLOCKS
        if block.option("engine") == engine.name
        for line in block.text.splitlines()
    ]
    assert shown
    assert [line for line in shown if not any(line in command for command in run)] == []


def test_meltanos_tables_are_made_as_in_the_test() -> None:
    (block,) = [block for block in BLOCKS if block.is_a("once")]
    assert block.text == shlex.join(MAKE_TABLES) + "\n"


def test_all_variables_of_the_page_are_set_in_the_test(tmp_path: Path) -> None:
    database = PostgresServer("127.0.0.1", 5432, "somebody", "apollo")
    project = Project(tmp_path, tmp_path, {}, database, database, database)
    known = {*environment_of(project), *Dagster().settings(project), *Airflow().settings(project)}
    shown = {
        name
        for block in BLOCKS
        if block.language == "bash"
        for line in block.text.splitlines()
        if line.startswith("export ")
        for name in re.findall(r"\b([A-Z_]+)=", line)
    }
    assert len(shown) > 10
    assert shown <= known
