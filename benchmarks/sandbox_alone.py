"""Contacts that the sandbox takes in a second of its own processor time.

    python benchmarks/sandbox_alone.py [--rows 50000] [--strict] [--plain]

It must be so many that the sandbox does not limit the other benchmarks. The client posts
bulk_create requests of 100 contacts, one at a time, then the same ones again, and reads the
processor time of the sandbox from /proc (Linux only). It accepts gzip, as the target does, unless
--plain is given.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from bars import Bar
from processes import sandbox_process

BATCH = 100
LEAST_RATE = 20_000


def contact(number: int) -> dict[str, object]:
    return {
        "email": f"person.{number}@company{number % 5000}.com",
        "first_name": f"First{number}",
        "last_name": f"Last{number}",
        "title": "Head of Procurement",
        "organization_name": f"Company {number % 5000} Holding",
        "linkedin_url": f"https://www.linkedin.com/in/person-{number}",
        "phone_numbers": [{"raw_number": f"+49 30 {number:08}", "type": "other"}],
        "present_raw_address": "Berlin, Germany",
        "salesforce_id": f"003xx{number:010}",
    }


def bodies(rows: int) -> list[bytes]:
    return [
        json.dumps(
            {"contacts": [contact(start + n) for n in range(BATCH)], "run_dedupe": True}
        ).encode()
        for start in range(0, rows, BATCH)
    ]


def post(url: str, requests: list[bytes], *, gzip: bool) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=60)
    headers = {"x-api-key": "sandbox", "content-type": "application/json"}
    headers["accept-encoding"] = "gzip" if gzip else "identity"
    for body in requests:
        connection.request("POST", f"{address.path}/contacts/bulk_create", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"the sandbox answered {answer.status}")
    connection.close()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--plain", action="store_true", help="the client does not take gzip")
    given = parser.parse_args()
    arguments = ["--plan", "unlimited", *(["--strict"] if given.strict else [])]
    prepared = bodies(given.rows)
    sent = len(prepared) * BATCH
    with sandbox_process(*arguments) as (url, pid):
        for kind in ("new", "existing"):
            before, memory = processor_seconds(pid), resident_bytes(pid)
            post(url, prepared, gzip=not given.plain)
            rate = sent / (processor_seconds(pid) - before)
            grown = (resident_bytes(pid) - memory) / sent
            print(f"{kind:9} {sent:,} contacts: {rate:,.0f} a CPU second, {grown:,.0f} bytes each")
            what = f"sandbox, {kind} contacts a second of its own CPU"
            met = rate >= LEAST_RATE
            print(Bar(what, f"at least {LEAST_RATE:,}", f"{rate:,.0f}", met).line)


if __name__ == "__main__":
    main()
