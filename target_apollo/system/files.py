"""Private files: ledger, rejects, tokens, verdicts, summaries and reports hold customers' data.

Only this module creates them: mode 0600, in folders of mode 0700. It also locks them against other
processes, replaces them in one step and syncs them to disk.

A file that is written must be a regular file of one's own. Over a link another file would be
overwritten, a device or a queue keeps nothing, and whoever owns a file reads what is put into it. A
file that is only read may be reached over links, since Kubernetes and others hand out settings and
secrets as links. Folders may be links in both cases. Each file is judged by its descriptor, so that
nobody can exchange it between the check and the use.

A process that holds a file's lock may replace the file. A process that gets the lock therefore
checks whether the path still names the file that it has locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: The folder of the default paths.
OWN_FOLDER = ".target-apollo"

#: Permission bits of group and others; a private file has none of them.
_OPEN_TO_OTHERS = 0o077
#: What a path may name that is no regular file, and why it is refused.
_KINDS = {
    stat.S_IFLNK: "it is a symbolic link; name the file itself",
    stat.S_IFDIR: "it is a folder; name a file",
    stat.S_IFCHR: "it is a device; name a file",
    stat.S_IFBLK: "it is a device; name a file",
    stat.S_IFIFO: "it is a queue (FIFO); name a file",
    stat.S_IFSOCK: "it is a socket; name a file",
}
#: Folders of the files that this process has open already, as ``--config <(…)`` names them.
_OPEN_ALREADY = ("/dev/fd", "/proc/self/fd")


class UnfitFile(OSError):
    """A path names something that is no file to write to, or to read; `strerror` says why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EINVAL, why, str(path))


def check_written(path: Path) -> None:
    """Checks a path that will be written to; nothing is opened. A missing file is fit.

    Raises:
        UnfitFile: It is no regular file of one's own.
        OSError: It can't be looked at.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    _check_own(path, found)


def check_read(path: Path) -> None:
    """Checks a path that will be read from, as `read_file` does; a missing file is fit.

    Raises:
        UnfitFile: It is no regular file, also behind links.
        OSError: It can't be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not _is_open_pipe(path, mode):
        _check_kind(path, mode)


def read_file(path: Path) -> bytes:
    """The content of a regular file, or of a pipe that this process has open already.

    Raises:
        UnfitFile: It is another kind of file; nothing of it was read.
        OSError: It can't be read.
    """
    with open_to_read(path) as file:
        return file.read()


def open_to_read(path: Path) -> BinaryIO:
    """Opens a regular file, or a pipe that this process has open already, to be read.

    Raises:
        UnfitFile: It is another kind of file.
        OSError: It can't be opened.
    """
    # A queue that nobody writes to would not be opened without O_NONBLOCK.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if not _is_open_pipe(path, mode):
            _check_kind(path, mode)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _is_open_pipe(path: Path, mode: int) -> bool:
    return stat.S_ISFIFO(mode) and str(path.parent) in _OPEN_ALREADY


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise UnfitFile(path, _KINDS.get(stat.S_IFMT(mode), "it is no regular file"))


def _check_own(path: Path, found: os.stat_result) -> None:
    _check_kind(path, found.st_mode)
    if found.st_uid != os.geteuid() and found.st_uid != _owner_of_new_files(path.parent):
        raise UnfitFile(path, f"it belongs to another user (uid {found.st_uid})")
    if found.st_nlink > 1 and path.parent.stat().st_mode & stat.S_IWOTH:
        # Somebody else may have given a file of ours this name, so that we write over it.
        raise UnfitFile(path, "it has another name too, in a folder that everybody may write to")


def _owner_of_new_files(folder: Path) -> int | None:
    """The user to whom files belong that this process makes in a folder; None if it can't.

    On some network drives and volumes of containers all files belong to one user.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as made:
            return os.fstat(made.fileno()).st_uid
    except OSError:
        return None


def one_file(one: Path, other: Path) -> bool:
    """Whether two paths name the same file, now or once it is made.

    Links to folders, hard links, the case of letters and the form of accents do not tell them
    apart: some file systems take such names for one.
    """
    try:
        if one.samefile(other):
            return True
    except OSError:
        # One of them is missing, or can't be looked at: their names decide.
        pass
    return _place(one) == _place(other)


def _place(path: Path) -> str:
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def why_not_writable(path: Path) -> str:
    """Why a file can't be written, or made with its folders, by what is there; empty if it can."""
    try:
        if path.exists():
            return "" if os.access(path, os.W_OK) else "this user may not write to it"
        folder = next(one for one in path.absolute().parents if one.exists())
    except OSError as problem:
        return problem.strerror or "it can't be looked at"
    if not folder.is_dir():
        return f"{folder} is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"this user may not write to {folder}"


def make_private_folder(path: Path) -> None:
    """Makes a folder and its missing parents, each with mode 0700.

    A folder that exists keeps its mode, since it may be one of the user's. The package's own folder
    is kept out of git.

    Raises:
        OSError: A folder can't be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    for folder in (path, *path.parents):
        if folder.name == OWN_FOLDER:
            keep_from_git(folder)


def keep_from_git(folder: Path) -> None:
    """Makes a file in the package's own folder by which git takes nothing of it.

    One that exists stays as it is. Where it can't be made nothing is lost by that: ``apollo-sync
    check`` says which files git would take.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    path = folder / ".gitignore"
    if os.path.lexists(path):
        return
    with suppress(OSError):
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"# Made by target-apollo: keys and customers' data are in here.\n*\n")


def private_descriptor(path: Path, flags: int) -> int:
    """Opens a private file and returns its descriptor; makes its folder if that is missing.

    Args:
        flags: As for `os.open`; with ``os.O_CREAT`` a missing file is made.

    Raises:
        UnfitFile: There is no regular file of one's own at the path.
        OSError: The file can't be made or opened, or its mode can't be changed to 0600.
    """
    make_private_folder(path.parent)
    check_written(path)
    # Whatever has taken the file's place since is not followed, not waited for and not cut off.
    safe = (flags & ~os.O_TRUNC) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, safe, 0o600)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise UnfitFile(path, _KINDS[stat.S_IFLNK]) from None
        raise
    try:
        found = os.fstat(descriptor)
        _check_own(path, found)
        # Somebody may have made or copied the file with other rights.
        if found.st_mode & _OPEN_TO_OTHERS:
            os.fchmod(descriptor, 0o600)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
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
    """Overwrites a private file in place.

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
    # A device would be replaced as well, for the whole machine.
    check_written(path)
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
