"""Files with customers' data: for their owner alone, and for one process at a time.

A process that holds a file's lock may put another file in its place, so whoever got the lock looks
whether the path still means the file that is locked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def open_private(path: Path) -> BinaryIO:
    """Opens a file for reading and appending that only its owner can read, in a folder like it.

    Raises:
        OSError: It can't be made or opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    # An older file may have been made by hand with other rights.
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "a+b")


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
