"""Which private files git would take, or has taken already.

Rejects, ledger, tokens and summaries hold customers' data or keys, and so may a file of settings
and ``.env``. The package's own folder keeps itself out of git; other places are the user's.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess  # nosec B404 - git, with arguments of our own
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values, find_dotenv

from target_apollo.cli.check.plain_secrets import has_password
from target_apollo.config.paths import NamedFile, files_of
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import read_object
from target_apollo.system.files import OWN_FOLDER, keep_from_git, read_file

_LONGEST_SECONDS = 20
#: What the name of a setting or variable ends with whose value is a secret.
_SECRETS = ("key", "secret", "token", "password")
#: The settings that name files.
_SETTINGS = ("client_id", "ledger_url", "rejects_path", "summary_path", "token_path")


@dataclass(frozen=True)
class WorkTree:
    """A work tree of git, asked without anything that its own settings would start."""

    top: Path

    @classmethod
    def of(cls, folder: Path) -> WorkTree | None:
        """The work tree that a folder is in; None where there is none, or no git to ask."""
        top = _git(folder, "rev-parse", "--show-toplevel")
        return cls(Path(top.removesuffix("\n"))) if top else None

    def has(self, paths: Iterable[str]) -> bool:
        """Whether one of the paths is tracked, or a file below it is."""
        return bool(_git(self.top, "ls-files", "--", *(f":(literal){path}" for path in paths)))

    def takes(self, paths: Sequence[str]) -> bool:
        """Whether ``git add`` would take one of the paths."""
        ignored = _git(self.top, "check-ignore", "--", *paths)
        return ignored is not None and len(ignored.splitlines()) < len(paths)


def private_files_in_git(settings: Settings, sources: Iterable[object] = ()) -> list[str]:
    """A sentence for each private file that git would take or has taken.

    Args:
        settings: The settings that name the files.
        sources: Where they come from, as in `target_apollo.config.sources`.
    """
    if shutil.which("git") is None:
        return []
    sentences: list[str] = []
    config = {name: getattr(settings, name) for name in _SETTINGS}
    for file in _private_files(config, sources):
        own = next((one for one in file.path.parents if one.name == OWN_FOLDER), None)
        if own is not None:
            if not own.is_dir():
                # The run that makes it keeps it out of git.
                continue
            keep_from_git(own)
        sentences += _of_file(file)
    return sentences


def _private_files(config: Mapping[str, Any], sources: Iterable[object]) -> Iterator[NamedFile]:
    for file in files_of(config, sources):
        if file.named_by.startswith("the setting") or _holds_secrets(_settings_in(file.path)):
            yield file
    env = find_dotenv(usecwd=True)
    if env and _holds_secrets(_variables_in(Path(env))):
        yield NamedFile("the file of variables", Path(env))


def _variables_in(path: Path) -> Mapping[str, Any]:
    """The variables of a file; none where it is no text, or a queue, which git does not take."""
    try:
        return dotenv_values(stream=io.StringIO(read_file(path).decode()))
    except (OSError, UnicodeDecodeError):
        return {}


def _settings_in(path: Path) -> Mapping[str, Any]:
    try:
        return read_object(str(path))
    except SettingsError:
        return {}


def _holds_secrets(values: Mapping[str, Any]) -> bool:
    return any(
        bool(value) and (name.lower().endswith(_SECRETS) or has_password(str(value)))
        for name, value in values.items()
    )


def _of_file(file: NamedFile) -> Iterator[str]:
    # Git keeps a link to a folder, and nothing of what is in the folder.
    places = [one.parent.resolve() / one.name for one in file.all_paths]
    tree = WorkTree.of(_existing(places[0].parent))
    if tree is None:
        return
    try:
        paths = [str(place.relative_to(tree.top)) for place in places]
    except ValueError:
        return
    line = f"/{paths[0]}{'*' if file.beside else ''}"
    if tree.has(paths):
        yield (
            f"{places[0]} ({file.named_by}) is in git, with private data. In {tree.top}, run "
            f"`git rm --cached {shlex.quote(paths[0])}` and add the line {line} to .gitignore. Its "
            "history keeps the data: renew keys that are in it."
        )
    elif tree.takes(paths):
        yield (
            f"git would take {places[0]} ({file.named_by}), which is private: add the line {line} "
            f"to {tree.top / '.gitignore'}."
        )


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _git(folder: Path, *arguments: str) -> str | None:
    """What git writes to standard output; None if it can't answer."""
    # A hook of git sets variables that name another work tree.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603  # nosec B603 B607 - no shell
            ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments],  # noqa: S607
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # check-ignore ends with 1 where it has nothing to say.
    return done.stdout if done.returncode in (0, 1) else None
