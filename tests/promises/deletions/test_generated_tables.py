"""Generated runs of taps that tell of whole tables in all orders, against a plain model.

People are in up to three tables, of which two feed one stream. In each run rows are deleted and
some come back, and each tap says in its own way, or not at all, that its table is whole. The model
knows nothing of links: a person is moved when all rows that she ever had are known to be gone.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.helpers.tiers import mostly_chaos
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, state
from tests.promises.deletions.tables import TO_LIST, TO_STAGE, activate, columns, moved, row

#: Source stream -> the stream that it feeds.
SINKS = {"t1": "contacts", "t2": "contacts", "b-contacts": "b-contacts"}
MAPS = {"t1": {"__alias__": "contacts"}, "t2": {"__alias__": "contacts"}}
PEOPLE = range(6)
RUNS = 7
WAYS = (
    ("after", 5),
    ("before", 5),
    ("before and after", 3),
    ("between", 3),
    ("one each", 2),
    ("resumed", 2),
    ("bookmarks", 2),
    ("not at all", 2),
)


@dataclass
class Tables:
    """What is in the tables, and what the runs so far can know of it."""

    luck: random.Random
    rows: dict[str, set[int]] = field(default_factory=dict)
    #: (stream, person) -> whether the row is known to be gone.
    gone: dict[tuple[str, int], bool] = field(default_factory=dict)

    def change(self) -> None:
        """Deletes some rows and brings others back."""
        for table in SINKS:
            kept = {one for one in self.rows.get(table, ()) if self.luck.random() < 0.7}
            new = {one for one in PEOPLE if self.luck.random() < 0.3}
            self.rows[table] = kept | new

    def messages(self) -> list[Message]:
        """What the taps of one run send, table after table or all of them at once."""
        parts = [self._table(table) for table in SINKS if self.luck.random() < 0.85]
        self.luck.shuffle(parts)
        if self.luck.random() < 0.5:
            return [one for part in parts for one in part] + self._end()
        found: list[Message] = []
        while any(parts):
            part = self.luck.choice([part for part in parts if part])
            found.append(part.pop(0))
        return found + self._end()

    def _end(self) -> list[Message]:
        return [state({"at": 1})] if self.luck.random() < 0.8 else []

    def _table(self, table: str) -> list[Message]:
        ways, weights = zip(*WAYS, strict=True)
        (way,) = self.luck.choices(ways, weights)
        now = int(time.time())
        version = self.luck.choice([1, now, now * 1000])
        if way == "resumed":
            version = (now - 600) * 1000
        rows = [row(one, table) for one in sorted(self.rows[table])]
        told = activate(table, version)
        found = [columns(table, bookmark_properties=["at"] if way == "bookmarks" else [])]
        middle = len(rows) // 2
        if way in ("before", "before and after"):
            found.append(told)
        if way == "between":
            found += [*rows[:middle], told, *rows[middle:]]
        elif way == "one each":
            found += [message for one in rows for message in (told, one)]
        else:
            found += rows
        if way in ("after", "before and after", "resumed", "bookmarks"):
            found.append(told)
        return found + ([state({"at": 2})] if self.luck.random() < 0.6 else [])

    def learn(self, messages: list[Message]) -> None:
        """Notes what a run that reads these messages can know."""
        came = {
            (SINKS[one["stream"]], one["record"]["id"])
            for one in messages
            if one["type"] == "RECORD"
        }
        for stream in set(SINKS.values()):
            sources = [table for table, sink in SINKS.items() if sink == stream]
            any_came = any(sink == stream for sink, _ in came)
            if any_came and all(is_whole(table, messages) for table in sources):
                for sink, person in self.gone:
                    if sink == stream and (sink, person) not in came:
                        self.gone[sink, person] = True
        self.gone |= dict.fromkeys(came, False)

    @property
    def moved(self) -> list[int]:
        """The people of whom no row is left, as far as it is known."""
        found = []
        for person in PEOPLE:
            rows = [is_gone for (_, one), is_gone in self.gone.items() if one == person]
            if rows and all(rows):
                found.append(person)
        return found


def is_whole(table: str, messages: list[Message]) -> bool:
    """Whether a run that reads these messages has seen the whole table."""
    own = [one for one in messages if one.get("stream") == table]
    versions = [one["version"] for one in own if one["type"] == "ACTIVATE_VERSION"]
    old = time.time() - 300
    is_old = any(1e12 < v < old * 1000 for v in versions)
    has_bookmarks = any(one.get("bookmark_properties") for one in own)
    rows = [place for place, one in enumerate(messages) if one in own and one["type"] == "RECORD"]
    ends = [
        place
        for place, one in enumerate(messages)
        if one["type"] == "STATE" or (one["type"] == "ACTIVATE_VERSION" and one in own)
    ]
    is_cut = bool(rows) and max(ends, default=-1) < max(rows)
    return bool(versions) and not (is_old or has_bookmarks or is_cut)


@pytest.mark.parametrize("seed", [*one_fast(*range(3, 8)), *mostly_chaos(range(8, 16), 0)])
def test_who_is_moved_is_who_has_no_row_left_whatever_the_order(world: World, seed: int) -> None:
    tables = Tables(random.Random(seed))
    settings: dict[str, Any] = {
        **(TO_STAGE if seed % 2 else TO_LIST),
        "stream_maps": MAPS,
        "max_updates": 100,
    }
    for number in range(RUNS):
        tables.change()
        messages = tables.messages()
        done = world.run(messages, **settings)
        assert done.exit_code == 0, done.log
        tables.learn(messages)
        assert moved(world) == tables.moved, (number, messages, done.log)
