"""Runs all benchmarks, one after the other, and prints one table: bar, measured, met.

    python benchmarks/bench.py [--full] [--only NAME …] [--peer PATH] [--readme]

A quick run takes some ten minutes. --full runs more rounds, also measures memory at a million rows,
and takes an hour or so. `mapper` and `held_lead` compare with meltano-map-transform, which --peer
names; without it, it is installed from the package index into a temporary environment. Where that
fails, the two are left out. --readme also writes machine and table into the README.md beside this
file. Exit code 1 means that a benchmark failed; a bar that is not met does not matter.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import machine
from bars import Bar, bars_in, markdown
from mapper import peer_environment

HERE = Path(__file__).parent
README = HERE / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

MOST_OF_NOOP = {"new": 0.9, "unchanged": 0.35}
LEAST_UNCHANGED_RATE = 20_000
LEAST_TIMES_PEER = 3.0


def throughput_bars(output: str) -> list[Bar]:
    """The bars in the output of `throughput.py`, which prints plain text."""
    bars = []
    for kind, most in MOST_OF_NOOP.items():
        found = re.search(rf"^{kind}: median ([\d.]+) x the no-op", output, re.MULTILINE)
        if found:
            ratio = float(found[1])
            what, bar = f"wall time by the no-op target's, {kind} contacts", f"at most {most}"
            bars.append(Bar(what, bar, f"{ratio:.2f}", ratio <= most))
    rates = re.findall(r"^unchanged +[\d,]+ rows:.*?([\d,]+) rows/s", output, re.MULTILINE)
    if rates:
        rate = statistics.median(int(text.replace(",", "")) for text in rates)
        bar = f"at least {LEAST_UNCHANGED_RATE:,} rows/s"
        met = rate >= LEAST_UNCHANGED_RATE
        bars.append(Bar("unchanged rows with ledger", bar, f"{rate:,.0f} rows/s", met))
    return bars


def mapper_bars(output: str) -> list[Bar]:
    """The bars in the output of `mapper.py`, which prints plain text."""
    bars = []
    for way in ("same rules", "everything"):
        found = re.search(rf"^{way} .*?([\d.]+) times", output, re.MULTILINE)
        if found:
            times = float(found[1])
            what = f"mapper's rows/s by meltano-map-transform's filter, {way}"
            met = times >= LEAST_TIMES_PEER
            bars.append(Bar(what, f"at least {LEAST_TIMES_PEER:.0f}", found[1], met))
    return bars


@dataclass(frozen=True)
class Benchmark:
    """A script beside this one, with its arguments for a quick and for a full run."""

    name: str
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    has_peer: bool = False
    bars: Callable[[str], list[Bar]] = bars_in


# Counts of requests come first: they are the same on every machine and take only seconds.
BENCHMARKS = (
    Benchmark("requests_per_thousand"),
    Benchmark("changed_rows"),
    Benchmark("first_ten_thousand"),
    Benchmark("list_members"),
    Benchmark("quota"),
    Benchmark("one_team"),
    Benchmark("sandbox_alone"),
    Benchmark("throughput", ("--rounds", "3"), ("--rounds", "5"), bars=throughput_bars),
    Benchmark("beside_a_tap"),
    Benchmark("slow_answers"),
    Benchmark("memory", ("--rows", "10000", "100000"), ("--rows", "100000", "1000000")),
    Benchmark("ledger", ("--rows", "20000")),
    Benchmark(
        "mapper",
        ("--rounds", "3"),
        ("--memory",),
        has_peer=True,
        bars=mapper_bars,
    ),
    Benchmark("held_lead", has_peer=True),
)


def run(benchmark: Benchmark, *, full: bool, peer: str) -> tuple[str, int]:
    """The output of a benchmark, which is also printed while it runs, and its exit code."""
    arguments = benchmark.full if full else benchmark.quick
    command = [sys.executable, str(HERE / f"{benchmark.name}.py"), *arguments]
    if benchmark.has_peer:
        command += ["--peer", peer]
    print(f"\n== {benchmark.name} {' '.join(arguments)}", flush=True)
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return "".join(lines), process.returncode


def found_peer(given: str, folder: Path) -> str:
    """The path of meltano-map-transform; empty if it can't be installed."""
    if given:
        return given
    try:
        return peer_environment(folder)
    except subprocess.CalledProcessError:
        print("meltano-map-transform can't be installed: mapper and held_lead are left out.")
        return ""


def report(bars: list[Bar]) -> str:
    lines = [f"- {line}" for line in machine.described()]
    return "\n".join([*lines, "", markdown(bars)])


def written_into(readme: str, text: str) -> str:
    """The README with this text between its two marks; raises ValueError if it lacks them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} lacks the marks {BEGIN} and {END}.")
    return f"{before}{begin}\n{text}\n{end}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--peer", default="", help="path of the command meltano-map-transform")
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    chosen = [benchmark for benchmark in BENCHMARKS if benchmark.name in given.only]
    bars: list[Bar] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        needs_peer = any(benchmark.has_peer for benchmark in chosen)
        peer = found_peer(given.peer, Path(folder)) if needs_peer else ""
        for benchmark in chosen:
            if benchmark.has_peer and not peer:
                continue
            output, code = run(benchmark, full=given.full, peer=peer)
            found = benchmark.bars(output)
            bars += found
            # Some benchmarks also end with an exit code other than 0 if a bar is not met.
            if code and not any(bar.met is False for bar in found):
                failed.append(benchmark.name)
    text = report(bars)
    print(f"\n{text}")
    if given.readme:
        README.write_text(written_into(README.read_text(), text))
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
