"""Makes the table ``crm.leads``: good and bad leads of every kind, and the verdict on each.

The companies are invented. The expected verdict is noted when a lead is made, so that it does not
depend on the rules under test. Only `fill_leads` does I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from target_apollo.demo.crm_rows import Row

#: The user of the warehouse who has no Apollo user.
UNMAPPED_USER = 9

_COLUMNS = """
    id bigint primary key,
    record_type text,
    name text,
    domain text,
    is_customer boolean,
    icp_fit text,
    stage text,
    quarantine_status text,
    user_id bigint,
    phone_number text,
    updated_at timestamptz"""
_OLDEST = timedelta(days=30)

#: (rule, values): values with which a lead fails only this rule.
_FAULTS: tuple[tuple[str, Row], ...] = (
    ("company_only", {"record_type": "person"}),
    ("company_only", {"record_type": None}),
    ("not_customer", {"is_customer": True}),
    ("icp_fit", {"icp_fit": "weak"}),
    ("icp_fit", {"icp_fit": None}),
    ("stage", {"stage": "Cold"}),
    ("stage", {"stage": "Somewhere"}),
    ("stage", {"stage": None}),
    ("not_quarantined", {"quarantine_status": "quarantined"}),
    ("valid_company", {"name": "   "}),
    ("valid_company", {"domain": None}),
    ("valid_company", {"domain": "gmail.com"}),
    ("valid_company", {"domain": "co.uk"}),
    ("valid_company", {"domain": "no domain"}),
    ("owner_mapped", {"user_id": None}),
    ("owner_mapped", {"user_id": UNMAPPED_USER}),
)
#: Values with which a lead also passes.
_VARIANTS: tuple[Row, ...] = (
    {},
    {"record_type": "Company", "icp_fit": "moderate"},
    {"is_customer": None, "stage": "Interested"},
    {"user_id": 2, "name": "  Lead & Sons  "},
)


@dataclass(frozen=True)
class Leads:
    """The rows of the table and the verdict on each.

    Attributes:
        rows: In the order of their ``updated_at``.
        passing: Id of each lead that passes in the first run -> its domain in Apollo.
        held: Id of each lead that is held in the first run -> its domain in Apollo.
        failing: Id of each lead that is dropped -> the rules that it fails.
    """

    rows: tuple[Row, ...]
    passing: dict[int, str]
    held: dict[int, str]
    failing: dict[int, tuple[str, ...]]

    @property
    def failing_by_rule(self) -> dict[str, int]:
        """Rule -> number of leads that fail it in the first run, held ones included."""
        counts = Counter(rule for rules in self.failing.values() for rule in rules)
        counts["settled"] += len(self.held)
        return dict(counts)


def leads(now: datetime, *, good: int = 40, held: int = 3) -> Leads:
    """Make the leads: good ones, one for each fault, one with two faults, and some to be held.

    A held lead was updated one minute before ``now``, all others hours before.
    """
    rows: list[Row] = []
    made = Leads((), {}, {}, {})

    def add(changed: Row, at: datetime) -> tuple[int, str]:
        number = len(rows) + 1
        stem = f"lead{number:04}"
        row: Row = {
            "id": number,
            "record_type": "company",
            "name": "Lead Ltd",
            "domain": f"https://www.{stem}-leads.co.uk/about" if number % 3 else f"{stem}-leads.de",
            "is_customer": False,
            "icp_fit": "strong",
            "stage": "Qualified",
            "quarantine_status": "active",
            "user_id": 1,
            "phone_number": f"+44 20 7946 {number:04}",
            **changed,
            "updated_at": at,
        }
        # Apollo matches two companies with the same name.
        if isinstance(row["name"], str) and row["name"].strip():
            row["name"] = row["name"].replace("Lead", f"Lead {number}")
        rows.append(row)
        return number, f"{stem}-leads.co.uk" if number % 3 else f"{stem}-leads.de"

    rested = now - _OLDEST
    for count in range(good):
        number, domain = add(_VARIANTS[count % len(_VARIANTS)], rested + timedelta(hours=count))
        made.passing[number] = domain
    rested += timedelta(hours=good)
    for count, (rule, changed) in enumerate(_FAULTS):
        number, _ = add(changed, rested + timedelta(hours=count))
        made.failing[number] = (rule,)
    number, _ = add({"stage": "Cold", "is_customer": True}, rested + timedelta(hours=len(_FAULTS)))
    made.failing[number] = ("not_customer", "stage")
    for count in range(held):
        number, domain = add({}, now - timedelta(seconds=60 - count))
        made.held[number] = domain
    return Leads(tuple(rows), made.passing, made.held, made.failing)


def fill_leads(url: str, rows: Iterable[Row]) -> None:
    """Create ``crm.leads`` in the schema that `warehouse.fill` has created, and load the rows."""
    with psycopg.connect(url) as connection:
        table = sql.Identifier("crm", "leads")
        connection.execute(sql.SQL("create table {} ({})").format(table, sql.SQL(_COLUMNS)))
        for row in rows:
            connection.execute(
                sql.SQL("insert into {} ({}) values ({})").format(
                    table,
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join([sql.Placeholder()] * len(row)),
                ),
                list(row.values()),
            )
