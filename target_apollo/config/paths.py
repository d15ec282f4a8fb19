"""The files that settings and options name: different ones, each fit for its use.

Each is checked before a byte of any is read or written: two settings that name one file would
destroy what is in it, and nobody would be told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_apollo.config.environment import ENVIRONMENT
from target_apollo.system.files import (
    UnfitFile,
    check_read,
    check_written,
    one_file,
    why_not_writable,
)


@dataclass(frozen=True)
class NamedFile:
    """A file, and who names it.

    Attributes:
        named_by: In a sentence, such as ``the setting rejects_path``.
        is_written: Whether it is written to: then it has to be one's own, and no link.
        may_be_link: Whether it is read over links all the same, as long as it is not written to.
        beside: Endings of the names of files that are made beside it.
        instead: A sentence that says how to do without the file; empty where nobody can.
    """

    named_by: str
    path: Path
    is_written: bool = False
    beside: tuple[str, ...] = ()
    instead: str = ""
    may_be_link: bool = False

    @property
    def all_paths(self) -> tuple[Path, ...]:
        """The file itself, then those beside it."""
        return (self.path, *(self.path.with_name(self.path.name + end) for end in self.beside))


def problems_of_files(files: Sequence[NamedFile]) -> list[str]:
    """A sentence for each file that is unfit for its use, and for each two that are one file."""
    try:
        problems = [sentence for file in files for sentence in _unfit(file)]
        return problems + [
            f"{_capital(one.named_by)} and {other.named_by} name one file ({other.path}), which "
            "one of them would destroy: give each a file of its own."
            for one, other in itertools.combinations(files, 2)
            if (one.is_written or other.is_written) and _meet(one, other)
        ]
    except FileNotFoundError:
        # A relative path can't be told from another where there is no folder to begin at.
        return ["The working directory is gone: change to a folder that exists, and run again."]


def _meet(one: NamedFile, other: NamedFile) -> bool:
    return any(one_file(path, of_other) for path in one.all_paths for of_other in other.all_paths)


def _unfit(file: NamedFile) -> Iterable[str]:
    for path in file.all_paths:
        try:
            if file.is_written and not file.may_be_link:
                check_written(path)
            else:
                check_read(path)
        except UnfitFile as unfit:
            instead = f" {file.instead}" if file.instead else ""
            yield f"{_capital(file.named_by)} can't be {path}: {unfit.strerror}.{instead}"
        except OSError:
            # Whoever opens it has a sentence of its own.
            continue


def unwritable_files(files: Sequence[NamedFile]) -> list[str]:
    """A sentence for each file to write that this user may not write, or not make."""
    return [
        f"{_capital(file.named_by)} can't be {file.path}: {why}."
        for file in files
        if file.is_written and (why := why_not_writable(file.path))
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def given_with(option: str, paths: Iterable[object]) -> list[NamedFile]:
    """The files to read that an option of a command line names; other sources are left out."""
    return [
        NamedFile(f"the file given with {option}", Path(path))
        for path in paths
        if isinstance(path, str) and path != ENVIRONMENT
    ]


def ledger_file(
    ledger_url: str, *, named_by: str = "the setting ledger_url", is_written: bool = True
) -> list[NamedFile]:
    """The file of a ledger; none for PostgreSQL, for no ledger and for a wrong address."""
    if not ledger_url:
        return []
    # The ledger imports SQLAlchemy, which a mapper without a ledger need not load.
    from target_apollo.ledger import LedgerError
    from target_apollo.ledger.database import Address

    try:
        path = Address.of(ledger_url).file
    except (LedgerError, FileNotFoundError):
        # A wrong address, or a relative path where the working directory is gone.
        return []
    if path is None:
        return []
    instead = "An empty string is a run without a ledger."
    return [NamedFile(named_by, path, is_written, ("-wal", "-shm", "-journal"), instead)]


def token_file(config: Mapping[str, Any]) -> list[NamedFile]:
    """The file of OAuth tokens; none for an API key."""
    if not config.get("client_id") or not config.get("token_path"):
        return []
    # Whoever renews a token refuses a link.
    path, beside = Path(config["token_path"]), (".lock", ".new")
    return [NamedFile("the setting token_path", path, True, beside, may_be_link=True)]


def files_of(
    config: Mapping[str, Any], sources: Iterable[object] = (), *, writes_profile: bool = False
) -> list[NamedFile]:
    """The files that the target's settings name, with the settings files themselves.

    Args:
        config: Right settings, with defaults.
        sources: Where they come from, as in `target_apollo.config.sources`.
        writes_profile: Whether the profile of the team is written, which a run only reads.
    """
    summary, profile = config.get("summary_path"), config.get("profile_path")
    rejects = Path(config["rejects_path"])
    return [
        *given_with("--config", sources),
        NamedFile("the setting rejects_path", rejects, True, (".lock", ".replaying")),
        *([NamedFile("the setting summary_path", Path(summary), True)] if summary else []),
        *(
            [NamedFile("the setting profile_path", Path(profile), writes_profile)]
            if profile
            else []
        ),
        *ledger_file(config.get("ledger_url") or ""),
        *token_file(config),
    ]
