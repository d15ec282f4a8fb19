"""The time to sync 100,000 contacts into the sandbox, by that of a target that does nothing.

    python benchmarks/throughput.py [--rows 100000] [--rounds 3]

The peer, the no-op target, reads the same file with the Singer SDK's defaults and does nothing with
its batches. Each round runs the peer, then the target with an empty sandbox and ledger (all
contacts are new), then the target again (all are unchanged), so that other work on the machine
slows all three.

The sandbox does not compress its answers: between two processes of one machine, compression takes
processor time of both and saves none. The target is compiled to bytecode first, as installers do.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import target_apollo

NOOP = """
from singer_sdk import Target
from singer_sdk.sinks import BatchSink
from singer_sdk import typing as th
class Sink(BatchSink):
    max_size = 100
    def process_batch(self, context): pass
class Noop(Target):
    name = "target-noop"
    config_jsonschema = th.PropertiesList().to_dict()
    default_sink_class = Sink
Noop.cli()
"""


def stream_names(streams: int) -> list[str]:
    return ["contacts", *(f"contacts_{number}" for number in range(2, streams + 1))]


def write_messages(path: Path, rows: int, streams: int = 1) -> None:
    """Write contacts of about 500 bytes, with a property that Apollo lacks, and STATEs.

    The rows of several streams come in turn.
    """
    text, null = {"type": ["string", "null"]}, None
    columns = ["email", "first_name", "last_name", "title", "organization_name", "phone_number"]
    columns += ["linkedin_url", "present_raw_address", "salesforce_id", "note", "updated_at"]
    schema = {"properties": {"id": {"type": "integer"}, **dict.fromkeys(columns, text)}}
    schema["properties"]["updated_at"] = {"type": "string", "format": "date-time"}
    with path.open("w") as file:

        def write(message: dict[str, object]) -> None:
            file.write(json.dumps(message) + "\n")

        names = stream_names(streams)
        for name in names:
            write({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": ["id"]})
        for n in range(rows):
            record = {
                "id": n,
                "email": f"Person.{n}@Company{n % 5000}.com",
                "first_name": f"First{n}",
                "last_name": f"Last{n}",
                "title": "Head of Procurement",
                "organization_name": f"Company {n % 5000} Holding",
                "phone_number": f"+49 30 {n:08}",
                "linkedin_url": f"https://www.linkedin.com/in/person-{n}",
                "present_raw_address": "Berlin, Germany" if n % 3 else null,
                "salesforce_id": f"003xx{n:010}",
                "note": "Met at the fair, wants a call back in spring. " * 2,
                "updated_at": "2026-01-01T12:00:00+00:00",
            }
            write({"type": "RECORD", "stream": names[n % streams], "record": record})
            if n % 1000 == 999:
                write({"type": "STATE", "value": {"at": n}})


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "target_apollo.sandbox", "--port", "0", "--plan", "unlimited"]
    command += ["--option", "gzip_answers=false"]
    log = (folder / "sandbox.log").open("w+")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not (found := re.search(r"http://[\d.:]+", (folder / "sandbox.log").read_text())):
            time.sleep(0.05)
        yield found.group(0) + "/api/v1"
    finally:
        process.terminate()
        process.wait(20)


def timed(command: list[str], messages: Path, folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory (MB) of one process."""
    start = time.monotonic()
    with messages.open("rb") as source, (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=source, stdout=log, stderr=log, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[-3:]} ended with {process.returncode}")
    return time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    compileall.compile_dir(Path(target_apollo.__file__).parent, quiet=1)
    ratios: dict[str, list[float]] = {"new": [], "unchanged": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        messages = folder / "contacts.singer"
        write_messages(messages, arguments.rows)
        (folder / "noop.py").write_text(NOOP)
        for number in range(arguments.rounds):
            round_folder = folder / str(number)
            round_folder.mkdir()
            noop, noop_cpu, _ = timed(
                [sys.executable, str(folder / "noop.py")], messages, round_folder
            )
            print(f"no-op target: {noop:6.1f} s wall, {noop_cpu:6.1f} s cpu")
            with sandbox(round_folder) as url:
                config = {"api_key": "sandbox", "api_url": url, "unknown_fields": "ignore"}
                (round_folder / "config.json").write_text(json.dumps(config))
                command = [sys.executable, "-m", "target_apollo", "--config", "config.json"]
                for kind in ("new", "unchanged"):
                    wall, cpu, memory = timed(command, messages, round_folder)
                    ratios[kind].append(wall / noop)
                    print(
                        f"{kind:9} {arguments.rows} rows: {wall:6.1f} s wall, {cpu:6.1f} s cpu, "
                        f"{arguments.rows / wall:7.0f} rows/s, {wall / noop:.2f} x no-op, "
                        f"peak {memory:.0f} MB"
                    )
    for kind, found in ratios.items():
        print(f"{kind}: median {statistics.median(found):.2f} x the no-op target's wall time")


if __name__ == "__main__":
    main()
