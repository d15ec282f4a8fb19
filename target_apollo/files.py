"""Private files: ledger, rejects, tokens, verdicts, summaries and reports hold customers' data.

Only this module creates them: mode 0600, in folders of mode 0700. It also locks them against other
processes, replaces them in one step and syncs them to disk.

A process that holds a file's lock may replace the file. A process that gets the lock therefore
checks whether the path still names the file that it has locked.
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

#: Permission bits of group and others; a private file has none of them.
_OPEN_TO_OTHERS = 0o077


def make_private_folder(path: Path) -> None:
    """Makes a folder and its missing parents, each with mode 0700.

    A folder that exists keeps its mode, since it may be one of the user's.

    Raises:
        OSError: A folder can't be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


def private_descriptor(path: Path, flags: int) -> int:
    """Opens a private file and returns its descriptor; makes its folder if that is missing.

    Args:
        flags: As for `os.open`; with ``os.O_CREAT`` a missing file is made.

    Raises:
        OSError: The file can't be made or opened, or its mode can't be changed to 0600.
    """
    make_private_folder(path.parent)
    descriptor = os.open(path, flags, 0o600)
    try:
        # Somebody may have made or copied the file with other rights. A device such as /dev/null is
        # open to everybody and stays so.
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) and mode & _OPEN_TO_OTHERS:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_private(path: Path) -> BinaryIO:
    """Opens a private file for reading and appending; makes it if it is missing.

    Raises:
        OSError: It can't be made or opened.
    """
    return os.fdopen(private_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+b")


def write_private(path: Path, content: bytes) -> None:
    """Overwrites a private file in place; the path may be a device such as ``/dev/stdout``.

    Raises:
        OSError: It can't be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(private_descriptor(path, flags), "wb") as file:
        file.write(content)


def replace_private(path: Path, content: bytes) -> None:
    """Makes or replaces a private file in one step and syncs it to disk.

    Raises:
        OSError: It can't be written; an earlier file at the path is unchanged.
    """
    make_private_folder(path.parent)
    # mkstemp makes it with mode 0600.
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
    """Opens the file at a path as `open_private` does, and holds its lock.

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
    """Whether an open file is the file that a path names now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def sync_folder(path: Path) -> None:
    """Syncs a folder to disk, so that new, renamed and removed files in it outlast a crash.

    Raises:
        OSError: It can't be opened or synced.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
