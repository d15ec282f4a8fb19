"""Peak memory of the target with 100,000 and with 1,000,000 contacts, new and unchanged.

    python benchmarks/memory.py [--rows 100000 1000000] [--streams 50]

For each number of rows, the target reads the file of `throughput.py` into a new sandbox and an
empty SQLite ledger (all new), then once more (all unchanged). The peak is the kernel's high-water
mark of the target process. Then 50,000 contacts come in 50 streams in turn. A million rows take
1 GB of disk for file and ledger, 2.5 GB of memory for the sandbox, and some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import throughput
from bars import Bar
from processes import TargetRun, run_target, sandbox

MOST_MB, MOST_MB_OF_STREAMS = 100, 120
ROWS_OF_STREAMS = 50_000
# A greater share than this, by which repeated runs differ, counts as growth with the rows.
SAME_WITHIN = 0.10
KINDS = {"new": "created", "unchanged": "unchanged"}


def measure(rows: int, streams: int = 1) -> dict[str, TargetRun]:
    """Both runs of the target with this number of rows: ``new`` and ``unchanged``."""
    runs = {}
    with tempfile.TemporaryDirectory() as name, sandbox("--plan", "unlimited") as url:
        folder = Path(name)
        file = folder / "contacts.singer"
        throughput.write_messages(file, rows, streams)
        settings = {
            "ledger_url": f"sqlite:///{folder}/ledger.db",
            "unknown_fields": "ignore",
            "streams": {name: {"object": "contacts"} for name in throughput.stream_names(streams)},
        }
        for kind, outcome in KINDS.items():
            run = run_target(url, file, folder, settings)
            if run.outcomes != {outcome: rows}:
                raise SystemExit(f"expected {rows} rows to be {outcome}, found {run.outcomes}")
            print(
                f"{kind:9} {rows:9,} rows, {streams} streams: peak {run.peak_mb:4.0f} MB, "
                f"{rows / run.seconds:7,.0f} rows/s",
                flush=True,
            )
            runs[kind] = run
    return runs


def bars(kind: str, peaks: dict[int, float]) -> list[Bar]:
    """A bar for each peak (number of rows -> MB), and one for the largest against the smallest."""
    rows_of_table = [
        Bar(f"peak memory, {rows:,} rows, {kind}", f"under {MOST_MB} MB", f"{peak:.0f} MB",
            peak < MOST_MB)
        for rows, peak in sorted(peaks.items())
    ]  # fmt: skip
    fewest, most = min(peaks), max(peaks)
    if fewest < most:
        growth = peaks[most] / peaks[fewest]
        what = f"peak memory at {most:,} rows by that at {fewest:,}, {kind}"
        rows_of_table.append(
            Bar(what, "1, within 10 %", f"{growth:.2f}", growth <= 1 + SAME_WITHIN)
        )
    return rows_of_table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--streams", type=int, default=50)
    given = parser.parse_args()
    runs = {rows: measure(rows) for rows in given.rows}
    of_streams = measure(ROWS_OF_STREAMS, given.streams)
    for kind in KINDS:
        for bar in bars(kind, {rows: run[kind].peak_mb for rows, run in runs.items()}):
            print(bar.line)
        peak = of_streams[kind].peak_mb
        print(
            Bar(
                f"peak memory, {ROWS_OF_STREAMS:,} rows of {given.streams} streams, {kind}",
                f"under {MOST_MB_OF_STREAMS} MB",
                f"{peak:.0f} MB",
                peak < MOST_MB_OF_STREAMS,
            ).line
        )


if __name__ == "__main__":
    main()
