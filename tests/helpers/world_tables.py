"""Tables of people and firms as taps read them: whole, incrementally or from a log of changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.helpers.world_facts import ADDRESS, Entity, Sent, Values
from tests.helpers.world_model import Model

FULL, INCREMENTAL, LOG = "full", "incremental", "log"
#: Fields of each kind that change; people and firms keep their names.
CHANGING = {
    "contacts": ("title", "mobile_phone", "linkedin_url", "lead_score"),
    "accounts": ("phone_number", "raw_address", "tier"),
}
NAMES = {"contacts": ("first_name", "last_name"), "accounts": ("name",)}
#: Where ACTIVATE_VERSION stands among the rows of a whole table.
ORDERS = ("end", "end", "end", "twice at the end", "both ends", "begin", "middle", "none")
_MILLISECOND = timedelta(milliseconds=1)
#: Stands for the JSON key ``true``, which is another key than 1. In Python they are equal.
TRUE = -1
#: Stands for the key of a row that has none.
NO_KEY = -2
#: What taps send as the key of a row that has none.
NO_KEYS: tuple[object, ...] = (None, "", " ", "\u200b")


@dataclass(frozen=True)
class TableRow:
    entity: Entity
    values: Values
    changed_at: datetime


@dataclass
class Table:
    """A table of one source.

    Attributes:
        columns: The changing columns that it has now.
        types: Column -> its JSON type in the SCHEMA.
        away: Rows that were deleted and may come back: key -> row.
        keyless: Rows without a key, each with what stands in its place.
        log: (key, row or None) of every change, for a stream that is read from the log.
    """

    source: str
    stream: str
    kind: str
    method: str
    columns: list[str]
    types: dict[str, str] = field(default_factory=dict)
    rows: dict[int, TableRow] = field(default_factory=dict)
    away: dict[int, TableRow] = field(default_factory=dict)
    log: list[tuple[int, TableRow, bool]] = field(default_factory=list)
    next_key: int = 1
    keyless: list[tuple[object, TableRow]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.source}/{self.stream} ({self.method})"

    def put(self, key: int, row: TableRow) -> None:
        self.rows[key] = row
        self.away.pop(key, None)
        self.log.append((key, row, False))

    def delete(self, key: int) -> TableRow:
        row = self.rows.pop(key)
        self.away[key] = row
        self.log.append((key, row, True))
        return row

    def carried(self, row: TableRow) -> Values:
        """What the tap sends of a row: the columns of now."""
        names = (*NAMES[self.kind], ADDRESS[self.kind], *self.columns)
        values = {name: row.values.get(name) for name in names}
        for name, kind in self.types.items():
            if name in values and kind == "integer" and values[name] is not None:
                values[name] = int(str(values[name]))
        return values

    def schema(self) -> Values:
        names = (*NAMES[self.kind], ADDRESS[self.kind], *self.columns)
        types = {name: [self.types.get(name, "string"), "null"] for name in names}
        properties = {name: {"type": types[name]} for name in names}
        properties |= {
            "id": {"type": ["integer", "string", "boolean", "null"]},
            "updated_at": {"type": ["string", "null"]},
            "_sdc_deleted_at": {"type": ["string", "null"]},
        }
        message: Values = {
            "type": "SCHEMA",
            "stream": self.stream,
            "schema": {"properties": properties},
            "key_properties": ["id"],
        }
        if self.method == INCREMENTAL:
            message["bookmark_properties"] = ["updated_at"]
        return message

    def read_keyless(self) -> list[Sent]:
        """What a tap reads of the rows without a key."""
        return [
            Sent(0, self.stream, NO_KEY, row.entity.number, self.carried(row), row.changed_at,
                 instead_of_key=instead)
            for instead, row in self.keyless
        ]  # fmt: skip

    def read(self, bookmark: Any, *, marks_carry: bool) -> Iterator[tuple[Sent, Any]]:
        """What a tap with this bookmark reads, each record with the bookmark after it."""
        if self.method == LOG:
            entries = self.log[bookmark or 0 :]
            if bookmark is None:
                # A tap begins with a snapshot of the table.
                entries = [(key, row, False) for key, row in self.rows.items()]
            for number, (key, row, deleted) in enumerate(entries, 1):
                done = (bookmark or 0) + number if bookmark is not None else None
                if number == len(entries):
                    done = len(self.log)
                yield self._sent(key, row, deleted=deleted, marks_carry=marks_carry), done
            return
        rows = sorted(self.rows.items(), key=lambda one: (one[1].changed_at, one[0]))
        for key, row in rows:
            if self.method == INCREMENTAL:
                at = row.changed_at.isoformat()
                if bookmark is not None and at < bookmark:
                    continue
                yield self._sent(key, row), at
            else:
                yield self._sent(key, row), None

    def _sent(
        self, key: int, row: TableRow, *, deleted: bool = False, marks_carry: bool = True
    ) -> Sent:
        values = self.carried(row) if not deleted or marks_carry else {}
        if deleted:
            values = {name: v for name, v in values.items() if name == ADDRESS[self.kind]}
        return Sent(0, self.stream, key, row.entity.number, values, row.changed_at, deleted)


class Tables:
    """All tables of a world, and what happens to their rows.

    Args:
        model: Is told of every person, firm, address and value.
        tables: Empty tables.
    """

    def __init__(self, model: Model, tables: list[Table]) -> None:
        self._model = model
        self.all = tables
        self._numbers = 0
        self._last = datetime.now(timezone.utc)

    def of(self, source: str) -> list[Table]:
        return [table for table in self.all if table.source == source]

    def now(self) -> datetime:
        """The time, which is never the same twice."""
        now = datetime.now(timezone.utc)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last = max(now, self._last + _MILLISECOND)
        return self._last

    # --- people, firms and values

    def new_entity(self, kind: str, chance: random.Random) -> Entity:
        self._numbers += 1
        entity = Entity(self._numbers, kind, [])
        self._model.add(entity)
        self.new_address(entity, chance)
        for name in NAMES[kind]:
            entity.values[name].add(self.name_of(entity, name))
        return entity

    @staticmethod
    def name_of(entity: Entity, name: str) -> str:
        # Of letters alone, since words are compared, and no two names share one.
        letters = "".join(chr(ord("a") + int(digit)) for digit in f"{entity.number:03}")
        return f"{name[0].upper()}{letters}{name[0]}x"

    def new_address(self, entity: Entity, chance: random.Random) -> str:
        number = f"{entity.number}-{len(entity.addresses)}"
        host = chance.choice(["a.example.com", f"host{number}.example.com"])
        contact = f"p{number}@{host}"
        address = contact if entity.kind == "contacts" else f"firm{number}.example.com"
        self._model.add_address(entity, address)
        return address

    def new_value(self, entity: Entity, name: str) -> str:
        """A value of a field that nobody ever had."""
        tag = f"{entity.number:04}{len(entity.values[name]):03}"
        value = {
            "mobile_phone": f"+4915{tag}",
            "phone_number": f"+4930{tag}",
            "linkedin_url": f"http://www.linkedin.com/in/p{tag}",
            "lead_score": f"1{tag}",
        }.get(name, f"{name} {tag}")
        entity.values[name].add(value)
        return value

    def row(self, entity: Entity, chance: random.Random, *, empty: float = 0.25) -> TableRow:
        values: Values = {name: self.name_of(entity, name) for name in NAMES[entity.kind]}
        values[ADDRESS[entity.kind]] = entity.addresses[-1]
        for name in CHANGING[entity.kind]:
            is_empty = chance.random() < empty
            values[name] = None if is_empty else self.new_value(entity, name)
        return TableRow(entity, values, self.now())

    # --- what happens; each returns what it did, for the story

    def insert(self, chance: random.Random) -> str:
        table = chance.choice(self.all)
        entity = self.new_entity(table.kind, chance)
        table.put(table.next_key, self.row(entity, chance))
        table.next_key += 1
        return f"{table}: {entity.number} is inserted as {table.next_key - 1}"

    def share(self, chance: random.Random) -> str:
        """Somebody of one table gets a row in another one."""
        table = chance.choice(self.all)
        there = {row.entity.number for row in table.rows.values()}
        others = [
            row.entity
            for other in self.all
            if other is not table and other.kind == table.kind
            for row in other.rows.values()
            if row.entity.number not in there
        ]
        if not others:
            return self.insert(chance)
        entity = chance.choice(others)
        entity.shared = True
        table.put(table.next_key, self.row(entity, chance))
        table.next_key += 1
        return f"{table}: {entity.number} is inserted here too, as {table.next_key - 1}"

    def insert_true(self, chance: random.Random) -> str:
        """Somebody gets the key ``true``, where there may be a row with the key 1."""
        table = chance.choice(self.all)
        if TRUE in table.rows or TRUE in table.away:
            return self.insert(chance)
        entity = self.new_entity(table.kind, chance)
        table.put(TRUE, self.row(entity, chance))
        return f"{table}: {entity.number} is inserted as true"

    def insert_keyless(self, chance: random.Random) -> str:
        """Somebody gets a row without a key, or loses it again."""
        table = chance.choice(self.all)
        if table.keyless and chance.random() < 0.7:
            table.keyless.clear()
            return f"{table}: all rows have a key"
        entity = self.new_entity(table.kind, chance)
        table.keyless.append((chance.choice(NO_KEYS), self.row(entity, chance)))
        return f"{table}: {entity.number} has a row without a key"

    def change(self, chance: random.Random) -> str:
        table, key = self._a_row(chance)
        if table is None:
            return self.insert(chance)
        row = table.rows[key]
        names = chance.sample(CHANGING[table.kind], chance.randint(1, 2))
        values = {
            name: None if chance.random() < 0.15 else self.new_value(row.entity, name)
            for name in names
        }
        table.put(key, replace(row, values={**row.values, **values}, changed_at=self.now()))
        return f"{table}: {key} ({row.entity.number}) has {values}"

    def move(self, chance: random.Random) -> str:
        """A row gets another address."""
        table, key = self._a_row(chance)
        if table is None or table.rows[key].entity.shared:
            return self.change(chance)
        row = table.rows[key]
        address = self.new_address(row.entity, chance)
        values = {**row.values, ADDRESS[table.kind]: address}
        table.put(key, replace(row, values=values, changed_at=self.now()))
        return f"{table}: {key} ({row.entity.number}) has the address {address}"

    def delete(self, chance: random.Random) -> str:
        table, key = self._a_row(chance)
        if table is None or len(table.rows) < 2:
            return self.insert(chance)
        row = table.delete(key)
        return f"{table}: {key} ({row.entity.number}) is deleted"

    def come_back(self, chance: random.Random) -> str:
        away = [(table, key) for table in self.all for key in table.away]
        if not away:
            return self.change(chance)
        table, key = chance.choice(away)
        row = replace(table.away[key], changed_at=self.now())
        if chance.random() < 0.5:
            name = chance.choice(CHANGING[table.kind])
            row = replace(row, values={**row.values, name: self.new_value(row.entity, name)})
        table.put(key, row)
        return f"{table}: {key} ({row.entity.number}) is back"

    def reuse(self, chance: random.Random) -> str:
        """The key of a row is given to somebody else."""
        table, key = self._a_row(chance)
        if table is None or table.kind == "accounts":
            # A firm that changes both name and domain is one that was renamed.
            return self.insert(chance)
        former = table.rows[key].entity.number
        entity = self.new_entity(table.kind, chance)
        table.put(key, self.row(entity, chance))
        return f"{table}: {key} is no longer {former} but {entity.number}"

    def change_columns(self, chance: random.Random) -> str:
        table = chance.choice(self.all)
        missing = [name for name in CHANGING[table.kind] if name not in table.columns]
        doing = chance.choice(["type", "add", "drop"])
        if doing == "type" and table.kind == "contacts":
            kinds = {"string": "integer", "integer": "string"}
            table.types["lead_score"] = kinds[table.types.get("lead_score", "string")]
            return f"{table}: lead_score is of type {table.types['lead_score']}"
        if doing == "add" and missing:
            table.columns.append(chance.choice(missing))
            return f"{table}: has a column {table.columns[-1]}"
        if len(table.columns) > 1:
            gone = chance.choice(table.columns)
            table.columns.remove(gone)
            return f"{table}: has no column {gone}"
        return self.insert(chance)

    def _a_row(self, chance: random.Random) -> tuple[Table | None, int]:
        there = [(table, key) for table in self.all for key in table.rows]
        return chance.choice(there) if there else (None, 0)
