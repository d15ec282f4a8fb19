"""Whether a lead that was updated one minute before a run arrives with the next run, by mapper.

    python benchmarks/held_lead.py [--peer PATH]

Runs tap | mapper twice, ten minutes apart by the mapper's clock: once with map-apollo-leads, once
with meltano-map-transform and a filter for the same rule ("not modified in the last 5 minutes"). As
in SDK taps, the bookmark is inclusive, and STATE comes at the end. The second run starts from the
STATE that the mapper passed on in the first run; the rows do not change in between. Two leads are
not settled in the first run, because every inclusive tap reads the newest row again. Without
``--peer``, meltano-map-transform is installed from the package index into a temporary environment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from bars import Bar
from mapper import peer_environment

FIRST_RUN = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
SECOND_RUN = FIRST_RUN + timedelta(minutes=10)
RESTED, A_MINUTE_AGO, NEWEST = 1, 2, 3
TABLE = [
    {"id": RESTED, "updated_at": (FIRST_RUN - timedelta(hours=1)).isoformat()},
    {"id": A_MINUTE_AGO, "updated_at": (FIRST_RUN - timedelta(minutes=1)).isoformat()},
    {"id": NEWEST, "updated_at": (FIRST_RUN - timedelta(seconds=20)).isoformat()},
]
OURS = {
    "streams": ["leads"],
    "verdicts_path": "",
    "rules": {
        **dict.fromkeys(["company_only", "not_customer", "icp_fit", "stage"], False),
        **dict.fromkeys(["not_quarantined", "valid_company", "owner_mapped", "not_synced"], False),
        "settled": {"minutes": 5},
    },
}


def our_config(_: datetime) -> dict[str, Any]:
    """The settings of map-apollo-leads, which reads the time from an environment variable."""
    return OURS


def peer_config(now: datetime) -> dict[str, Any]:
    """The settings of the peer, whose filter can't format the time as the bookmark has it."""
    settled = (now - timedelta(minutes=5)).isoformat()
    return {"stream_maps": {"leads": {"__filter__": f"record['updated_at'] <= '{settled}'"}}}


def tap(state: dict[str, Any]) -> bytes:
    """The output of the tap when it starts from this STATE."""
    since = state.get("bookmarks", {}).get("leads", {}).get("replication_key_value", "")
    rows = [row for row in TABLE if row["updated_at"] >= since]
    text = {"type": "string"}
    messages: list[dict[str, Any]] = [
        {
            "type": "SCHEMA",
            "stream": "leads",
            "schema": {"properties": {"id": {"type": "integer"}, "updated_at": text}},
            "key_properties": ["id"],
            "bookmark_properties": ["updated_at"],
        }
    ]
    messages += [{"type": "RECORD", "stream": "leads", "record": row} for row in rows]
    newest = max([since, *(str(row["updated_at"]) for row in rows)])
    bookmark = {"replication_key": "updated_at", "replication_key_value": newest}
    messages.append({"type": "STATE", "value": {"bookmarks": {"leads": bookmark}}})
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def run(
    command: list[str], config: dict[str, Any], now: datetime, state: dict[str, Any], folder: Path
) -> tuple[set[int], dict[str, Any]]:
    """Run tap | mapper; returns the ids of the leads and the last STATE that the target gets."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    done = subprocess.run(
        [*command, "--config", str(path)],
        input=tap(state),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MAP_APOLLO_LEADS_NOW": now.isoformat()},
        check=True,
        timeout=120,
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    leads = {message["record"]["id"] for message in messages if message["type"] == "RECORD"}
    states = [message["value"] for message in messages if message["type"] == "STATE"]
    return leads, states[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="path of the command meltano-map-transform")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = [given.peer or peer_environment(folder)]
        ours = [str(Path(sys.executable).with_name("map-apollo-leads"))]
        for way, command, config in (
            ("map-apollo-leads", ours, our_config),
            ("meltano-map-transform", peer, peer_config),
        ):
            first, state = run(command, config(FIRST_RUN), FIRST_RUN, {}, folder)
            second, _ = run(command, config(SECOND_RUN), SECOND_RUN, state, folder)
            fate = "arrived" if A_MINUTE_AGO in first | second else "LOST"
            print(
                f"{way:22} first run {sorted(first)}, second run {sorted(second)}: "
                f"lead {A_MINUTE_AGO} {fate}"
            )
            is_ours = command is ours
            print(
                Bar(
                    f"lead updated a minute before a run, {way}",
                    "arrives with the next run" if is_ours else "for comparison",
                    fate,
                    fate == "arrived" if is_ours else None,
                ).line
            )


if __name__ == "__main__":
    main()
