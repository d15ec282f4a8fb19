"""Private files: ledger, rejects, tokens, verdicts, summaries and reports hold customers' data.

They are made here and nowhere else: mode 0600, in folders of mode 0700, locked for one process at a
time, replaced in one step and put on disk.

A process that holds a file's lock may put another file in its place, so whoever got the lock looks
whether the path still means the file that is locked.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: Rights of the group and of others, which no private file gives.
_OPEN_TO_OTHERS = 0o077


def make_private_folder(path: Path) -> None:
    """Makes a folder and those above it that are missing, each for its owner alone.

    A folder that is there keeps its mode: it may be the user's own.

    Raises:
        OSError: One of them can't be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


def private_descriptor(path: Path, flags: int) -> int:
    """Opens a file that only its owner can read, in a folder like it; returns its descriptor.

    Args:
        flags: As for `os.open`; with ``os.O_CREAT`` a file that is missing is made.

    Raises:
        OSError: It can't be made or opened, or its rights can't be taken back.
    """
    make_private_folder(path.parent)
    descriptor = os.open(path, flags, 0o600)
    try:
        # An older file may have been made or copied by hand with other rights; a device such as
        # /dev/null is everybody's and stays so.
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) and mode & _OPEN_TO_OTHERS:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_private(path: Path) -> BinaryIO:
    """Opens a private file for reading and appending.

    Raises:
        OSError: It can't be made or opened.
    """
    return os.fdopen(private_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+b")


def write_private(path: Path, content: bytes) -> None:
    """Writes a private file in place, which may be a device such as ``/dev/stdout``.

    Raises:
        OSError: It can't be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(private_descriptor(path, flags), "wb") as file:
        file.write(content)


def replace_private(path: Path, content: bytes) -> None:
    """Puts a private file on disk in one step, in place of the one that may be there.

    Raises:
        OSError: It can't be written; a file that was there is as it was.
    """
    make_private_folder(path.parent)
    # Made with mode 0600.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[BinaryIO]:
    """The file at a path, opened as by `open_private`, while no other process has its lock.

    Raises:
        BlockingIOError: Another process has the lock, and `wait` is false.
        OSError: The file can't be made, opened or locked.
    """
    while True:
        with open_private(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not is_at(file, path):
                continue
            yield file
            return


def is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def sync_folder(path: Path) -> None:
    """Puts on disk that files of a folder were made, renamed or removed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
