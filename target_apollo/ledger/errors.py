"""The ledger's exceptions.

::

    LedgerError              the ledger can't be opened, read or written
    ├── LedgerUnusable       nor will it be until a person does something: ledger_url is wrong, …
    ├── AnotherRunActive     a second run on the same connection and stream
    └── LockLost             another run has taken over this run's lock

Each message is a sentence that names the setting ``ledger_url``. None holds a password, an e-mail
address from a record's key, or SQL.
"""

from __future__ import annotations

from datetime import datetime


class LedgerError(Exception):
    """The ledger can't be used; the message says why and what to do."""


class LedgerUnusable(LedgerError):
    """Every run fails until a person has done what the message says."""


class AnotherRunActive(LedgerError):
    """Another run holds the lock of this connection and stream; this one must not start.

    If that run was killed, its lock ends at `retry_at` (aware, UTC); one that goes on writing keeps
    it for longer.
    """

    def __init__(self, sentence: str, *, retry_at: datetime) -> None:
        super().__init__(sentence)
        self.retry_at = retry_at


class LockLost(LedgerError):
    """This run no longer holds its lock, so it must not write any more."""
