"""A warehouse whose rows change, and a tap that reads it like tap-postgres.

The tap reads the rows from its bookmark on (``>=``), so those at the bookmark come twice. It starts
from the last STATE that the target printed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, Any]

OWNERS = ("ann@team.example", "bob@team.example", "cy@team.example")
STAGES = ("Approaching", "Replied")
LISTS = ((), ("Inbound",), ("Inbound", "Wave 1"))
_TEXT = {"type": ["string", "null"]}
_COMMON = {
    "id": {"type": "integer"},
    "updated_at": {"type": "integer"},
    "phone_number": _TEXT,
    "linkedin_url": _TEXT,
    "owner_email": _TEXT,
    "label_names": {"type": ["array", "null"], "items": {"type": "string"}},
    "apollo_id": _TEXT,
}
SCHEMAS: dict[str, Values] = {
    "accounts": {
        "properties": {**_COMMON, "domain": _TEXT, "name": _TEXT, "raw_address": _TEXT},
    },
    "contacts": {
        "properties": {
            **_COMMON,
            "email": _TEXT,
            "first_name": _TEXT,
            "last_name": _TEXT,
            "title": _TEXT,
            "organization_name": _TEXT,
            "mobile_phone": _TEXT,
            "account_domain": _TEXT,
            "contact_stage": _TEXT,
            "lead_score": {"type": ["number", "null"]},
        },
    },
}


@dataclass
class Table:
    """One stream: the current row of each key, and all versions of it."""

    stream: str
    rows: dict[int, Values] = field(default_factory=dict)
    history: dict[int, list[Values]] = field(default_factory=dict)

    def put(self, row: Values) -> None:
        self.rows[row["id"]] = row
        self.history.setdefault(row["id"], []).append(row)


class Warehouse:
    """Accounts and contacts with random values.

    Many rows share an ``updated_at``, as in a table that is loaded in batches. No two contacts have
    the same name and company, except those of ``add_namesake``.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.accounts = Table("accounts")
        self.contacts = Table("contacts")
        #: Key of a contact -> key of another that Apollo matches by name and company.
        self.namesakes: dict[int, int] = {}
        #: Keys of contacts whose e-mail address is malformed.
        self.malformed: set[int] = set()
        self._clock = 1_000
        self._next_id = 0

    @property
    def tables(self) -> tuple[Table, Table]:
        return self.accounts, self.contacts

    def tick(self) -> int:
        """A time later than that of all changes before."""
        self._clock += 1
        return self._clock

    def add_account(self, **values: Any) -> int:
        number = self._key()
        self.accounts.put(
            {
                "id": number,
                "updated_at": self._now(),
                "domain": f"firm{number:05}.example",
                "name": f"Firm{number:05} Ltd",
                "phone_number": self._maybe(0.5, f"+4930{number:07}"),
                "raw_address": self._maybe(0.3, f"Road {number}, Berlin, Germany"),
                "linkedin_url": self._maybe(0.3, f"http://www.linkedin.com/company/f{number}"),
                "owner_email": self._maybe(0.4, self.chance.choice(OWNERS)),
                "label_names": list(self.chance.choice(LISTS)),
                "apollo_id": None,
                **values,
            }
        )
        return number

    def add_contact(self, **values: Any) -> int:
        number = self._key()
        firms = list(self.accounts.rows.values())
        firm = self.chance.choice(firms) if firms and self.chance.random() < 0.25 else None
        self.contacts.put(
            {
                "id": number,
                "updated_at": self._now(),
                "email": f"p{number}@mail{number % 9}.example",
                "first_name": f"F{number}",
                "last_name": f"L{number}",
                "title": f"Title {number}",
                "organization_name": f"Org {number % 50}",
                "phone_number": self._maybe(0.3, f"+4940{number:07}"),
                "mobile_phone": self._maybe(0.2, f"+4915{number:08}"),
                "linkedin_url": self._maybe(0.3, f"http://www.linkedin.com/in/p{number}"),
                "owner_email": self._maybe(0.4, self.chance.choice(OWNERS)),
                "label_names": list(self.chance.choice(LISTS)),
                "account_domain": firm and firm["domain"],
                "lead_score": self._maybe(0.4, number % 100),
                "contact_stage": self.chance.choice(STAGES),
                "apollo_id": None,
                **values,
            }
        )
        return number

    def add_namesake(self, other: int) -> int:
        """Adds a contact with another e-mail address that Apollo matches with ``other``."""
        row = self.contacts.rows[other]
        number = self.add_contact(
            first_name=row["first_name"],
            last_name=row["last_name"],
            organization_name=row["organization_name"],
            # Apollo may give the matched record the owner of the request.
            owner_email=row["owner_email"],
        )
        self.namesakes[number] = other
        return number

    def add_malformed(self) -> int:
        number = self.add_contact(email="not an address")
        self.malformed.add(number)
        return number

    def add_twin(self, other: int) -> int:
        """Adds a contact with the e-mail address of ``other``."""
        return self.add_contact(email=self.contacts.rows[other]["email"], updated_at=self.tick())

    def change(self, table: Table, key: int, **values: Any) -> None:
        """Changes a row, by random values if none are given, with the time of the change."""
        row = table.rows[key]
        version = len(table.history[key])
        changed = {**row, "updated_at": self._now(), **values}
        if not values:
            if table is self.contacts:
                changed["title"] = f"Title {key} v{version}"
                if self.chance.random() < 0.3:
                    changed["mobile_phone"] = f"+4916{version:02}{key:06}"
                if self.chance.random() < 0.2:
                    changed["owner_email"] = self.chance.choice(OWNERS)
                if self.chance.random() < 0.2:
                    changed["contact_stage"] = self.chance.choice(STAGES)
                if self.chance.random() < 0.2:
                    changed["linkedin_url"] = f"http://www.linkedin.com/in/p{key}-{version}"
                if self.chance.random() < 0.2:
                    changed["label_names"] = ["Inbound", f"Wave {version}"]
            else:
                label = str(row["domain"]).split(".", 1)[0]
                changed["name"] = f"{label} v{version}"
                if self.chance.random() < 0.3:
                    changed["phone_number"] = f"+4931{version:02}{key:06}"
        table.put(changed)

    def move_email(self, key: int) -> None:
        """Gives a contact another e-mail address."""
        version = len(self.contacts.history[key])
        self.change(self.contacts, key, email=f"p{key}-{version}@moved{key % 5}.example")

    def move_domain(self, key: int) -> None:
        """Gives an account another domain, and its contacts another account_domain."""
        old = self.accounts.rows[key]["domain"]
        label = f"firm{key:05}m{len(self.accounts.history[key])}"
        self.change(self.accounts, key, domain=f"{label}.example", name=f"{label} Ltd")
        for contact in [r["id"] for r in self.contacts.rows.values() if r["account_domain"] == old]:
            self.change(
                self.contacts,
                contact,
                account_domain=f"{label}.example",
                updated_at=self.tick(),
            )

    def messages(self, state: Values | None, *, state_every: int) -> Iterator[bytes]:
        """The messages of a tap that starts from this STATE: accounts, then contacts."""
        bookmarks = dict((state or {}).get("bookmarks", {}))
        for table in self.tables:
            yield _line(
                {
                    "type": "SCHEMA",
                    "stream": table.stream,
                    "schema": SCHEMAS[table.stream],
                    "key_properties": ["id"],
                    "bookmark_properties": ["updated_at"],
                }
            )
            since = bookmarks.get(table.stream, {}).get("replication_key_value", 0)
            rows = sorted(
                (row for row in table.rows.values() if row["updated_at"] >= since),
                key=lambda row: (row["updated_at"], row["id"]),
            )
            for number, row in enumerate(rows, start=1):
                yield _line({"type": "RECORD", "stream": table.stream, "record": row})
                if number % state_every == 0 or number == len(rows):
                    bookmarks[table.stream] = {
                        "replication_key": "updated_at",
                        "replication_key_value": row["updated_at"],
                    }
                    yield _line({"type": "STATE", "value": {"bookmarks": dict(bookmarks)}})

    def _key(self) -> int:
        self._next_id += 1
        return self._next_id

    def _now(self) -> int:
        self._clock += self.chance.random() < 0.3
        return self._clock

    def _maybe(self, share: float, value: object) -> Any:
        return value if self.chance.random() < share else None


def _line(message: Values) -> bytes:
    return json.dumps(message).encode() + b"\n"
