"""Peak memory of the target at 100,000 and at 1,000,000 contacts, new ones and unchanged ones.

    python benchmarks/memory.py [--rows 100000 1000000]

For each number of rows: a new sandbox and an empty ledger (SQLite), the file of `throughput.py`
through the target once (all new), and once more (all unchanged). The peak is the kernel's own
high-water mark of the target process. A million rows need 1 GB of disk for the file and the
ledger, 2.5 GB of memory for the sandbox that keeps them, and some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import throughput
from bars import Bar
from processes import TargetRun, run_target, sandbox

MOST_MB = 100
# What the same work may differ by from run to run before memory counts as growing with the rows.
SAME_WITHIN = 0.10
KINDS = {"new": "created", "unchanged": "unchanged"}


def measure(rows: int) -> dict[str, TargetRun]:
    """Both runs of the target with so many rows."""
    runs = {}
    with tempfile.TemporaryDirectory() as name, sandbox("--plan", "unlimited") as url:
        folder = Path(name)
        file = folder / "contacts.singer"
        throughput.write_messages(file, rows)
        settings = {"ledger_url": f"sqlite:///{folder}/ledger.db", "unknown_fields": "ignore"}
        for kind, outcome in KINDS.items():
            run = run_target(url, file, folder, settings)
            if run.outcomes != {outcome: rows}:
                raise SystemExit(f"expected {rows} rows to be {outcome}, found {run.outcomes}")
            print(
                f"{kind:9} {rows:9,} rows: peak {run.peak_mb:4.0f} MB, "
                f"{rows / run.seconds:7,.0f} rows/s",
                flush=True,
            )
            runs[kind] = run
    return runs


def bars(kind: str, peaks: dict[int, float]) -> list[Bar]:
    """Peaks in MB by number of rows, against the bar, and the largest against the smallest."""
    found = [
        Bar(f"peak memory, {rows:,} rows, {kind}", f"under {MOST_MB} MB", f"{peak:.0f} MB",
            peak < MOST_MB)
        for rows, peak in sorted(peaks.items())
    ]  # fmt: skip
    fewest, most = min(peaks), max(peaks)
    if fewest < most:
        growth = peaks[most] / peaks[fewest]
        what = f"peak memory at {most:,} rows by that at {fewest:,}, {kind}"
        found.append(Bar(what, "1, within 10 %", f"{growth:.2f}", growth <= 1 + SAME_WITHIN))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    runs = {rows: measure(rows) for rows in parser.parse_args().rows}
    for kind in KINDS:
        for bar in bars(kind, {rows: run[kind].peak_mb for rows, run in runs.items()}):
            print(bar.line)


if __name__ == "__main__":
    main()
