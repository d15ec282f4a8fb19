"""Requests for lists: 10,000 members of three lists, the same again, and after 500 changes.

python benchmarks/list_members.py --rows 10000 --changes 500
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, match_hash, source_key
from target_apollo.sandbox import Sandbox, SandboxOptions, running_sandbox
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.target.target import TargetApollo

LISTS = ("Hot", "Warm", "Cold")
COLUMNS = ("id", "list", "email")


def lines(rows: dict[int, tuple[str, int]]) -> bytes:
    """The whole table, as a tap sends it."""
    stream = "list_members"
    messages: list[dict[str, Any]] = [
        {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"properties": {name: {} for name in COLUMNS}},
            "key_properties": ["id"],
        }
    ]
    messages += [
        {
            "type": "RECORD",
            "stream": stream,
            "record": {"id": key, "list": name, "email": f"p{who}@example.com"},
        }
        for key, (name, who) in rows.items()
    ]
    messages.append({"type": "ACTIVATE_VERSION", "stream": stream, "version": 1})
    messages.append({"type": "STATE", "value": {"at": 1}})
    return "".join(json.dumps(one) + "\n" for one in messages).encode()


def run(config: dict[str, Any], rows: dict[int, tuple[str, int]]) -> dict[str, Any]:
    """The summary of one run."""
    with contextlib.redirect_stdout(io.StringIO()):
        exit_code = TargetApollo(config=config).sync(io.BytesIO(lines(rows)))
    summary: dict[str, Any] = json.loads(Path(config["summary_path"]).read_text())
    if exit_code:
        raise SystemExit(f"The run ended with {exit_code}: {summary['ended_because']}")
    return summary


@contextlib.contextmanager
def filled(people: int, folder: Path) -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """A sandbox with people whom the ledger knows."""
    with running_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        url = f"sqlite:///{folder}/ledger.db"
        outcomes = [
            LinkOutcome(
                source_key((number,)),
                LinkStatus.CREATED,
                sandbox.store.add_contact(email=f"p{number}@example.com")["id"],
                payload_hash="of the row",
                match_hash=match_hash(f"p{number}@example.com"),
            )
            for number in range(people)
        ]
        with Ledger.open(url) as ledger:
            place = Place(sandbox.store.team_id, "contact", "contacts")
            ledger.record_outcomes(place, "before", outcomes)
        yield (
            sandbox,
            {
                "api_key": sandbox.api_key,
                "api_url": sandbox.url,
                "ledger_url": url,
                "rejects_path": str(folder / "rejects.singer"),
                "summary_path": str(folder / "summary.json"),
                "streams": {"list_members": {"mode": "mirror"}},
                "max_updates": people,
            },
        )


def main() -> None:
    """Print the requests of each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=500)
    arguments = parser.parse_args()
    number, changes = arguments.rows, arguments.changes
    logging.disable(logging.ERROR)
    for scope in ("ours", "all"):
        with tempfile.TemporaryDirectory() as name, filled(number, Path(name)) as (_, config):
            config["mirror_scope"] = scope
            rows = {key: (LISTS[key % 3], key) for key in range(number)}
            tell(f"{scope}, first", config, rows)
            tell(f"{scope}, unchanged", config, rows)
            for key in range(0, changes, 2):
                # Half of the changes take a row away, the other half move one to another list.
                del rows[key]
                rows[key + 1] = (LISTS[(key + 2) % 3], key + 1)
            tell(f"{scope}, {changes} changes", config, rows)


def tell(what: str, config: dict[str, Any], rows: dict[int, tuple[str, int]]) -> None:
    """Print the requests of one run."""
    began = time.monotonic()
    summary = run(config, rows)
    requests: Counter[str] = Counter(summary["api"]["requests"])
    counts = {name: count for name, count in summary["records"].items() if count}
    print(f"{what}: {requests.total()} requests in {time.monotonic() - began:.1f} s, {counts}")
    for endpoint, count in sorted(requests.items()):
        print(f"    {count:>4}  {endpoint}")


if __name__ == "__main__":
    main()
