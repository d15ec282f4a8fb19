"""Starts the target and the sandbox as processes for the benchmarks, and controls the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapper import high_water_mark

Message = dict[str, Any]
_LOOK_EVERY_SECONDS = 0.02
_LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class TargetRun:
    """One run of the target: exit code, wall seconds, peak resident MB, and its summary."""

    exit_code: int
    seconds: float
    peak_mb: float
    summary: Message

    @property
    def outcomes(self) -> dict[str, int]:
        return {
            name: count
            for name, count in self.summary["records"].items()
            if count and name != "received"
        }


@contextlib.contextmanager
def sandbox(*arguments: str) -> Iterator[str]:
    """Run a sandbox on a free port; gives the base URL of its API."""
    with sandbox_process(*arguments) as (url, _):
        yield url


@contextlib.contextmanager
def sandbox_process(*arguments: str) -> Iterator[tuple[str, int]]:
    """Run a sandbox on a free port; gives the base URL of its API and the id of its process."""
    command = [sys.executable, "-m", "target_apollo.sandbox", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def run_target(url: str, messages: Path, folder: Path, settings: Mapping[str, Any]) -> TargetRun:
    """Run the target on a file of Singer messages; the files that it writes stay in `folder`.

    Raises SystemExit with the end of the log if the target fails.
    """
    summary, config = folder / "summary.json", folder / "config.json"
    summary.unlink(missing_ok=True)
    given = {"api_key": "sandbox", "api_url": url, "summary_path": str(summary), **settings}
    config.write_text(json.dumps(given))
    command = [sys.executable, "-m", "target_apollo", "--config", str(config)]
    # The key and the URL of the caller's own Apollo must not be used.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TARGET_APOLLO_")
    }
    log_path = folder / "log"
    began = time.perf_counter()
    with messages.open("rb") as source, log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=source, stdout=log, stderr=log, cwd=folder, env=environment
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, high_water_mark(process.pid))
            if time.perf_counter() - began > _LONGEST_SECONDS:
                process.kill()
            time.sleep(_LOOK_EVERY_SECONDS)
    seconds = time.perf_counter() - began
    if process.returncode or not summary.exists():
        end = log_path.read_text("utf-8", "replace")[-2000:]
        raise SystemExit(f"the target ended with exit code {process.returncode}:\n{end}")
    return TargetRun(process.returncode, seconds, peak, json.loads(summary.read_text()))


def write_messages(path: Path, messages: Iterable[Message]) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps(message) + "\n" for message in messages)


def seed(url: str, **rows: list[Message]) -> Message:
    """Add contacts, accounts, users and custom_fields to the sandbox; returns them with ids."""
    added: Message = _control(url, "seed", rows)
    return added


def forget_requests(url: str) -> None:
    _control(url, "reset", {"what": ["log"]})


def requests_seen(url: str) -> list[Message]:
    """The last 5,000 requests, oldest first: `endpoint`, `status`, `body`, `at`."""
    seen: list[Message] = _control(url, "requests")["requests"]
    return seen


def request_counts(url: str) -> dict[str, int]:
    """Endpoint -> number of requests since the last `forget_requests`."""
    counts: dict[str, int] = _control(url, "requests?last=1")["counts"]
    return counts


def order_fault(url: str, **fault: Any) -> None:
    """Order a fault of the sandbox by the attributes of its `Fault`."""
    _control(url, "faults", fault)


def _control(url: str, name: str, body: Message | None = None) -> Any:
    address = f"{url.removesuffix('/api/v1')}/_sandbox/{name}"
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=content)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
