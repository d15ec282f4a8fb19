"""`apollo-sync check` warns of private files that git would take."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli.check.in_git import private_files_in_git
from target_apollo.config.settings import Settings
from target_apollo.config.sources import read_config
from target_apollo.system.files import write_private


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty work tree of git, which is the working folder."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "tree"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q")
    return folder


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def said(**settings: Any) -> list[str]:
    config = {"api_key": "k", "ledger_url": "", **settings}
    Path("config.json").write_text(json.dumps(config))
    sources = ["config.json"]
    # The file of the test itself is no finding of these tests.
    Path(".git/info/exclude").write_text("config.json\n")
    return private_files_in_git(Settings.of(read_config(sources)), sources)


@pytest.mark.usefixtures("tree")
def test_the_usual_folder_is_kept_out_of_git_before_and_after_its_first_run() -> None:
    ledger = "sqlite:///.target-apollo/ledger.db"
    assert said(ledger_url=ledger) == []
    write_private(Path(".target-apollo/rejects.singer"), b"{}")
    assert said(ledger_url=ledger) == []
    git("add", "--all")
    assert subprocess.run(["git", "ls-files"], capture_output=True, check=True).stdout == b""


@pytest.mark.usefixtures("tree")
def test_the_folder_of_an_earlier_version_is_kept_out_of_git_too() -> None:
    Path(".target-apollo").mkdir()
    Path(".target-apollo/rejects.singer").write_text("{}")
    assert said() == []


@pytest.mark.parametrize(
    ("settings", "named", "line"),
    [
        ({"rejects_path": "state/bad.singer"}, "rejects_path", "/state/bad.singer*"),
        ({"ledger_url": "sqlite:///state/l.db"}, "ledger_url", "/state/l.db*"),
        ({"summary_path": "state/last.json"}, "summary_path", "/state/last.json"),
        (
            {"token_path": "t.json", "api_key": None, "client_id": "a", "client_secret": "b"},
            "token_path",
            "/t.json*",
        ),
    ],
)
def test_a_private_file_elsewhere_is_named_with_the_line_to_add(
    tree: Path, settings: dict[str, Any], named: str, line: str
) -> None:
    (sentence,) = said(**settings)
    assert f"(the setting {named})" in sentence
    assert f"add the line {line} to {tree / '.gitignore'}" in sentence
    (tree / ".gitignore").write_text(f"{line}\n")
    assert said(**settings) == []


def test_a_ledger_is_not_safe_while_git_would_take_the_files_beside_it(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.db\n")
    assert len(said(ledger_url="sqlite:///l.db")) == 1


@pytest.mark.usefixtures("tree")
def test_a_file_that_is_in_git_already_is_worse() -> None:
    write_private(Path(".target-apollo/rejects.singer"), b"{}")
    git("add", "--force", ".target-apollo/rejects.singer")
    (sentence,) = said()
    assert "rejects.singer (the setting rejects_path) is in git" in sentence
    assert "git rm --cached .target-apollo/rejects.singer" in sentence


def test_a_file_of_variables_with_a_key_is_named(tree: Path) -> None:
    (tree / ".env").write_text("TAP_HOST=db\nTARGET_APOLLO_API_KEY=k3y\n")
    (sentence,) = said()
    assert sentence.startswith(f"git would take {tree / '.env'}")
    assert "k3y" not in sentence
    (tree / ".env").write_text("TAP_HOST=db\nTARGET_APOLLO_API_KEY=\n")
    assert said() == []


def test_a_file_of_variables_with_the_password_of_a_database_is_named(tree: Path) -> None:
    (tree / ".env").write_text("TARGET_APOLLO_LEDGER_URL=postgresql://ann:k3y@db/crm\n")
    (sentence,) = said()
    assert sentence.startswith(f"git would take {tree / '.env'}")
    assert "k3y" not in sentence


def test_a_file_of_variables_that_can_t_be_read_ends_no_check(tree: Path) -> None:
    (tree / ".env").write_bytes(b"TARGET_APOLLO_API_KEY=\xff\n")
    assert said() == []
    (tree / ".env").unlink()
    # Keepers of passwords write variables into a queue, whoever reads it waits for them.
    os.mkfifo(tree / ".env")
    assert said() == []


@pytest.mark.usefixtures("tree")
def test_a_settings_file_with_a_key_is_named_and_one_without_is_not() -> None:
    settings = Settings.of(read_config([_written("a.json", api_key="k3y")]))
    without = _written("b.json", mode="insert")
    (sentence,) = private_files_in_git(settings, ["a.json", without])
    assert "a.json (the file given with --config)" in sentence


def _written(name: str, **settings: Any) -> str:
    Path(name).write_text(json.dumps({"ledger_url": "", **settings}))
    return name


def test_a_link_leads_to_where_the_files_are(tree: Path) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (tree / "state").symlink_to(outside)
    assert said(rejects_path="state/bad.singer") == []


def test_outside_git_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.of(read_config([_written("a.json", api_key="k", rejects_path="r")]))
    assert private_files_in_git(settings, ["a.json"]) == []


@pytest.mark.usefixtures("tree")
def test_without_git_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert said(rejects_path="state/bad.singer") == []
