"""The 429s that the client causes itself, and the share of each rate window that it uses.

    python benchmarks/quota.py [--threads 4]

Parallel threads send bulk_create requests of 100 contacts to a sandbox process with short windows:
a minute of 3 seconds with 60 requests, an hour of 10 seconds with 150. They always have work, first
for three minutes without an hour limit, then for three hours, each of which is used up in its third
minute. The figures are counted from the sandbox's log of requests. The share of a window is the
number of its requests divided by its limit or, if a longer window leaves less room, by that. The
exit code is 1 if there was a 429 or less than 95 % of a window was used.
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
    """One rate window: when it opened (epoch seconds), how many requests it could take and took."""

    opened: float
    room: int
    used: int = 0

    @property
    def share(self) -> float:
        return self.used / self.room


@contextlib.contextmanager
def sandbox(
    hour_limit: int, minute_seconds: float = MINUTE_SECONDS, hour_seconds: float = HOUR_SECONDS
) -> Iterator[str]:
    command = [sys.executable, "-m", "target_apollo.sandbox", "--port", "0"]
    lengths = {"minute": minute_seconds, "hour": hour_seconds, "day": DAY_SECONDS}
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
    """Send as fast as the client allows; wall seconds, and the number of 429s that it counted."""
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
    """Times of the requests that passed, and the number that the sandbox refused with 429."""
    address = url.removesuffix("/api/v1") + "/_sandbox/requests?bodies=no&last=5000"
    with urllib.request.urlopen(address, timeout=30) as answer:
        log = json.load(answer)["requests"]
    requests = [request for request in log if request["endpoint"] == CREATE]
    passed = sorted(request["at"] for request in requests if request["status"] == 200)
    return passed, sum(request["status"] == 429 for request in requests)


def windows(moments: list[float], hour_limit: int) -> tuple[list[Window], list[Window]]:
    """The minute windows and the hour windows that these requests opened."""
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


def shares(windows: list[Window]) -> str:
    return ", ".join(f"{100 * window.share:.1f} %" for window in windows)


def measure(name: str, requests: int, hour_limit: int, threads: int, shortest: float) -> bool:
    """Print the figures of a run; returns whether they reach the bars."""
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
    least = min(window.share for window in limiting)
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
    # A run need not wait for the end of its last window.
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
