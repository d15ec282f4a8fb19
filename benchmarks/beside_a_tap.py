"""A sync from a slow tap into a slow Apollo, compared with tap and target one after the other.

    python benchmarks/beside_a_tap.py [--rows 12800] [--rounds 3]

The tap is a process that writes at most 4,000 rows a second into a pipe and does not catch up after
it had to wait. The sandbox answers each bulk_create a tenth of a second late, so that four requests
at a time also take 4,000 rows a second. A target that reads no rows while it sends would need the
time of both, one after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bars import Bar
from processes import order_fault, sandbox
from throughput import write_messages

ROWS_PER_SECOND = 4_000
LATE = 0.1
CREATE = "POST /contacts/bulk_create"
TAP = """
import sys, time
seconds = 100 / float(sys.argv[2])
with open(sys.argv[1], "rb") as lines:
    for number, line in enumerate(lines):
        if number % 100 == 0:
            sys.stdout.buffer.flush()
            time.sleep(seconds)
        sys.stdout.buffer.write(line)
"""


def seconds(folder: Path, *, tap: list[str] | None, target: list[str] | None) -> float:
    """Seconds from the start of the processes to the end of the last one."""
    began = time.monotonic()
    with (folder / "log").open("wb") as log, (folder / "contacts.singer").open("rb") as file:
        first = subprocess.Popen(tap, stdout=subprocess.PIPE, stderr=log) if tap else None
        source = first.stdout if first else file
        if target:
            last = subprocess.Popen(target, stdin=source, stdout=log, stderr=log, cwd=folder)
            if last.wait():
                raise SystemExit((folder / "log").read_text()[-2000:])
        elif first:
            first.communicate()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            messages = folder / "contacts.singer"
            write_messages(messages, arguments.rows)
            tap = [sys.executable, "-c", TAP, str(messages), str(ROWS_PER_SECOND)]
            target = [sys.executable, "-m", "target_apollo", "--config", "config.json"]
            taken = {}
            for what in ("tap", "target", "both"):
                with sandbox("--plan", "unlimited") as url:
                    order_fault(url, endpoint=CREATE, kind="slow", seconds=LATE, times=None)
                    config = {
                        "api_key": "sandbox",
                        "api_url": url,
                        "unknown_fields": "ignore",
                        "parallel_requests": 4,
                        "ledger_url": f"sqlite:///{folder / what}.db",
                    }
                    (folder / "config.json").write_text(json.dumps(config))
                    taken[what] = seconds(
                        folder,
                        tap=tap if what != "target" else None,
                        target=target if what != "tap" else None,
                    )
            ratio = taken["both"] / (taken["tap"] + taken["target"])
            ratios.append(ratio)
            print(
                f"{arguments.rows} rows: tap {taken['tap']:.1f} s, target {taken['target']:.1f} s, "
                f"tap | target {taken['both']:.1f} s"
            )
    what = "tap and target at once, by the time of one after the other"
    print(Bar(what, "for comparison", f"{statistics.median(ratios):.2f}", None).line)


if __name__ == "__main__":
    main()
