"""Rows per second of map-apollo-leads and of meltano-map-transform's filter on the same leads.

    python benchmarks/mapper.py [--leads 100000] [--rounds 5] [--peer PATH] [--memory]

All read the same file of leads and pass the same ones, which is checked. They run one after the
other in each round, so that they meet the same noise; a ratio is the median of the rounds' ratios.
The peer's filter is one expression over nine properties. "same rules" is this mapper with the rules
that say the same (though it looks domains up in the public suffix list and writes each lead's
owner); "everything" is its usual work: also the look-up in the ledger (100,000 links of other
leads), the stream's new name, and a verdict on disk for every lead.
``--memory`` adds the peak memory at 100,000 and at 1,000,000 leads. Without ``--peer``,
meltano-map-transform is installed from the package index into a temporary environment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, source_key

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
SETTLED_BEFORE = (NOW - timedelta(minutes=5)).isoformat()
STAGES = ["Cold", "Contacted", "Interested", "Qualified"]
USERS = {str(user): f"64f{user:021x}" for user in range(1, 21)}
FREE_MAIL = ["gmail.com", "yahoo.com", "outlook.com"]

RULES = {
    "stage": {"order": STAGES, "minimum": "Interested"},
    "owner_mapped": {"map": USERS},
}
SAME_RULES = {"streams": ["leads"], "verdicts_path": "", "rules": {**RULES, "not_synced": False}}
EVERYTHING = {
    "streams": ["leads"],
    "output_stream": "accounts",
    "verdicts_path": "verdicts.jsonl",
    "rules": {**RULES, "not_synced": {"ledger_url": "sqlite:///ledger.db"}},
}
PEER_FILTER = " and ".join(
    [
        "record['record_type'] == 'company'",
        "not record['is_customer']",
        "record['icp_fit'] in ['moderate', 'strong']",
        "record['stage'] in ['Interested', 'Qualified']",
        "record['quarantine_status'] == 'active'",
        "record['name'] and record['domain']",
        f"record['domain'] not in {FREE_MAIL}",
        f"record['user_id'] in {list(map(int, USERS))}",
        f"record['updated_at'] <= '{SETTLED_BEFORE}'",
    ]
)
PEER_CONFIG = {"stream_maps": {"leads": {"__filter__": PEER_FILTER}}}


def lines(count: int) -> Iterator[str]:
    """A tap's output: SCHEMA, leads of 600 bytes of which about a half qualify, STATEs."""
    chance = random.Random(20261120)
    text, number = {"type": ["string", "null"]}, {"type": ["number", "null"]}
    properties: dict[str, object] = dict.fromkeys(next(records(1, chance)), text)
    properties |= {"id": {"type": "integer"}, "user_id": {"type": ["integer", "null"]}}
    properties |= {"is_customer": {"type": "boolean"}, "tags": {"type": "array"}}
    properties |= {"revenue": number, "employees": number}
    schema = {"type": "object", "properties": properties}
    yield json.dumps(
        {
            "type": "SCHEMA",
            "stream": "leads",
            "schema": schema,
            "key_properties": ["id"],
            "bookmark_properties": ["updated_at"],
        }
    )
    for record in records(count, chance):
        yield json.dumps(
            {
                "type": "RECORD",
                "stream": "leads",
                "record": record,
                "time_extracted": NOW.isoformat(),
            }
        )
        if record["id"] % 10_000 == 0:
            bookmark = {"replication_key": "updated_at", "replication_key_value": NOW.isoformat()}
            yield json.dumps({"type": "STATE", "value": {"bookmarks": {"leads": bookmark}}})


def records(count: int, chance: random.Random) -> Iterator[dict[str, object]]:
    for at in range(1, count + 1):
        mostly = chance.random
        age = timedelta(seconds=chance.randrange(0, 90 * 86_400) if mostly() < 0.97 else 60)
        yield {
            "id": at,
            "record_type": "company" if mostly() < 0.93 else "person",
            "name": f"Company {at} Incorporated" if mostly() < 0.98 else " " * 0,
            "domain": f"company-{at}.co.uk" if mostly() < 0.97 else chance.choice(FREE_MAIL),
            "is_customer": mostly() < 0.07,
            "icp_fit": "weak" if mostly() < 0.1 else chance.choice(["moderate", "strong"]),
            "stage": "Cold" if mostly() < 0.1 else chance.choice(STAGES[2:]),
            "quarantine_status": "active" if mostly() < 0.97 else "quarantined",
            "user_id": chance.randint(1, 20) if mostly() < 0.95 else None,
            "email": f"someone.{at}@company-{at}.co.uk",
            "phone": "+44 20 7946 0000",
            "industry": "computer software",
            "employees": chance.randrange(1, 50_000),
            "revenue": round(chance.uniform(1e4, 1e8), 2),
            "city": "London",
            "country": "United Kingdom",
            "tags": ["inbound", "newsletter"],
            "created_at": (NOW - timedelta(days=400)).isoformat(),
            "updated_at": (NOW - age).isoformat(),
        }


