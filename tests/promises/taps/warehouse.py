"""Tables such as people have them: keys, types and names of all kinds, and what must be in Apollo.

What a row must become is written here beside the row, not computed by the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from target_apollo.sandbox import Sandbox

PEOPLE = 300
STREAMS = ("crm-contacts", "crm-branch_contacts", "crm-loose_contacts", "crm-user")
#: What the target must be told of these tables.
SETTINGS: dict[str, Any] = {
    "streams": {
        "crm-branch_contacts": {"object": "contacts"},
        "crm-loose_contacts": {"object": "contacts", "key": ["email"]},
        "crm-user": {"object": "contacts"},
    },
    "custom_fields": {"order": "Order of arrival"},
    "unknown_fields": "ignore",
}

_TABLES = """
create schema crm;
create type crm.tier as enum ('gold', 'silver');
create table crm.contacts (
    id uuid primary key,
    number bigserial,
    email text,
    first_name varchar(40),
    last_name text,
    title text,
    phone_number text,
    label_names text[],
    "order" integer,
    score numeric(10, 2),
    revenue numeric,
    rate double precision,
    active boolean,
    tier crm.tier,
    born date,
    seen_at timestamptz,
    profile jsonb,
    photo bytea,
    marks integer[],
    full_name text generated always as (first_name || ' ' || last_name) stored,
    updated_at timestamptz not null
);
create table crm.branch_contacts (
    region text, number integer, email text, first_name text, updated_at timestamptz not null,
    primary key (region, number)
);
create table crm.loose_contacts (email text, first_name text);
create table crm."user" (
    "UserId" integer primary key, email text, "first_name" text, "Order of arrival" integer
);
"""
_TYPES = {
    "Order of arrival": "number",
    "Score": "number",
    "Revenue": "number",
    "Rate": "number",
    "Active": "boolean",
    "Tier": "string",
    "Born": "date",
    "Seen at": "datetime",
    "Full name": "string",
}


@dataclass(frozen=True)
class Person:
    """A row of ``crm.contacts`` and what Apollo must hold of it."""

    row: dict[str, Any]
    fields: dict[str, Any]
    custom: dict[str, str]


def person(number: int) -> Person:
    """The person of this number; every kind of value is absent for some."""
    has: Callable[[int], bool] = lambda every: number % every != 0  # noqa: E731
    first, last = f"Zoë {number}", ("O'Hara", "de la Cruz", "Ågren", "李")[number % 4]
    cents = number * 7 + 5
    day = date(1960 + number % 40, 1 + number % 12, 1 + number % 28)
    seen = datetime(2026, 1 + number % 9, 2, 3, 4, number % 60, tzinfo=timezone.utc)
    row = {
        "id": UUID(int=(0xABCDEF << 100) + number),
        "email": f"P{number}@Example{number % 9}.com" if has(3) else f"p{number}@example.org",
        "first_name": first,
        "last_name": last,
        "title": 'Head of "R&D", EMEA' if has(5) else None,
        "phone_number": f"+1 555 {1000 + number}" if has(7) else None,
        "label_names": ["Warehouse", f"Group {number % 3}"] if has(4) else None,
        "order": number if has(6) else None,
        "score": Decimal(cents) / 100 if has(8) else None,
        "revenue": Decimal(10) ** 15 + Decimal(number) / 8 if has(9) else None,
        "rate": number / 4 if has(10) else None,
        "active": number % 2 == 0 if has(11) else None,
        "tier": "gold" if has(2) else "silver",
        "born": day if has(12) else None,
        "seen_at": seen if has(13) else None,
        "profile": Jsonb({"tags": ["a", None], "n": 1.5}) if has(14) else None,
        "photo": bytes(range(number % 200)) if has(15) else None,
        "marks": [1, number] if has(16) else None,
        "updated_at": datetime(2026, 3, 1, number // 60, number % 60, tzinfo=timezone.utc),
    }
    custom = {
        "Order of arrival": str(number) if has(6) else None,
        "Score": _plain(cents, 100) if has(8) else None,
        "Revenue": _plain(8 * 10**15 + number, 8) if has(9) else None,
        "Rate": _plain(number, 4) if has(10) else None,
        "Active": ("true" if number % 2 == 0 else "false") if has(11) else None,
        "Tier": "gold" if has(2) else "silver",
        "Born": day.isoformat() if has(12) else None,
        "Seen at": seen.isoformat() if has(13) else None,
        "Full name": f"{first} {last}",
    }
    fields = {
        "first_name": first,
        "last_name": last,
        "title": row["title"],
        "phone_number": row["phone_number"],
        "lists": frozenset(row["label_names"] or ()),
    }
    return Person(row, fields, {name: value for name, value in custom.items() if value})


def _plain(dividend: int, divisor: int) -> str:
    """A quotient in plain digits, without zeros at its end."""
    whole, rest = divmod(dividend, divisor)
    digits = f"{rest / divisor:.6f}"[2:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


class Warehouse:
    """A database with the tables and their rows."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.do("drop schema if exists crm cascade")
        self.do(_TABLES)
        people = [person(number).row for number in range(PEOPLE)]
        columns = sql.SQL(", ").join(map(sql.Identifier, people[0]))
        values = sql.SQL(", ").join(map(sql.Placeholder, people[0]))
        insert = sql.SQL("insert into crm.contacts ({}) values ({})").format(columns, values)
        with psycopg.connect(url) as connection:
            connection.cursor().executemany(insert, people)
        self.do(
            "insert into crm.branch_contacts select 'R' || n % 4, n, 'b' || n || '@branch.example',"
            " 'Bo ' || n, timestamptz '2026-03-01' + n * interval '1 minute'"
            " from generate_series(1, 20) n;"
            "insert into crm.loose_contacts select 'l' || n || '@loose.example', 'Lo ' || n"
            " from generate_series(1, 20) n;"
            "insert into crm.\"user\" select n, 'u' || n || '@user.example', 'Uma ' || n, n"
            " from generate_series(1, 20) n"
        )

    def do(self, statements: str) -> None:
        """Runs SQL statements."""
        with psycopg.connect(self._url) as connection:
            connection.execute(statements.encode())


