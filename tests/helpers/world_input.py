"""What the taps of a world send: messages with bookmarks, versions and STATEs, from run to run."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.helpers.world_facts import Sent, Values
from tests.helpers.world_tables import FULL, ORDERS, TRUE, Table, Tables


class Taps:
    """The taps of all sources.

    Args:
        marks_carry: Whether the mark of a deleted row has its address.
        are_times: Whether versions are times; else they are counted.

    Attributes:
        bookmarks: Source -> the bookmarks of its last STATE that the target has printed.
    """

    def __init__(self, tables: Tables, *, marks_carry: bool, are_times: bool) -> None:
        self._tables = tables
        self._marks_carry, self._are_times = marks_carry, are_times
        self._version = 1
        self.bookmarks: dict[str, dict[str, Any]] = {}

    def messages(
        self, chance: random.Random, source: str
    ) -> tuple[Values, list[Values], list[Values]]:
        """The facts of a run of a source, its messages and the STATEs in them."""
        every = chance.choice([1, 2, 5, 100])
        bookmarks = dict(self.bookmarks.get(source, {}))
        messages: list[Values] = []
        states: list[Values] = []
        sent: list[Sent] = []
        whole = set()
        for table in self._tables.of(source):
            messages.append(table.schema())
            order = chance.choice(ORDERS) if table.method == FULL else "none"
            version = self._activated(table)
            if order in ("begin", "both ends"):
                messages.append(version)
            read = list(table.read(bookmarks.get(table.stream), marks_carry=self._marks_carry))
            keyless = table.read_keyless()
            place = chance.randint(0, len(read))
            read[place:place] = [(one, None) for one in keyless]
            for number, (one, bookmark) in enumerate(read, 1):
                sent.append(_numbered(one, len(sent) + 1))
                messages.append(message_of(sent[-1]))
                if bookmark is not None:
                    bookmarks[table.stream] = bookmark
                if order == "middle" and number == len(read) // 2:
                    messages.append(version)
                if number % every == 0:
                    states.append({"at": len(sent), "bookmarks": dict(bookmarks)})
                    messages.append({"type": "STATE", "value": states[-1]})
            if order in ("end", "twice at the end", "both ends"):
                messages += [version] * (2 if order == "twice at the end" else 1)
            if version in messages and not keyless:
                whole.add(table.stream)
        states.append({"at": len(sent), "bookmarks": dict(bookmarks)})
        messages.append({"type": "STATE", "value": states[-1]})
        facts: Values = {
            "sent": sent,
            "whole": frozenset(whole),
            "full_resync": chance.random() < 0.08,
        }
        return facts, messages, states

    def _activated(self, table: Table) -> Values:
        self._version += 1
        now = int(time.time() * 1000)
        version = now if self._are_times else self._version
        return {"type": "ACTIVATE_VERSION", "stream": table.stream, "version": version}


def _numbered(one: Sent, number: int) -> Sent:
    values = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return Sent(**{**values, "number": number})


def message_of(one: Sent) -> Values:
    """The RECORD of a row."""
    key = one.instead_of_key if one.is_keyless else True if one.key == TRUE else one.key
    record = {"id": key, **one.values, "updated_at": one.changed_at.isoformat()}
    if one.deleted:
        record["_sdc_deleted_at"] = one.changed_at.isoformat()
    return {"type": "RECORD", "stream": one.stream, "record": record}
