"""Rows a second through the ledger: keys, hashes, look-ups, intents and outcomes.

    python benchmarks/ledger.py [--rows 100000] [--flush 400]

Measures SQLite in a temporary folder, and PostgreSQL when DATABASE_URL is set, in a schema of its
own that is dropped at the end. Each figure is the best of three passes, since other work on the
machine only ever makes it slower; look-ups and upserts go in flushes of 400 rows.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import psycopg
from bars import Bar

from target_apollo.ledger import (
    Intent,
    Ledger,
    LinkOutcome,
    LinkStatus,
    Place,
    payload_hash,
    source_key,
)

TEAM = "5f5e100c0d4ae7000181a2b3"


def best_rate(rows: int, work: Callable[[], None]) -> float:
    fastest = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - began)
    return rows / fastest


def payload(number: int) -> dict[str, object]:
    return {
        "email": f"person{number}@example.com",
        "first_name": "Zoë",
        "last_name": f"Person {number}",
        "title": "Head of Data",
        "organization_name": "Example GmbH",
        "website_url": "https://example.com",
        "phone_number": "+49 30 1234567",
        "contact_stage_id": "6095a710bd01d100a506d4ae",
        "label_names": ["Customers", "Berlin"],
        "typed_custom_fields": {"6095a710bd01d100a506d4af": Decimal("12.50")},
        "score": 0.75,
        "employees": number,
    }


def measure_pure(rows: int) -> None:
    payloads = [payload(number) for number in range(rows)]

    def integer_keys() -> None:
        for number in range(rows):
            source_key([number])

    def email_keys() -> None:
        for number in range(rows):
            source_key([f"person{number}@example.com"])

    def hashes() -> None:
        for one in payloads:
            payload_hash(one)

    print(f"  source_key, integer      {best_rate(rows, integer_keys):>10,.0f}/s")
    print(f"  source_key, e-mail       {best_rate(rows, email_keys):>10,.0f}/s")
    print(f"  payload_hash, 12 fields  {best_rate(rows, hashes):>10,.0f}/s")


def measure(url: str, rows: int, flush: int) -> None:
    keys = [source_key([number]) for number in range(rows)]
    flushes = [keys[start : start + flush] for start in range(0, rows, flush)]
    ids = {key: f"{number:024x}" for number, key in enumerate(keys)}
    with Ledger.open(url) as ledger:
        ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", datetime.now(timezone.utc))
        ledger.lock(TEAM, "contacts", "run-1")

        def intents() -> None:
            for some in flushes:
                ledger.record_intents(
                    Place(TEAM, "contact", "contacts"), "run-1", [Intent(key) for key in some]
                )

        def outcomes() -> None:
            for some in flushes:
                ledger.record_outcomes(
                    Place(TEAM, "contact", "contacts"),
                    "run-1",
                    [
                        LinkOutcome(key, LinkStatus.CREATED, ids[key], "0123456789abcdef" * 2)
                        for key in some
                    ],
                )

        def look_up() -> None:
            for some in flushes:
                assert len(ledger.links(Place(TEAM, "contact", "contacts"), some)) == len(some)

        def look_up_moments() -> None:
            for some in flushes:
                assert len(ledger.synced_at("contacts", some)) == len(some)

        began = time.perf_counter()
        intents()
        print(f"  intents, new links       {rows / (time.perf_counter() - began):>10,.0f}/s")
        began = time.perf_counter()
        outcomes()
        print(f"  outcomes, first time     {rows / (time.perf_counter() - began):>10,.0f}/s")
        print(f"  intents, known links     {best_rate(rows, intents):>10,.0f}/s")
        print(f"  outcomes, known links    {best_rate(rows, outcomes):>10,.0f}/s")
        looked_up = best_rate(rows, look_up)
        print(f"  look-ups (links)         {looked_up:>10,.0f}/s")
        print(f"  look-ups (synced_at)     {best_rate(rows, look_up_moments):>10,.0f}/s")
    what = f"ledger look-ups, {'SQLite' if url.startswith('sqlite') else 'PostgreSQL'}"
    print(Bar(what, "none", f"{looked_up:,.0f} rows/s", None).line)


@contextmanager
def own_schema(database_url: str) -> Iterator[str]:
    name = f"ledger_benchmark_{secrets.token_hex(4)}"
    plain = database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {name}")
        try:
            joint = "&" if "?" in plain else "?"
            yield f"{plain}{joint}options=-csearch_path%3D{name}"
        finally:
            server.execute(f"DROP SCHEMA {name} CASCADE")


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows a second through the ledger.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--flush", type=int, default=400)
    options = parser.parse_args()
    print("Python alone:")
    measure_pure(options.rows)
    print(f"SQLite, flushes of {options.flush}:")
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder) / 'ledger.db'}", options.rows, options.flush)
    if database_url := os.environ.get("DATABASE_URL"):
        print(f"PostgreSQL, flushes of {options.flush}:")
        with own_schema(database_url) as url:
            measure(url, options.rows, options.flush)


if __name__ == "__main__":
    main()
