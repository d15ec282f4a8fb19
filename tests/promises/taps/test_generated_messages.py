"""Generated messages of several streams in all orders, against a plain model of the tap's tables.

The tap sends whole tables or what has changed since the STATE that it was given back. It mixes its
streams, repeats and widens its SCHEMAs, and tells of whole tables before their rows, after them or
not at all. Runs are stopped by limits and refusals. The model knows nothing of batches: it holds
the target to three sentences, that every record has an outcome, that no STATE passes a record
without one, and that no record moves whose row is there.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, Run, TargetRun, schema, state

RUNS = 6
GONE = "Gone"
#: Stream of the tap -> the stream that its maps make of it. Two of them feed one.
SINKS = {
    "people": "contacts",
    "clients": "contacts",
    "leads-contacts": "leads-contacts",
    "crm-accounts": "crm-accounts",
}
MAPS = {
    "people": {"__alias__": "contacts"},
    "clients": {"__alias__": "contacts"},
    "leads-contacts": {"__filter__": "first_name != 'Cold'"},
}
SETTINGS: dict[str, Any] = {"stream_maps": MAPS, "max_updates": 10_000, "batch_size": 3}
WORDS = ("Ann", "Bo", "Cold", "Dee")
#: Each stream has its own keys, and each key its own address.
FIRST_KEY = {stream: 100 * place for place, stream in enumerate(SINKS)}
KEYS = 30
OUTCOMES = ("created", "updated", "unchanged", "existing", "skipped", "rejected", "without_outcome")

Row = tuple[str, int]
#: Row -> the word in Apollo, and whether the record was moved.
Held = dict[Row, tuple[str, bool]]


def is_malformed(key: int) -> bool:
    """Whether the row has no address that can be used."""
    return key % 11 == 3


def record(stream: str, key: int, word: str) -> Message:
    values: Message = {"id": key}
    if stream.endswith("accounts"):
        values |= {"domain": "" if is_malformed(key) else f"firm{key}.com"}
        values["name"] = f"{word} {key}"
    else:
        values |= {"email": "nobody" if is_malformed(key) else f"p{key}@a.com", "first_name": word}
    return {"type": "RECORD", "stream": stream, "record": values}


@dataclass
class Tap:
    """Tables, what the tap has yet to tell of them, and the messages of its runs."""

    luck: random.Random
    rows: dict[Row, str] = field(default_factory=dict)
    #: Rows that no STATE that came back has passed.
    untold: set[Row] = field(default_factory=set)
    #: Keys of rows that were ever in the rejects file.
    rejected: set[int] = field(default_factory=set)
    #: Rows that were deleted since they were last in Apollo.
    deleted: set[Row] = field(default_factory=set)
    #: The number of a STATE -> the rows that were sent before it, as they were then.
    told_by: dict[int, dict[Row, str]] = field(default_factory=dict)
    states: int = 0

    def change(self) -> None:
        for stream, first in FIRST_KEY.items():
            for key in range(first, first + KEYS):
                row = (stream, key)
                chance = self.luck.random()
                if row in self.rows and chance < 0.1:
                    del self.rows[row]
                    self.untold.discard(row)
                    self.deleted.add(row)
                elif chance < 0.5:
                    self.rows[row] = self.luck.choice(WORDS)
                    self.untold.add(row)
                    self.deleted.discard(row)

    def messages(self, *, whole: bool) -> list[Message]:
        """What one run sends.

        Args:
            whole: Whether every table is told whole; otherwise each in a way of its own.
        """
        ways = ["after", "before", "changes", "not told"]
        parts = [
            self._stream(stream, "after" if whole else self.luck.choice(ways)) for stream in SINKS
        ]
        mixed: list[Message] = []
        sent: dict[Row, str] = {}
        while any(parts):
            part = self.luck.choice([one for one in parts if one])
            for _ in range(self.luck.choice((1, 2, 10, 40))):
                if part:
                    mixed.append(part.pop(0))
                    self._note(mixed[-1], sent)
            if self.luck.random() < 0.3 or not any(parts):
                self.states += 1
                self.told_by[self.states] = dict(sent)
                mixed.append(state({"seen": self.states}))
        return mixed

    def _stream(self, stream: str, way: str) -> list[Message]:
        own = sorted(row for row in self.rows if row[0] == stream)
        if way == "changes":
            own = [row for row in own if row in self.untold]
        self.luck.shuffle(own)
        bookmarks = {"bookmark_properties": ["updated_at"]} if way == "changes" else {}
        columns = {**schema("crm-accounts" if stream.endswith("accounts") else "contacts")}
        columns |= {"stream": stream, **bookmarks}
        told = {"type": "ACTIVATE_VERSION", "stream": stream, "version": 1}
        found = [columns, *([told] if way == "before" else [])]
        for place, row in enumerate(own):
            if self.luck.random() < 0.1:
                found.append(columns if place % 2 else _wider(columns))
            if self.luck.random() < 0.1:
                # An older version of the row, of which nothing may be left.
                found.append(record(*row, self.luck.choice(WORDS[:2])))
            found.append(record(*row, self.rows[row]))
        return found + ([told] if way == "after" else [])

    def _note(self, message: Message, sent: dict[Row, str]) -> None:
        if message["type"] == "RECORD":
            values = message["record"]
            word = str(values.get("first_name") or values["name"]).split()[0]
            sent[message["stream"], values["id"]] = word

    def learn(self, passed: list[Any]) -> None:
        """Takes back the STATE of a run: what is before it need not be sent as a change again."""
        for value in passed:
            for row, word in self.told_by[value["seen"]].items():
                if self.rows.get(row) == word:
                    self.untold.discard(row)


def _wider(columns: Message) -> Message:
    """The SCHEMA with one more column."""
    properties = {**columns["schema"]["properties"], "note": {"type": ["string", "null"]}}
    return {**columns, "schema": {"properties": properties}}


def held(world: World) -> Held:
    """What Apollo holds; each row is there once."""
    store = world.apollo.store
    gone = {one["id"] for one in store.labels() if one["name"] == GONE}
    streams = dict(enumerate(SINKS))
    found: Held = {}
    for one in (*store.contacts(), *store.accounts()):
        (key,) = map(int, re.findall(r"\d+", str(one.get("email") or one["domain"])))
        assert (streams[key // 100], key) not in found
        word = str(one.get("first_name") or one["name"]).split()[0]
        found[streams[key // 100], key] = (word, bool(gone & {*one["label_ids"]}))
    return found


def is_filtered(row: Row, word: str) -> bool:
    """Whether a map leaves the row out."""
    return row[0] == "leads-contacts" and word == "Cold"


def check(
    tap: Tap, done: TargetRun, sent: list[Message], found: Held, was_moved: set[Row]
) -> set[Row]:
    """Holds one run to the sentences of this page; gives the rows whose records are moved now."""
    records = [one for one in sent if one["type"] == "RECORD"]
    counts = done.summary["records"]
    assert min(counts.values()) >= 0
    assert sum(counts[name] for name in OUTCOMES) == counts["received"]
    last = done.last_state["seen"] if done.states else 0
    if done.exit_code == 0:
        assert counts["received"] == len(records)
        assert counts["without_outcome"] == 0
        assert last == tap.states
    tap.rejected |= {one["record"]["id"] for one in done.rejects}
    for row, word in tap.told_by.get(last, {}).items():
        if is_filtered(row, word):
            continue
        if is_malformed(row[1]):
            assert row[1] in tap.rejected, (row, done.log)
        else:
            assert row in found, (row, done.log)
            if done.exit_code == 0 and tap.rows[row] == word:
                assert found[row][0] == word, (row, done.log)
    is_moved = {row for row, (_, moved) in found.items() if moved}
    assert not (is_moved - was_moved) & tap.rows.keys(), done.log
    for one in records:
        row = (one["stream"], one["record"]["id"])
        if done.exit_code == 0 and not is_filtered(row, tap.rows[row]):
            assert row not in is_moved, (row, done.log)
    return is_moved


@pytest.mark.parametrize("seed", one_fast(7, 2, 5, 10, 11, 12))
def test_every_record_has_an_outcome_and_state_and_moves_follow_the_tables(
    free: Sandbox, sync: Run, seed: int
) -> None:
    method = "individual" if seed % 2 else "bulk"
    world = World(free, sync, {"sandbox": free, "update_method": method})
    luck = random.Random(seed)
    tap = Tap(luck)
    moved: set[Row] = set()
    for number in range(RUNS):
        is_last = number == RUNS - 1
        tap.change()
        sent = tap.messages(whole=is_last)
        limits: dict[str, Any] = {}
        if not is_last and luck.random() < 0.3:
            limits["max_creates"] = luck.randrange(20)
        if not is_last and luck.random() < 0.3:
            refused = Fault(
                luck.choice(("POST /contacts/bulk_create", "POST /accounts/bulk_create")),
                FaultKind.ERROR_BEFORE_WRITE,
                status=401,
                times=None,
                after=luck.randrange(8),
            )
            world.apollo.inject(refused)
        done = world.run(sent, on_delete=f"list:{GONE}", **SETTINGS, **limits)
        world.apollo.clear_faults()
        found = held(world)
        moved = check(tap, done, sent, found, moved)
        tap.learn(done.states)
    assert done.exit_code == 0, done.log
    for row, word in tap.rows.items():
        if not (is_malformed(row[1]) or is_filtered(row, word)):
            assert found[row] == (word, False), row
    # All tables were told whole, so that of each deleted row the record has moved.
    for row in tap.deleted & found.keys():
        assert found[row][1], row