def run(command: list[str], source: Path, folder: Path) -> tuple[float, float]:
    """Run a mapper from a file into a pipe that is read to a file; wall seconds and peak MB."""
    env = {**os.environ, "MAP_APOLLO_LEADS_NOW": NOW.isoformat(), "LOGLEVEL": "WARNING"}
    started = time.perf_counter()
    taken, log = (folder / "output").open("wb"), (folder / "log").open("wb")
    with source.open("rb") as given, taken, log:
        mapper = subprocess.Popen(
            command, stdin=given, stdout=subprocess.PIPE, stderr=log, env=env, cwd=folder
        )
        reader = subprocess.Popen(["cat"], stdin=mapper.stdout, stdout=taken)
        assert mapper.stdout is not None
        mapper.stdout.close()
        peak = 0.0
        while mapper.poll() is None:
            # The kernel's own high-water mark; rusage would count this process before exec too.
            peak = max(peak, high_water_mark(mapper.pid))
            time.sleep(0.02)
        reader.wait()
    seconds = time.perf_counter() - started
    if mapper.returncode:
        raise SystemExit((folder / "log").read_text()[-2000:])
    return seconds, peak


def high_water_mark(pid: int) -> float:
    """Peak resident MB of a process so far; 0 for one that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def passed(output: Path) -> set[int]:
    found = set()
    with output.open("rb") as file:
        for line in file:
            message = msgspec.json.decode(line)
            if message["type"] == "RECORD":
                found.add(message["record"]["id"])
    return found


def fill_ledger(path: Path, links: int) -> None:
    """A ledger of earlier syncs. Its leads are others, so that the same leads pass everywhere."""
    when = NOW - timedelta(days=1)
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.begin_run("earlier", "team", ["accounts"], "upsert", when)
        ledger.lock("team", "accounts", "earlier")
        outcomes = [
            LinkOutcome(source_key([-at]), LinkStatus.CREATED, f"{at:024x}", f"{at:032x}")
            for at in range(1, links + 1)
        ]
        ledger.record_outcomes(Place("team", "account", "accounts"), "earlier", outcomes)


def peer_environment(folder: Path) -> str:
    venv.create(folder / "peer", with_pip=True)
    pip = [str(folder / "peer/bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "meltano-map-transform"], check=True)
    return str(folder / "peer/bin/meltano-map-transform")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", help="path of the command meltano-map-transform")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "leads.singer"
        with source.open("w") as file:
            file.writelines(line + "\n" for line in lines(given.leads))
        fill_ledger(folder / "ledger.db", 100_000)
        peer = given.peer or peer_environment(folder)
        ours = [str(Path(sys.executable).with_name("map-apollo-leads"))]
        ways = {
            "meltano-map-transform": ([peer], PEER_CONFIG),
            "same rules": (ours, SAME_RULES),
            "everything": (ours, EVERYTHING),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        outputs = {}
        for _ in range(given.rounds):
            for way, (command, config) in ways.items():
                (folder / "config.json").write_text(json.dumps(config))
                seconds, _ = run([*command, "--config", "config.json"], source, folder)
                rates[way].append(given.leads / seconds)
                outputs[way] = passed(folder / "output")
        first, *others = outputs.values()
        if any(other != first for other in others):
            raise SystemExit("they do not pass the same leads")
        print(f"{given.leads:,} leads, {len(first):,} pass, {given.rounds} rounds, medians")
        for way, measured in rates.items():
            ratios = [a / b for a, b in zip(measured, next(iter(rates.values())), strict=True)]
            print(
                f"{way:22} {statistics.median(measured):8,.0f} rows/s, "
                f"{statistics.median(ratios):.1f} times (lowest {min(ratios):.1f})"
            )
        if given.memory:
            for count in (100_000, 1_000_000):
                with source.open("w") as file:
                    file.writelines(line + "\n" for line in lines(count))
                seconds, peak = run([*ours, "--config", "config.json"], source, folder)
                print(f"{count:9,} leads: {count / seconds:9,.0f} rows/s, peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
