"""The ledger: rows a second through keys, hashes, look-ups, intents and outcomes; bytes a row.

    python benchmarks/ledger.py [--rows 100000] [--flush 400]

Measures SQLite in a temporary folder and, if DATABASE_URL is set, PostgreSQL in a schema that is
dropped at the end. Each figure is the best of three passes, since other work on the machine can
only slow a pass down. Look-ups and writes are done for 400 rows at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
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
    match_hash,
    payload_hash,
    source_key,
)
from target_apollo.ledger.database import Address
from target_apollo.ledger.results import read_results

TEAM = "5f5e100c0d4ae7000181a2b3"
RUN = "0a1b2c3d4e5f"
MOST_BYTES = 210
MOST_TIMES = 1.5


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
        for values in payloads:
            payload_hash(values)

    print(f"  source_key, integer      {best_rate(rows, integer_keys):>10,.0f}/s")
    print(f"  source_key, e-mail       {best_rate(rows, email_keys):>10,.0f}/s")
    print(f"  payload_hash, 12 fields  {best_rate(rows, hashes):>10,.0f}/s")


def outcome(key: str, number: int) -> LinkOutcome:
    """Of a created row, with all that such a row's link has."""
    return LinkOutcome(
        key,
        LinkStatus.CREATED,
        f"{0x66000000 + number // 400:08x}{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
        hashlib.blake2b(key.encode(), digest_size=16).hexdigest(),
        match_hash=match_hash(f"person{number}@example.com"),
        apollo_updated_at=f"2026-11-29T10:{number // 60_000 % 60:02d}:{number // 1000 % 60:02d}"
        f".{number % 1000:03d}Z",
    )


@dataclass(frozen=True)
class Measured:
    """Seconds for new rows and then for unchanged ones, and look-ups a second."""

    new: float
    unchanged: float
    look_ups: float


def measure(url: str, rows: int, flush: int) -> Measured:
    keys = [source_key([number]) for number in range(rows)]
    outcomes = [outcome(key, number) for number, key in enumerate(keys)]
    flushes = [slice(start, start + flush) for start in range(0, rows, flush)]
    place = Place(TEAM, "contact", "contacts", "tap-postgres")
    with Ledger.open(url) as ledger:
        ledger.begin_run(RUN, TEAM, ["contacts"], "upsert", datetime.now(timezone.utc))
        ledger.lock(TEAM, "contacts", RUN)

        def look_up() -> int:
            return sum(len(ledger.links(place, keys[some])) for some in flushes)

        def write_intents() -> None:
            for some in flushes:
                ledger.record_intents(
                    place,
                    RUN,
                    [Intent(one.source_key, None, one.match_hash) for one in outcomes[some]],
                )

        def write_outcomes() -> None:
            for some in flushes:
                ledger.record_outcomes(place, RUN, outcomes[some])

        def look_up_sync_times() -> None:
            for some in flushes:
                assert len(ledger.synced_at("contacts", keys[some], source="tap-postgres"))

        began = time.perf_counter()
        assert look_up() == 0
        looked = time.perf_counter()
        write_intents()
        intended = time.perf_counter()
        write_outcomes()
        written = time.perf_counter()
        print(f"  intents, new links       {rows / (intended - looked):>10,.0f}/s")
        print(f"  outcomes, first time     {rows / (written - intended):>10,.0f}/s")
        looked_up = best_rate(rows, lambda: assert_all(look_up(), rows))
        print(f"  intents, known links     {best_rate(rows, write_intents):>10,.0f}/s")
        print(f"  outcomes, known links    {best_rate(rows, write_outcomes):>10,.0f}/s")
        print(f"  look-ups (links)         {looked_up:>10,.0f}/s")
        print(f"  look-ups (synced_at)     {best_rate(rows, look_up_sync_times):>10,.0f}/s")
    what = f"ledger look-ups, {'SQLite' if url.startswith('sqlite') else 'PostgreSQL'}"
    print(Bar(what, "none", f"{looked_up:,.0f} rows/s", None).line)
    measure_results(url, rows)
    return Measured(written - began, rows / looked_up, looked_up)


def assert_all(found: int, rows: int) -> None:
    assert found == rows


def measure_results(url: str, rows: int) -> None:
    """How the tap reads: from a bookmark behind all links, and all of them."""
    address = Address.of(url)
    with address.engine(read_only=True).connect() as database:
        now = datetime.now(timezone.utc) + timedelta(minutes=1)
        began = time.perf_counter()
        assert not list(read_results(address, database, now))
        none_new = time.perf_counter() - began
        tracemalloc.start()
        found = sum(1 for _ in read_results(address, database, None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found == rows
    print(f"  results, nothing new     {none_new * 1000:>10.1f} ms")
    print(f"  results, all             {peak / 2**20:>10.1f} MiB at the peak")


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
        file = Path(folder) / "ledger.db"
        sqlite = measure(f"sqlite:///{file}", options.rows, options.flush)
        size = file.stat().st_size / options.rows
    print(
        Bar(
            "ledger in SQLite, keys that are numbers",
            f"at most {MOST_BYTES} bytes a row",
            f"{size:.0f}",
            size <= MOST_BYTES,
        ).line
    )
    if database_url := os.environ.get("DATABASE_URL"):
        print(f"PostgreSQL, flushes of {options.flush}:")
        with own_schema(database_url) as url:
            postgresql = measure(url, options.rows, options.flush)
        for what, ratio in (
            ("new", postgresql.new / sqlite.new),
            ("unchanged", postgresql.unchanged / sqlite.unchanged),
        ):
            print(
                Bar(
                    f"ledger in PostgreSQL, {what} rows, in times of SQLite",
                    f"at most {MOST_TIMES}",
                    f"{ratio:.2f}",
                    ratio <= MOST_TIMES,
                ).line
            )


if __name__ == "__main__":
    main()
