"""The files of the settings are different ones, and each is fit for its use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from target_apollo.config.paths import NamedFile, files_of, ledger_file, problems_of_files

SETTINGS = ("rejects_path", "summary_path", "ledger_url", "token_path")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(sources: tuple[str, ...] = (), **paths: str) -> list[str]:
    config = {
        "rejects_path": "rejects",
        "summary_path": "summary",
        "ledger_url": "sqlite:///ledger",
        "token_path": "token",
        "client_id": "app",
        **paths,
    }
    return problems_of_files(files_of(config, sources))


@pytest.mark.usefixtures("folder")
def test_different_files_are_right() -> None:
    assert problems(("config.json", "ENV")) == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "paths",
    [
        {"rejects_path": "a", "summary_path": "./a"},
        {"rejects_path": "a", "ledger_url": "sqlite:///a"},
        {"summary_path": "a", "ledger_url": "sqlite:///./a"},
        {"rejects_path": "a", "token_path": "A"},
        {"rejects_path": "ledger-wal"},
        {"summary_path": "ledger-journal"},
        {"summary_path": "rejects.lock"},
        {"summary_path": "rejects.replaying"},
    ],
)
def test_two_settings_of_one_file_are_named(paths: dict[str, str]) -> None:
    (sentence,) = problems(**paths)
    assert "name one file" in sentence
    assert all(name in sentence for name in paths)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_names_the_settings_file(name: str) -> None:
    path = "config.json"
    found = problems((path,), **{name: f"sqlite:///{path}" if name == "ledger_url" else path})
    assert f"The file given with --config and the setting {name} name one file" in found[0]


def test_a_hard_link_to_another_of_them_is_known(folder: Path) -> None:
    (folder / "ledger").write_text("x")
    os.link(folder / "ledger", folder / "rejects")
    assert "name one file" in problems()[0]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_device_is_refused_by_the_name_of_its_setting(name: str) -> None:
    path = "sqlite:////dev/null" if name == "ledger_url" else "/dev/null"
    (sentence,) = problems(**{name: path})
    assert sentence.startswith(f"The setting {name} can't be /dev/null: it is a device")
    assert ("An empty string is a run without a ledger." in sentence) is (name == "ledger_url")


@pytest.mark.parametrize("name", SETTINGS[:3])
def test_a_link_is_refused_where_it_would_be_written_over(folder: Path, name: str) -> None:
    (folder / "given").symlink_to("missing")
    path = "sqlite:///given" if name == "ledger_url" else "given"
    assert "it is a symbolic link" in problems(**{name: path})[0]


def test_a_link_beside_the_ledger_is_refused(folder: Path) -> None:
    (folder / "ledger-wal").symlink_to("elsewhere")
    assert f"can't be {folder}/ledger-wal" in problems()[0]


def test_links_are_fine_where_a_file_is_only_read(folder: Path) -> None:
    for name in ("config.json", "token", "other"):
        (folder / f"real-{name}").write_text("{}")
        (folder / name).symlink_to(f"real-{name}")
    assert problems(("config.json",)) == []
    assert problems_of_files(ledger_file("sqlite:///other", is_written=False)) == []


def test_folders_may_be_links(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "state").symlink_to("real")
    assert problems(rejects_path="state/rejects", summary_path="state/summary") == []
    assert "name one file" in problems(rejects_path="state/a", summary_path="real/a")[0]


def test_one_file_may_be_read_twice(folder: Path) -> None:
    (folder / "a").touch()
    assert problems_of_files([NamedFile("x", Path("a")), NamedFile("y", Path("a"))]) == []


def test_a_working_directory_that_is_gone_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert problems() == [
        "The working directory is gone: change to a folder that exists, and run again."
    ]