def prepare(apollo: Sandbox) -> None:
    """Gives the team the custom fields of the tables' columns."""
    for label, kind in _TYPES.items():
        apollo.store.add_custom_field("contact", label, kind)


def held(apollo: Sandbox) -> dict[str, dict[str, Any]]:
    """E-mail address -> what Apollo holds; raises AssertionError for an address held twice."""
    labels = {one["id"]: one["name"] for one in apollo.store.labels()}
    custom = {one["id"]: one for one in apollo.store.custom_fields()}
    found: dict[str, dict[str, Any]] = {}
    for contact in apollo.store.contacts():
        assert contact["email"] not in found, contact["email"]
        numbers = [one["raw_number"] for one in contact["phone_numbers"] or ()]
        found[contact["email"]] = {
            **{name: contact[name] for name in ("first_name", "last_name", "title")},
            "lists": frozenset(labels[one] for one in contact["label_ids"]),
            "phone_number": numbers[0] if numbers else None,
            "custom": {
                custom[one]["name"]: _read(custom[one]["type"], value)
                for one, value in (contact["typed_custom_fields"] or {}).items()
            },
        }
    return found


def due(numbers: range = range(PEOPLE)) -> dict[str, dict[str, Any]]:
    """E-mail address -> what Apollo must hold of the people of these numbers."""
    found = {}
    for one in map(person, numbers):
        custom = {name: _read(_TYPES[name], value) for name, value in one.custom.items()}
        found[one.row["email"].lower()] = {**one.fields, "custom": custom}
    return found


def _read(kind: str, value: str) -> object:
    """A custom field's text; moments are the same in whatever zone they are written."""
    return datetime.fromisoformat(value) if kind == "datetime" else value
