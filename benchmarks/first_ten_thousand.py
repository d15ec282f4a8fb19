"""The time until 10,000 contacts are in Apollo, within the limits of a common plan.

    python benchmarks/first_ten_thousand.py [--rows 10000] [--latency 0.5] [--workers 4]

First a target process updates 10,000 contacts with another title, without a ledger, with each of
the update methods `auto` and `bulk`. The sandbox records its requests. Then these requests are sent
again in the same order by `--workers` workers on a simulated clock. They go through the client's
pacing (`EndpointPacer`) into the sandbox's rate windows, with 200 requests a minute, 400 an hour
and 2,000 a day for each endpoint. Each answer takes `--latency` seconds. The simulation ignores
`max_wait_seconds`: a request waits until its windows have room.

Then a target process with a ledger creates 5,000 and 10,000 contacts that have a website, which
takes a PATCH for each of them. It may not wait for a limit, so it ends with all contacts created
and most websites left to later runs. Its requests, and those PATCH that are left, are sent again in
the same way.

The peer updates one contact a request, as syncs to Apollo's API usually do: it finds a hundred rows
with one bulk_create, then changes each with its own PATCH. Its requests follow from this definition
(`requests_per_thousand.py` counts those of `update_method: individual`), and are sent by the same
workers with the same pacing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bars import Bar
from processes import Message, requests_seen, run_target, sandbox, seed, write_messages
from requests_per_thousand import contact, messages
from simulated_clock import Sent, send_all

from target_apollo.sandbox.serving.rate_windows import PLANS, Plan

CREATE, PATCH = "POST /contacts/bulk_create", "PATCH /contacts/{id}"
BULK_UPDATE = "POST /contacts/bulk_update"
MOST_SECONDS = 3600.0
_BATCH = 100
_SEEDED_AT_ONCE = 1_000


def sent(request: Message) -> Sent:
    """A request of the sandbox's log, with the number of contacts that it changed."""
    endpoint, changed = request["endpoint"], 0
    if request["status"] == 200 and endpoint == PATCH:
        changed = 1
    elif request["status"] == 200 and endpoint == BULK_UPDATE:
        changed = len(request["body"]["contact_attributes"])
    return Sent(endpoint, changed)


def of_the_target(method: str, rows: int) -> list[Sent]:
    """The requests of a target process for this number of changed contacts, in their order."""
    with tempfile.TemporaryDirectory() as name, sandbox("--strict", "--plan", "basic") as url:
        folder = Path(name)
        for start in range(0, rows, _SEEDED_AT_ONCE):
            some = range(start, min(rows, start + _SEEDED_AT_ONCE))
            seed(url, contacts=[contact(number, "Engineer") for number in some])
        file = folder / "changed.singer"
        write_messages(file, messages(rows, "Head of Engineering"))
        run = run_target(url, file, folder, {"ledger_url": "", "update_method": method})
        if run.outcomes != {"updated": rows}:
            raise SystemExit(f"{method}: not every row was updated: {run.outcomes}")
        return [sent(request) for request in requests_seen(url)]


def per_row(rows: int) -> Iterator[Sent]:
    """One bulk_create for each hundred rows, one PATCH for each row."""
    for start in range(0, rows, _BATCH):
        yield Sent(CREATE, 0)
        for _ in range(start, min(rows, start + _BATCH)):
            yield Sent(PATCH, 1)


def created(request: Message) -> Sent:
    """A request of the sandbox's log, with the number of contacts that it created."""
    is_create = request["endpoint"] == CREATE and request["status"] == 200
    return Sent(request["endpoint"], len(request["body"]["contacts"]) if is_create else 0)


def with_websites(rows: int) -> Iterator[Message]:
    for message in messages(rows, "Engineer"):
        if message["type"] == "SCHEMA":
            message["schema"]["properties"]["website_url"] = {"type": ["string", "null"]}
        elif message["type"] == "RECORD":
            number = message["record"]["id"]
            message["record"]["website_url"] = f"https://company{number}.example/about"
        yield message


def of_new_contacts(rows: int) -> tuple[list[Sent], int]:
    """The requests of a run for new contacts with websites, and the websites left to later runs."""
    with tempfile.TemporaryDirectory() as name, sandbox("--strict", "--plan", "basic") as url:
        folder = Path(name)
        file = folder / "new.singer"
        write_messages(file, with_websites(rows))
        own = {"ledger_url": f"sqlite:///{folder}/ledger.db", "max_wait_seconds": 0}
        run = run_target(url, file, folder, own)
        if run.outcomes != {"created": rows}:
            raise SystemExit(f"not every row was created: {run.outcomes}")
        left = sum(run.summary["to_follow"].values())
        return [created(request) for request in requests_seen(url)], left


def measure_new(rows: int, workers: int, latency: float) -> None:
    requests, left = of_new_contacts(rows)
    whole = [*requests, *(Sent(PATCH, 0) for _ in range(left))]
    timeline = send_all(whole, PLANS[Plan.BASIC], workers, latency)
    moment = timeline.moment_of(rows)
    ended = max(at for at, _ in timeline.changed)
    print(
        f"new contacts with websites: {rows:,} created after {in_words(moment)}, with "
        f"{rows - left:,} websites by the same run, which may not wait; the last website after "
        f"{in_words(ended)}; {timeline.refused} refused"
    )
    print(
        Bar(
            f"{rows:,}th new contact with a website, 200/min, 400/h, 2,000/day",
            "under one hour",
            in_words(moment),
            moment < MOST_SECONDS and not timeline.refused,
        ).line
    )


def in_words(seconds: float) -> str:
    if seconds >= 86_400:
        return f"{seconds / 86_400:.2f} days"
    return f"{timedelta(seconds=round(seconds))}" if seconds >= 3600 else f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds an answer takes")
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    limits = PLANS[Plan.BASIC]
    ways = {f"`{method}`": of_the_target(method, given.rows) for method in ("auto", "bulk")}
    ways["one PATCH a row"] = list(per_row(given.rows))
    for way, requests in ways.items():
        timeline = send_all(requests, limits, given.workers, given.latency)
        moment = timeline.moment_of(given.rows)
        print(
            f"{way:16} {len(requests):6,} requests, {timeline.refused} refused; "
            f"contact {given.rows:,} changed after {in_words(moment)}"
        )
        has_bar = way != "one PATCH a row"
        print(
            Bar(
                f"{given.rows:,}th changed contact, {way}, 200/min, 400/h, 2,000/day",
                "under one hour" if has_bar else "for comparison",
                in_words(moment),
                moment < MOST_SECONDS and not timeline.refused if has_bar else None,
            ).line
        )
    for rows in (given.rows // 2, given.rows):
        measure_new(rows, given.workers, given.latency)


if __name__ == "__main__":
    main()
