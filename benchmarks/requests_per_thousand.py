"""The number of requests for 1,000 contacts: new, changed (by each `update_method`), unchanged.

    python benchmarks/requests_per_thousand.py

A target process syncs into a strict sandbox with the limits of a common plan (200 requests a
minute, 400 an hour; no limits for `individual`, whose requests would not fit). The sandbox counts
the requests. Look-ups are requests that a run makes once, whatever its number of rows: the team of
the key, the users, the rest of the quota.

    new          1,000 contacts that Apollo does not have, of 5 owners; the bar includes look-ups
    changed      1,000 contacts that Apollo has, with another title, and no ledger
    unchanged    1,000 contacts that an earlier run with the same ledger wrote
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bars import Bar
from processes import (
    Message,
    forget_requests,
    request_counts,
    run_target,
    sandbox,
    seed,
    write_messages,
)

ROWS, OWNERS, BATCH = 1_000, 5, 100
MOST = 20
LOOK_UPS = (
    "GET /users/api_profile",
    "GET /users/search",
    "GET /contact_stages",
    "GET /fields",
    "GET /labels",
    "POST /usage_stats/api_usage_stats",
)
_TEXT = {"type": ["string", "null"]}
_NAMES = ("email", "first_name", "last_name", "title", "organization_name")


def owner(number: int) -> str:
    return f"owner{number % OWNERS}@sandbox.example"


def contact(number: int, title: str) -> Message:
    """A contact of its own name and company, so that Apollo does not match it with another."""
    return {
        "email": f"person{number}@company{number}.example",
        "first_name": "Kim",
        "last_name": f"Person {number}",
        "title": title,
        "organization_name": f"Company {number}",
    }


def messages(rows: int, title: str, *, with_owners: bool = False) -> Iterator[Message]:
    names = [*_NAMES, "owner_email"] if with_owners else _NAMES
    schema = {"properties": {"id": {"type": "integer"}, **dict.fromkeys(names, _TEXT)}}
    yield {"type": "SCHEMA", "stream": "contacts", "schema": schema, "key_properties": ["id"]}
    for number in range(rows):
        record = {"id": number, **contact(number, title)}
        if with_owners:
            record["owner_email"] = owner(number)
        yield {"type": "RECORD", "stream": "contacts", "record": record}
    yield {"type": "STATE", "value": {"rows": rows}}


def split(counts: dict[str, int]) -> tuple[dict[str, int], int]:
    """Endpoint -> requests, without look-ups, and the number of look-ups."""
    rows = {name: count for name, count in counts.items() if name not in LOOK_UPS}
    return rows, sum(counts.values()) - sum(rows.values())


def report(
    what: str, counts: dict[str, int], bar: str, most: int | None, *, look_ups_too: bool = False
) -> None:
    rows, look_ups = split(counts)
    total = sum(rows.values())
    ways = ", ".join(f"{count} {name}" for name, count in sorted(rows.items())) or "nothing"
    print(f"{what}: {total} requests ({ways}) and {look_ups} look-ups")
    met = None if most is None else total + (look_ups if look_ups_too else 0) <= most
    print(Bar(f"requests, {what}", bar, f"{total} and {look_ups} look-ups", met).line)


def check(outcomes: dict[str, int], expected: str) -> None:
    if outcomes != {expected: ROWS}:
        raise SystemExit(f"expected {ROWS} rows to be {expected}, found {outcomes}")


def new_and_unchanged(folder: Path) -> None:
    rows = folder / "new.singer"
    write_messages(rows, messages(ROWS, "Engineer", with_owners=True))
    settings = {"ledger_url": f"sqlite:///{folder}/ledger.db"}
    with sandbox("--strict") as url:
        seed(url, users=[{"email": owner(number)} for number in range(OWNERS)])
        check(run_target(url, rows, folder, settings).outcomes, "created")
        what = f"{ROWS:,} new contacts of {OWNERS} owners"
        bar = f"at most {MOST}, look-ups included"
        report(what, request_counts(url), bar, MOST, look_ups_too=True)
        forget_requests(url)
        check(run_target(url, rows, folder, settings).outcomes, "unchanged")
        what = f"{ROWS:,} unchanged contacts with ledger"
        report(what, request_counts(url), "0 and look-ups", 0)


def changed(folder: Path, method: str, most: int | None) -> None:
    rows = folder / "changed.singer"
    write_messages(rows, messages(ROWS, "Head of Engineering"))
    plan = ("--plan", "unlimited") if method == "individual" else ()
    with sandbox("--strict", *plan) as url:
        seed(url, contacts=[contact(number, "Engineer") for number in range(ROWS)])
        settings = {"ledger_url": "", "update_method": method}
        check(run_target(url, rows, folder, settings).outcomes, "updated")
        what = f"{ROWS:,} changed contacts, no ledger, `{method}`"
        bar = "for comparison" if most is None else f"at most {most} and look-ups"
        report(what, request_counts(url), bar, most)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        new_and_unchanged(folder)
        changed(folder, "auto", MOST)
        changed(folder, "bulk", MOST)
        changed(folder, "individual", None)


if __name__ == "__main__":
    main()
