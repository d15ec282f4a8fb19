"""Private files are for their owner alone, and are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.system.files import (
    UnfitFile,
    make_private_folder,
    one_file,
    open_private,
    private_descriptor,
    read_file,
    replace_private,
    write_private,
)


def append(path: Path, content: bytes) -> None:
    with open_private(path) as file:
        file.write(content)


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


KINDS = ["link", "dangling", "folder", "queue", "socket", "device", "another's", "other name"]


@pytest.fixture
def unfit(tmp_path: Path) -> Callable[[str], Path]:
    """Makes something at a path that is no file to write to."""

    def make(kind: str) -> Path:
        path, other = tmp_path / "given", tmp_path / "other"
        other.write_text("untouched")
        if kind == "link":
            path.symlink_to(other)
        elif kind == "dangling":
            path.symlink_to(tmp_path / "missing")
        elif kind == "folder":
            path.mkdir()
        elif kind == "queue":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                # The names of sockets are short, those of temporary folders are not.
                folder = os.open(tmp_path, os.O_RDONLY)
                listening.bind(f"/proc/self/fd/{folder}/given")
                os.close(folder)
        elif kind == "device":
            return Path(os.devnull)
        elif kind == "another's":
            if os.geteuid() != 0:
                pytest.skip("only root can give a file to another user")
            path.write_text("untouched")
            os.chown(path, 12_345, -1)
        else:
            os.link(other, path)
            tmp_path.chmod(0o1777)
        return path

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", [write_private, replace_private, append])
def test_what_is_no_file_of_one_s_own_is_neither_written_nor_changed(
    kind: str, write: Callable[[Path, bytes], None], unfit: Callable[[str], Path]
) -> None:
    path = unfit(kind)
    before = path.lstat()
    with pytest.raises(UnfitFile):
        write(path, b"{}")
    after = path.lstat()
    assert (after.st_mode, after.st_ino, after.st_size) == (
        before.st_mode,
        before.st_ino,
        before.st_size,
    )
    assert not (path.parent / "missing").exists()
    if path.parent != Path("/dev"):
        assert (path.parent / "other").read_text() == "untouched"


@pytest.mark.parametrize("kind", ["folder", "queue", "device"])
def test_what_is_no_file_is_not_read(kind: str, unfit: Callable[[str], Path]) -> None:
    with pytest.raises(UnfitFile):
        read_file(unfit(kind))


@pytest.mark.parametrize("kind", ["link", "another's", "other name"])
def test_a_file_is_read_over_links_and_from_others(kind: str, unfit: Callable[[str], Path]) -> None:
    assert read_file(unfit(kind)) == b"untouched"


def test_what_takes_a_file_s_place_after_the_check_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "given", tmp_path / "other"
    other.write_text("untouched")
    path.symlink_to(other)
    monkeypatch.setattr("target_apollo.system.files.check_written", lambda path: None)
    with pytest.raises(UnfitFile, match="symbolic link"):
        write_private(path, b"{}")
    assert other.read_text() == "untouched"


def test_a_pipe_that_is_open_already_is_read() -> None:
    read, write = os.pipe()
    os.write(write, b"{}")
    os.close(write)
    try:
        assert read_file(Path(f"/dev/fd/{read}")) == b"{}"
    finally:
        os.close(read)


@pytest.mark.parametrize("other", ["./a", "x/../a", "folder/a", "A", "hard", "link"])
def test_two_names_of_one_file_are_known(tmp_path: Path, other: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "a").touch()
    os.link(tmp_path / "a", tmp_path / "hard")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert one_file(tmp_path / "a", Path(f"{tmp_path}/{other}"))
    assert not one_file(tmp_path / "a", tmp_path / "b")


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
    with pytest.raises(OSError, match="it is a folder"):
        replace_private(tmp_path / "page.html", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


# --- the package's own folder stays out of git


def test_the_package_s_own_folder_carries_a_gitignore_of_its_own(tmp_path: Path) -> None:
    write_private(tmp_path / ".target-apollo" / "runs" / "1.json", b"{}")
    made = tmp_path / ".target-apollo" / ".gitignore"
    assert made.read_text().splitlines()[-1] == "*"
    assert not (tmp_path / ".target-apollo" / "runs" / ".gitignore").exists()


def test_a_folder_of_an_earlier_version_gets_it_with_the_next_file(tmp_path: Path) -> None:
    (tmp_path / ".target-apollo").mkdir()
    open_private(tmp_path / ".target-apollo" / "rejects.singer").close()
    assert (tmp_path / ".target-apollo" / ".gitignore").exists()


def test_a_gitignore_of_the_user_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / ".target-apollo"
    folder.mkdir()
    (folder / ".gitignore").write_text("*.db\n")
    write_private(folder / "a", b"")
    assert (folder / ".gitignore").read_text() == "*.db\n"


def test_a_link_in_place_of_the_gitignore_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / ".target-apollo"
    folder.mkdir()
    (folder / ".gitignore").symlink_to(tmp_path / "elsewhere")
    write_private(folder / "a", b"")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_the_user_s_gets_none(tmp_path: Path) -> None:
    write_private(tmp_path / "state" / "rejects.singer", b"")
    assert not (tmp_path / "state" / ".gitignore").exists()


def test_a_gitignore_that_can_t_be_made_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuses(path: str | Path, *more: int, **options: int) -> int:
        if Path(path).name == ".gitignore":
            raise PermissionError(13, "Permission denied")
        return real(path, *more, **options)

    # Whoever runs the tests as root may write anywhere.
    monkeypatch.setattr(os, "open", refuses)
    write_private(tmp_path / ".target-apollo" / "a", b"kept")
    assert (tmp_path / ".target-apollo" / "a").read_bytes() == b"kept"
