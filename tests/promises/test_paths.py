"""No path that a user sets costs a file: it is refused by name before it is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, Run, contact, record, schema

BIN = Path(sys.executable).parent
WHOLE = [schema("contacts"), contact(1), record("contacts", id=2, email=None)]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file."""
    return {
        path.name: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.iterdir()
    }


@pytest.mark.full
@pytest.mark.parametrize(
    "paths",
    [
        pytest.param({"rejects_path": "ledger.db"}, marks=pytest.mark.full),
        {"summary_path": "rejects.singer"},
        pytest.param({"summary_path": "ledger.db-wal"}, marks=pytest.mark.full),
        pytest.param({"rejects_path": "config.json"}, marks=pytest.mark.full),
        pytest.param({"summary_path": "link"}, marks=pytest.mark.full),
        pytest.param({"rejects_path": "hard"}, marks=pytest.mark.full),
        pytest.param({"rejects_path": "queue"}, marks=pytest.mark.full),
    ],
)
def test_a_run_with_paths_that_meet_touches_nothing(
    apollo: Sandbox, run_target: Run, tmp_path: Path, paths: dict[str, str]
) -> None:
    assert run_target(WHOLE).exit_code == 0
    (tmp_path / "link").symlink_to("ledger.db")
    os.link(tmp_path / "ledger.db", tmp_path / "hard")
    os.mkfifo(tmp_path / "queue")
    kept = (tmp_path / "summary.json").rename(tmp_path / "kept")
    before = snapshot(tmp_path)

    done = run_target(WHOLE, **{name: str(tmp_path / path) for name, path in paths.items()})

    kept.rename(kept)
    after = snapshot(tmp_path)
    # The helper removes the rejects of the run before, and writes the settings anew.
    for name in ("rejects.singer", "config.json"):
        before.pop(name, None)
        after.pop(name, None)
    assert done.exit_code == 2
    assert all(name in done.log for name in paths)
    assert after == before
    assert len(apollo.store.contacts()) == 1


@pytest.mark.full
@pytest.mark.parametrize("name", ["summary_path", "rejects_path"])
def test_a_device_keeps_its_mode(run_target: Run, name: str) -> None:
    before = Path(os.devnull).stat().st_mode
    done = run_target(WHOLE, **{name: "/dev/null"})
    assert done.exit_code == 2
    assert f"The setting {name} can't be /dev/null: it is a device; name a file." in done.log
    assert Path(os.devnull).stat().st_mode == before


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False, input="",
    )  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Message], str]:
    def to(name: str, content: Any) -> str:
        (tmp_path / name).write_text(json.dumps(content))
        return name

    return to


LEADS = {"rules": {"stage": False, "owner_mapped": False}}


@pytest.mark.parametrize("path", ["/dev/null", pytest.param("c.json", marks=pytest.mark.full)])
def test_the_mapper_refuses_a_path_that_is_no_file_of_its_own(
    tmp_path: Path, write: Callable[[str, Any], str], path: str
) -> None:
    config = write("c.json", {**LEADS, "verdicts_path": path})
    before = snapshot(tmp_path)
    done = run(["map-apollo-leads", "--config", config], tmp_path)
    assert done.returncode == 2
    assert "setting verdicts_path" in done.stderr
    assert snapshot(tmp_path) == before


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["apollo-sync", "report", "--html", "ledger.db"], "--html"),
        pytest.param(
            ["apollo-sync", "report", "--html", "/dev/null"], "--html", marks=pytest.mark.full
        ),
        pytest.param(
            ["apollo-sync", "replay", "--rejects", "queue"], "rejects_path", marks=pytest.mark.full
        ),
        pytest.param(
            ["apollo-sync", "explain", "1", "--verdicts", "queue"], "queue", marks=pytest.mark.full
        ),
        pytest.param(["tap-apollo-sync", "--state", "queue"], "queue", marks=pytest.mark.full),
    ],
)
def test_a_command_refuses_a_path_that_is_no_file_of_its_own(
    tmp_path: Path, write: Callable[[str, Any], str], command: list[str], named: str
) -> None:
    config = write("c.json", {"api_key": "k", "ledger_url": "sqlite:///ledger.db"})
    (tmp_path / "ledger.db").write_text("untouched")
    os.mkfifo(tmp_path / "queue")
    given = [] if command[1] == "explain" else ["--config", config]
    done = run([*command, *given], tmp_path)
    assert done.returncode in (1, 2)
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "ledger.db").read_text() == "untouched"


@pytest.mark.full
def test_settings_are_read_over_links_and_from_the_shell(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "c.json").write_text("\ufeff" + json.dumps({"ledger_url": ""}))
    (tmp_path / "..data").symlink_to("real")
    (tmp_path / "c.json").symlink_to("..data/c.json")
    tap = BIN / "tap-apollo-sync"
    script = f"{tap} --discover --config c.json && {tap} --discover --config <(cat c.json)"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.count(b"apollo_users")) == (0, 4), done.stderr
