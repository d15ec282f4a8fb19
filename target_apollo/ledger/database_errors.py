"""What a database's error means: what to do about it, and whether trying again is enough.

PostgreSQL names errors by SQLSTATE, but not those of a connection that did not come about: of these
only the message tells, and of SQLite's errors too.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import DBAPIError

from target_apollo.system.files import UnfitFile


@dataclass(frozen=True)
class Cure:
    """What to do about an error.

    Attributes:
        advice: One or more sentences.
        takes_a_person: Whether every run fails until somebody has done it. Otherwise the error may
            be gone at the next try.
    """

    advice: str
    takes_a_person: bool = False


class UnreadableValue(ValueError):
    """The ledger holds a value that this program never writes; the message says where."""


_LOGIN = Cure(
    "Correct the user and the password in the setting, or let the server accept them.", True
)
_DATABASE = Cure("Create the database or the schema, or correct the name in the setting.", True)
_RIGHTS = Cure(
    "Give this user the right to create tables there, and to read and write those whose names "
    "begin with apollo_.",
    True,
)
_ANSWERS = Cure(
    "Make sure that the server runs and can be reached from here, and run again: the next run "
    "reads again what was not confirmed."
)
_STARTS = Cure("Run again once the server has started or recovered.")
_REPLICA = Cure(
    "The server takes no writes at present, as a replica or while it recovers. Name the primary "
    "server in the setting, or run again once this one takes writes."
)
_CONNECTIONS = Cure(
    "Run again when other programs have closed theirs, or let the server or the pooler take more."
)
_TIMEOUT = Cure("Run again; if it comes back, allow this user more time on the server.")
_BUSY = Cure("Another program holds it: let that end its transaction, or close it, and run again.")
_DEPENDENT = Cure(
    "An upgrade puts a view of the same name and columns in place of the table apollo_links. Drop "
    "what of your own depends on the table, run again, and create it again on the view.",
    True,
)
_SPACE = Cure("Make room there, and run again: the next run reads again what was not confirmed.")
_STATEMENT_POOLER = Cure(
    "The pooler keeps no transaction together: set its pool_mode to transaction or session, or "
    "name the server itself.",
    True,
)
_POOLER_OPTIONS = Cure(
    "The pooler does not pass these options on: leave them out of the setting, and set what they "
    "say (search_path) for the role or the database with ALTER ROLE or ALTER DATABASE.",
    True,
)
_CERTIFICATE = Cure("Correct the sslmode and the certificates that the setting names.", True)
_DAMAGED = Cure(
    "It is damaged, or another program has changed it. Put a backup in its place, or move it away: "
    "a new ledger costs requests, not duplicates.",
    True,
)
_NO_LEDGER = Cure(
    "It is another program's file, or damaged. Name another file, or move this one away: a new "
    "ledger costs requests, not duplicates.",
    True,
)
_FILE_RIGHTS = Cure(
    "Let this user read and write the file and its folder, where SQLite keeps more files, or name "
    "another file.",
    True,
)
_UNFIT_FILE = Cure("Name a regular file of your own.", True)
_UNKNOWN = Cure(
    "Make sure that it is there, writable and not full, and run again: the next run reads again "
    "what was not confirmed."
)

#: By the beginning of a SQLSTATE (PostgreSQL's manual, appendix A); the first that fits holds.
_BY_STATE: Sequence[tuple[str, Cure]] = (
    ("08", _ANSWERS),
    ("25006", _REPLICA),
    ("2BP01", _DEPENDENT),
    ("28", _LOGIN),
    ("3D000", _DATABASE),
    ("3F000", _DATABASE),
    ("42501", _RIGHTS),
    ("42", _DAMAGED),
    ("53300", _CONNECTIONS),
    ("53", _SPACE),
    ("55P03", _BUSY),
    ("40", _BUSY),
    ("57014", _TIMEOUT),
    ("25P03", _TIMEOUT),
    ("57P03", _STARTS),
    ("57", _ANSWERS),
    ("XX001", _DAMAGED),
    ("XX002", _DAMAGED),
)

#: By what a driver's message holds; the first that fits holds.
_BY_MESSAGE: Sequence[tuple[re.Pattern[str], Cure]] = tuple(
    (re.compile(pattern, re.IGNORECASE), cure)
    for pattern, cure in (
        ("statement pooling", _STATEMENT_POOLER),
        ("unsupported startup parameter", _POOLER_OPTIONS),
        (r"too many (?:clients|connections)|connection slots|no more connections", _CONNECTIONS),
        ("starting up|shutting down|recovery mode|not yet accepting", _STARTS),
        ("could not accept SSL|certificate|sslmode|does not support SSL", _CERTIFICATE),
        (r"authentication|password|pg_hba|no such user|role .* does not exist", _LOGIN),
        (r"no such database|database .* does not exist", _DATABASE),
        ("permission denied for", _RIGHTS),
        ("read-only transaction", _REPLICA),
        ("readonly database|unable to open database file", _FILE_RIGHTS),
        ("is locked|is busy", _BUSY),
        ("is full", _SPACE),
        ("file is not a database", _NO_LEDGER),
        ("malformed|corrupt|could not decode|no such (?:table|column)|no column", _DAMAGED),
        ("connect|server closed|terminat", _ANSWERS),
    )
)

_BY_ERRNO = {
    errno.EACCES: _FILE_RIGHTS,
    errno.EPERM: _FILE_RIGHTS,
    errno.EROFS: _FILE_RIGHTS,
    errno.EISDIR: _FILE_RIGHTS,
    errno.ENOTDIR: _FILE_RIGHTS,
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
}


def cure_of(error: BaseException) -> Cure:
    """What to do about an error of a database, a driver or a file."""
    if isinstance(error, UnreadableValue):
        return _DAMAGED
    for one in _with_causes(error):
        state: str = getattr(one, "sqlstate", None) or ""
        for prefix, cure in _BY_STATE:
            if state.startswith(prefix):
                # A pooler has one SQLSTATE for all that it refuses.
                return _by_message(str(one), otherwise=cure) if prefix == "08" else cure
        if isinstance(one, UnfitFile):
            return _UNFIT_FILE
        if isinstance(one, OSError) and one.errno in _BY_ERRNO:
            return _BY_ERRNO[one.errno]
    return _by_message(str(_with_causes(error)[0]), otherwise=_UNKNOWN)


def reason_of(error: BaseException) -> str:
    """The first line of what a driver says; hints and the statement follow in others."""
    cause = _with_causes(error)[0]
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__).rstrip(". ")
    # SQLite shows what it can't decode.
    return reason.partition(" with text ")[0]


def text_of(value: object, what: str) -> str:
    """A text from a column that holds nothing else; raises ``UnreadableValue``."""
    if not isinstance(value, str):
        raise UnreadableValue(f"{what} is no text")
    return value


def number_of(value: object, what: str) -> int:
    """A whole number from a column that holds nothing else; raises ``UnreadableValue``."""
    if not isinstance(value, int):
        raise UnreadableValue(f"{what} is no whole number")
    return value


def moment_of(value: datetime | None, what: str) -> datetime:
    """A moment from a column that is never empty; raises ``UnreadableValue``."""
    if value is None:
        raise UnreadableValue(f"{what} is missing")
    return value


def _by_message(message: str, *, otherwise: Cure) -> Cure:
    return next((cure for shape, cure in _BY_MESSAGE if shape.search(message)), otherwise)


def _with_causes(error: BaseException) -> list[BaseException]:
    def chain(one: Any) -> Iterator[BaseException]:
        while one is not None:
            yield one
            one = one.__cause__

    return list(chain(error.orig if isinstance(error, DBAPIError) else error))
