"""Private files are for their owner alone, and are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from target_apollo.files import (
    make_private_folder,
    open_private,
    private_descriptor,
    replace_private,
    write_private,
)


def test_every_folder_that_is_missing_is_for_its_owner_alone(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b" / "c")
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in made] == [0o700] * 3


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    open_private(tmp_path / "rejects.singer").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("made_with", [0o644, 0o660, 0o604])
def test_a_file_made_with_other_rights_loses_them(tmp_path: Path, made_with: int) -> None:
    path = tmp_path / "summary.json"
    path.touch()
    path.chmod(made_with)
    write_private(path, b"{}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"{}"


def test_a_private_file_is_not_passed_on_to_child_processes(tmp_path: Path) -> None:
    descriptor = private_descriptor(tmp_path / "token.json", os.O_RDWR | os.O_CREAT)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_a_device_keeps_its_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[int] = []
    monkeypatch.setattr(os, "fchmod", lambda descriptor, mode: changed.append(mode))
    write_private(Path(os.devnull), b"{}")
    assert changed == []


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "page.html"
    replace_private(path, "größe".encode())
    assert path.read_text("utf-8") == "größe"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_earlier_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("x" * 10_000)
    path.chmod(0o644)
    with path.open() as reader:
        replace_private(path, b"new")
        assert reader.read() == "x" * 10_000
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_can_t_be_written_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "page.html"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        replace_private(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_a_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match="irectory"):
        replace_private(tmp_path / "page.html", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]
