"""The token file: rotated OAuth tokens, kept so that neither a crash nor a second run loses them.

A refresh token works once. A process that renews takes the lock beside the file, reads the file
again, and writes the new pair to disk before it releases the lock. If a process dies after it has
written a whole pair but before it has moved it into place, the next process moves it. One case
remains: a process that dies between Apollo's answer and the write has used up the old token, and
somebody must log in again.

One file may hold the pairs of several logins, so that two environments in one folder do not
overwrite each other's tokens. The file has mode 0600, a folder made for it 0700.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from target_apollo.apollo.errors import NoAccessToken, RunStopped
from target_apollo.system.files import check_written, private_descriptor, read_file, sync_folder

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

TOKEN_ENDPOINT = "POST /oauth/token"  # noqa: S105 - a label
# A process holds the lock for all tries of one refresh, which take less than this.
_LOCK_SECONDS = 300.0
_LOCK_POLL_SECONDS = 0.05
# Room for one more pair; other services have tokens of up to 4 KB.
_SPARE_BYTES = 16_384
_EARLY_SECONDS = 60.0
_VERSION = 1


@dataclass(frozen=True)
class TokenPair:
    """An access token and the refresh token that renews it; times in epoch seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    obtained_at: float
    expires_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Return whether to renew: a minute before the end, or half-way if it lives shorter."""
        if self.expires_at is None:
            return False
        return now >= self.expires_at - min(
            _EARLY_SECONDS, (self.expires_at - self.obtained_at) / 2
        )


@dataclass(frozen=True)
class Login:
    """The login that a pair belongs to, as digests.

    `client` is the digest of the token endpoint's address and the client id; `setting` that of the
    refresh token in the settings with which the pair was first obtained, empty for a login without.
    """

    client: str
    setting: str

    @classmethod
    def of(cls, token_url: str, client_id: str, refresh_token: str | None) -> Login:
        """Return the login that these settings mean: another refresh token is another login."""
        client = _digest(token_url, client_id)
        return cls(client, _digest(client, refresh_token) if refresh_token else "")


@dataclass(frozen=True)
class _Entry:
    login: Login
    tokens: TokenPair


@dataclass(frozen=True)
class _Contents:
    version: int
    kept: tuple[_Entry, ...] = ()


class TokenFile:
    """The file at `token_path`. Every method raises `NoAccessToken` where the file fails."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        self._new_path = self.path.with_name(self.path.name + ".new")

    def find(self, login: Login) -> tuple[Login, TokenPair] | None:
        """Return the pair of a login, with the login under which it is kept.

        For settings without a refresh token that is the pair of `apollo-sync login`, else the
        client's pair if there is only one.
        """
        kept = self._read(self.path).kept
        matching = [entry for entry in kept if entry.login == login]
        if not matching and not login.setting:
            matching = [entry for entry in kept if entry.login.client == login.client]
        return (matching[0].login, matching[0].tokens) if len(matching) == 1 else None

    @contextlib.contextmanager
    def locked(self, stop: threading.Event) -> Iterator[None]:
        """Hold the lock that keeps all other processes and threads from renewing.

        Raises RunStopped where `stop` is set before the lock is free.
        """
        with self._failures("written"):
            # A pair may be read over a link, as Kubernetes hands it out, but not be replaced there.
            check_written(self.path)
            descriptor = private_descriptor(self._lock_path, os.O_RDWR | os.O_CREAT)
        try:
            self._acquire(descriptor, stop)
            with self._failures("written"):
                self._finish_what_was_interrupted()
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def successor(self) -> Iterator[Successor]:
        """Prepare to replace the file. Enter it under the lock, before a token is used up.

        A read-only folder or a full disk raises here, while the old pair still works.
        """
        contents = self._read(self.path)
        with self._failures("written"):
            descriptor = private_descriptor(self._new_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            try:
                with self._failures("written"):
                    file.write(b" " * (len(msgspec.json.encode(contents)) + _SPARE_BYTES))
                    _sync(file)
                yield Successor(self, file, contents)
            finally:
                with contextlib.suppress(OSError):
                    self._new_path.unlink(missing_ok=True)

    def take_over(self, file: BinaryIO, contents: _Contents) -> None:
        """Put contents on disk and in the file's place. Raises OSError."""
        file.seek(0)
        file.write(msgspec.json.encode(contents))
        file.truncate()
        _sync(file)
        self._move_into_place()

    def _move_into_place(self) -> None:
        self._new_path.replace(self.path)
        sync_folder(self.path.parent)

    def _finish_what_was_interrupted(self) -> None:
        try:
            self._read(self._new_path, missing_ok=False)
        except NoAccessToken:
            self._new_path.unlink()
        except FileNotFoundError:
            return
        else:
            # Written whole by a process that died before the move.
            self._move_into_place()

    def _acquire(self, descriptor: int, stop: threading.Event) -> None:
        give_up_at = time.monotonic() + _LOCK_SECONDS
        while True:
            with self._failures("locked"), contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if stop.wait(_LOCK_POLL_SECONDS):
                raise RunStopped(TOKEN_ENDPOINT)
            if time.monotonic() > give_up_at:
                raise NoAccessToken(
                    f"Another process has held the lock of {self.path} (setting token_path) for "
                    f"{_LOCK_SECONDS:.0f} seconds: end it, and run again.",
                    endpoint=TOKEN_ENDPOINT,
                )

    def _read(self, path: Path, *, missing_ok: bool = True) -> _Contents:
        try:
            content = read_file(path)
            # Somebody may have copied the file, or made it, with other rights. What a link leads to
            # belongs to whoever made the link.
            if not path.is_symlink() and path.stat().st_mode & 0o077:
                with contextlib.suppress(PermissionError):
                    path.chmod(0o600)
        except FileNotFoundError:
            if missing_ok:
                return _Contents(_VERSION)
            raise
        except OSError as problem:
            raise self._failure("read", problem) from None
        try:
            contents = msgspec.json.decode(content, type=_Contents)
        except ValueError:
            contents = _Contents(0)
        if contents.version != _VERSION:
            raise NoAccessToken(
                f"{self.path} (setting token_path) is no token file of this version of "
                "target-apollo: move it away, and log in again with `apollo-sync login`.",
                endpoint=TOKEN_ENDPOINT,
            )
        return contents

    @contextlib.contextmanager
    def _failures(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise self._failure(done, problem) from None

    def _failure(self, done: str, problem: OSError) -> NoAccessToken:
        return NoAccessToken(
            f"The token file {self.path} (setting token_path) can't be {done}: "
            f"{problem.strerror or type(problem).__name__}. No token was spent.",
            endpoint=TOKEN_ENDPOINT,
        )


class Successor:
    """The new file that replaces the token file."""

    def __init__(self, token_file: TokenFile, file: BinaryIO, contents: _Contents) -> None:
        self._token_file = token_file
        self._file = file
        self._contents = contents

    def keep(self, login: Login, tokens: TokenPair) -> None:
        """Put a login's new pair on disk, in place of its old pair; other logins keep theirs.

        Raises:
            NoAccessToken: The file can't be written; the old pair no longer works.
        """
        others = tuple(entry for entry in self._contents.kept if entry.login != login)
        contents = _Contents(_VERSION, (*others, _Entry(login, tokens)))
        try:
            self._token_file.take_over(self._file, contents)
        except OSError as problem:
            raise NoAccessToken(
                f"The new tokens could not be kept in {self._token_file.path} (setting "
                f"token_path): {problem.strerror}. The old ones work no longer: mend that, and log "
                "in again with `apollo-sync login`.",
                endpoint=TOKEN_ENDPOINT,
            ) from None


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
