"""Where each record came from: the request that made it, and the one that changed it last.

The API notes a record while it writes it, so it costs two operations on a dict. What people do
through the control endpoints is noted in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass

#: Tables of the store whose rows are shown with their origin.
_NOTED = frozenset(
    ("contacts", "accounts", "labels", "deals", "sequences", "tasks"),
)
BY_HAND = "by hand"


@dataclass(frozen=True)
class Origin:
    """What made or changed a record.

    Attributes:
        number: Number of the request in the log; 0 for what people do.
        at: When, in epoch seconds.
        deed: Label of the endpoint, or of what people did.
        agent: The program, by its User-Agent; empty for people.
    """

    number: int
    at: float
    deed: str
    agent: str = ""


class Origins:
    """The origins of a store's records, by their ids. The store calls it under its lock.

    Attributes:
        acting: What writes at present; None for a test or a program in the sandbox's own process.
    """

    def __init__(self) -> None:
        self.acting: Origin | None = None
        self._made: dict[str, Origin] = {}
        self._changed: dict[str, Origin] = {}

    def note(self, table: str, record_id: str, *, is_gone: bool, is_known: bool) -> None:
        """Note that a row of the store is written.

        Args:
            table: The store's name of the kind of record.
            record_id: Id of the record.
            is_gone: Whether it is deleted.
            is_known: Whether it was there before, without an origin; so only its change is noted.
        """
        if table not in _NOTED:
            return
        if is_gone:
            self._made.pop(record_id, None)
            self._changed.pop(record_id, None)
            return
        acting = self.acting or Origin(0, time.time(), BY_HAND)
        if is_known or record_id in self._made:
            self._changed[record_id] = acting
        else:
            self._made[record_id] = acting

    def made(self, record_id: str) -> Origin | None:
        """What made a record; None if it is from a file that an earlier sandbox wrote."""
        return self._made.get(record_id)

    def changed(self, record_id: str) -> Origin | None:
        """What changed a record last; None if nothing has since it was made."""
        return self._changed.get(record_id)

    def touched(self, record_id: str, numbers: Container[int]) -> bool:
        """Whether one of the requests with these numbers made a record, or changed it last."""
        origins = (self._made.get(record_id), self._changed.get(record_id))
        return any(origin is not None and origin.number in numbers for origin in origins)
