"""429s caused by the client itself, and the share of each rate window that it uses.

    python benchmarks/quota.py [--threads 4]

Parallel threads send bulk_create requests of 100 contacts to the sandbox, a process of its own
whose windows are scaled: a minute of 3 seconds with 60 requests, an hour of 10 seconds with 150.
There is always work, for three windows: first three minutes with an hour that does not matter, then
three hours, each of which ends in the middle of its third minute. The figures are counted from the
requests that the sandbox saw. A window's share is what was used of its limit or, where a longer
window left less, of that. Exit code 1 when there was a 429, or a window was used to less than 95 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bars import Bar

from target_apollo.apollo import CONTACT_ENDPOINTS, ApiKeyAuth, ApolloClient, Transport

CREATE = "POST /contacts/bulk_create"
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 3.0, 10.0, 86_400.0
MINUTE_LIMIT, HOUR_LIMIT, NO_LIMIT = 60, 150, 1_000_000
WINDOWS_OF_WORK = 3
LEAST_SHARE = 0.95


@dataclass
class Window:
    """One window of the sandbox: when it opened, what it could take, and what it took."""

    opened: float
    room: int
    used: int = 0

    @property
    def share(self) -> float:
        return self.used / self.room


@contextlib.contextmanager
def sandbox(hour_limit: int) -> Iterator[str]:
    command = [sys.executable, "-m", "target_apollo.sandbox", "--port", "0"]
    lengths = {"minute": MINUTE_SECONDS, "hour": HOUR_SECONDS, "day": DAY_SECONDS}
    for window, seconds in lengths.items():
        command += [f"--{window}-seconds", str(seconds)]
    command += ["--minute-limit", str(MINUTE_LIMIT), "--hour-limit", str(hour_limit)]
    command += ["--day-limit", str(NO_LIMIT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def contacts(batch: int) -> list[dict[str, object]]:
    return [
        {"email": f"person{number}@example.com", "last_name": f"Person {number}"}
        for number in range(batch % 20 * 100, batch % 20 * 100 + 100)
    ]


def send(url: str, requests: int, threads: int) -> tuple[float, int]:
    """Send as fast as the client allows; wall seconds, and 429s by the client's own count."""
    transport = Transport(
        api_url=url,
        auth=ApiKeyAuth("sandbox"),
        max_retries=3,
        request_timeout_seconds=60,
        max_wait_seconds=600,
        parallel_requests=threads,
        stop=threading.Event(),
        learns_limits=True,
        window_seconds=(MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS),
    )
    client = ApolloClient(transport)
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(
            lambda batch: client.create(CONTACT_ENDPOINTS, contacts(batch)), range(requests)
        ):
            pass
    seconds = time.perf_counter() - began
    transport.close()
    return seconds, transport.counters.snapshot()["rate_limited"]


def seen(url: str) -> tuple[list[float], int]:
    """Moments of the requests that the sandbox counted, and how many it refused with 429."""
    address = url.removesuffix("/api/v1") + "/_sandbox/requests?bodies=no&last=5000"
    with urllib.request.urlopen(address, timeout=30) as answer:
        requests = [one for one in json.load(answer)["requests"] if one["endpoint"] == CREATE]
    counted = sorted(one["at"] for one in requests if one["status"] == 200)
    return counted, sum(one["status"] == 429 for one in requests)


def windows(moments: list[float], hour_limit: int) -> tuple[list[Window], list[Window]]:
    """The minutes and hours that these requests opened."""
    minutes: list[Window] = []
    hours: list[Window] = []
    for moment in moments:
        if not hours or moment >= hours[-1].opened + HOUR_SECONDS:
            hours.append(Window(moment, hour_limit))
        if not minutes or moment >= minutes[-1].opened + MINUTE_SECONDS:
            left = hour_limit - hours[-1].used
            minutes.append(Window(moment, min(MINUTE_LIMIT, left)))
        minutes[-1].used += 1
        hours[-1].used += 1
    return minutes, hours


def shares(found: list[Window]) -> str:
    return ", ".join(f"{100 * one.share:.1f} %" for one in found)


def measure(name: str, requests: int, hour_limit: int, threads: int, shortest: float) -> bool:
    """Print a run's figures; return whether they reach the bars."""
    with sandbox(hour_limit) as url:
        seconds, own_429s = send(url, requests, threads)
        moments, refused = seen(url)
    minutes, hours = windows(moments, hour_limit)
    limiting = minutes if hour_limit == NO_LIMIT else minutes + hours
    assert refused == own_429s
    print(f"{name}: {requests} requests of 100 contacts, {threads} threads")
    print(f"  429s                     {refused}")
    print(f"  used of each minute      {shares(minutes)}")
    if hour_limit != NO_LIMIT:
        print(f"  used of each hour        {shares(hours)}")
    print(f"  wall time                {seconds:.2f} s; the limits alone need {shortest:.0f} s")
    least = min(one.share for one in limiting)
    bars = [
        Bar(f"429s of its own, {name.lower()}", "0", str(refused), refused == 0),
        Bar(
            f"used of each window, {name.lower()}",
            f"at least {LEAST_SHARE:.0%}",
            f"{least:.1%}",
            least >= LEAST_SHARE,
        ),
    ]
    for bar in bars:
        print(bar.line)
    return all(bar.met for bar in bars)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=4)
    threads = parser.parse_args().threads
    # The last window need not be waited out.
    minutes_well_used = measure(
        "Three minutes",
        WINDOWS_OF_WORK * MINUTE_LIMIT,
        NO_LIMIT,
        threads,
        shortest=(WINDOWS_OF_WORK - 1) * MINUTE_SECONDS,
    )
    hours_well_used = measure(
        "Three hours",
        WINDOWS_OF_WORK * HOUR_LIMIT,
        HOUR_LIMIT,
        threads,
        shortest=(WINDOWS_OF_WORK - 1) * HOUR_SECONDS + HOUR_LIMIT // MINUTE_LIMIT * MINUTE_SECONDS,
    )
    sys.exit(0 if minutes_well_used and hours_well_used else 1)


if __name__ == "__main__":
    main()
