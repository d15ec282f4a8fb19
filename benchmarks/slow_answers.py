"""The time to create 10,000 contacts in an Apollo that takes two seconds for each answer.

    python benchmarks/slow_answers.py [--rows 10000] [--seconds 2] [--parallel auto 4]

The time is that of the whole process: about five answers are awaited one after the other before
requests go out side by side.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bars import Bar
from processes import order_fault, sandbox
from throughput import timed, write_messages

GOAL = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="that an answer takes")
    parser.add_argument("--parallel", nargs="+", default=["auto", "4"])
    arguments = parser.parse_args()
    for parallel in arguments.parallel:
        with tempfile.TemporaryDirectory() as name, sandbox("--plan", "unlimited") as url:
            folder = Path(name)
            messages = folder / "contacts.singer"
            write_messages(messages, arguments.rows)
            order_fault(url, endpoint="*", kind="slow", seconds=arguments.seconds, times=None)
            config = {
                "api_key": "sandbox",
                "api_url": url,
                "unknown_fields": "ignore",
                "parallel_requests": parallel,
            }
            (folder / "config.json").write_text(json.dumps(config))
            command = [sys.executable, "-m", "target_apollo", "--config", "config.json"]
            wall, _, _ = timed(command, messages, folder)
        what = (
            f"{arguments.rows:,} new contacts, answers of {arguments.seconds:g} s, "
            f"`parallel_requests: {parallel}`"
        )
        has_goal = parallel == "auto"
        bar = f"under {GOAL:g} s" if has_goal else "for comparison"
        print(Bar(what, bar, f"{wall:.1f} s", wall < GOAL if has_goal else None).line, flush=True)


if __name__ == "__main__":
    main()
