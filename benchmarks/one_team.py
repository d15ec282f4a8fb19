"""Several processes that write to one team at the same time: 429s and wall time, beside one alone.

    python benchmarks/one_team.py [--processes 1 3 8]

As in `quota.py`, bulk_create requests go to a sandbox with short windows, and there is always work:
a minute is 6 seconds with 60 requests, an hour 18 seconds with 150, and the work fills two hours
and the first minute of a third. The processes share the windows through a ledger in SQLite, and
each does its part of the same requests. Wall time is that between the first request and the last.
The exit code is 1 if there was a 429, or if several processes took over 5 % longer than one.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bars import Bar
from quota import (
    DAY_SECONDS,
    HOUR_LIMIT,
    MINUTE_LIMIT,
    contacts,
    sandbox,
    seen,
)

from target_apollo.apollo import CONTACT_ENDPOINTS, ApiKeyAuth, ApolloClient, Transport
from target_apollo.ledger import Ledger

MINUTE_SECONDS, HOUR_SECONDS = 6.0, 18.0
REQUESTS = 2 * HOUR_LIMIT + MINUTE_LIMIT
MOST_TIMES_ONE = 1.05
_THREADS = 4


def send(url: str, ledger_url: str, begin_at: float, numbers: range) -> None:
    """Be one of the processes: send the requests of these numbers as fast as the pacing allows."""
    transport = Transport(
        api_url=url,
        auth=ApiKeyAuth("sandbox"),
        max_retries=3,
        request_timeout_seconds=60,
        max_wait_seconds=600,
        parallel_requests=_THREADS,
        stop=threading.Event(),
        learns_limits=True,
        window_seconds=(MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS),
    )
    client = ApolloClient(transport)
    left = iter(numbers)
    one_at_a_time = threading.Lock()

    def work() -> None:
        while True:
            with one_at_a_time:
                number = next(left, None)
            if number is None:
                return
            client.create(CONTACT_ENDPOINTS, contacts(number))

    with Ledger.open(ledger_url) as ledger, contextlib.closing(ledger.shared_windows("t")) as store:
        transport.share_windows(store)
        time.sleep(max(0.0, begin_at - time.time()))
        threads = [threading.Thread(target=work) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.close()


def measure(processes: int) -> tuple[float, int]:
    """Seconds between the first request and the last, and the number of 429s."""
    with (
        sandbox(HOUR_LIMIT, MINUTE_SECONDS, HOUR_SECONDS) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        ledger_url = f"sqlite:///{folder}/ledger.db"
        Ledger.open(ledger_url).close()
        begin_at = time.time() + 2 + processes
        started = [
            subprocess.Popen(
                [
                    *(sys.executable, str(Path(__file__)), "--as-process", url, ledger_url),
                    *(str(begin_at), str(number), str(processes)),
                ]
            )
            for number in range(processes)
        ]
        ends = [process.wait() for process in started]
        if any(ends):
            raise RuntimeError("a process failed")
        moments, refused = seen(url)
    if len(moments) != REQUESTS:
        raise RuntimeError(f"{len(moments)} of {REQUESTS} requests came through")
    return moments[-1] - moments[0], refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 3, 8])
    parser.add_argument("--as-process", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_process:
        url, ledger_url, begin_at, number, processes = arguments.as_process
        numbers = range(int(number), REQUESTS, int(processes))
        send(url, ledger_url, float(begin_at), numbers)
        return
    alone = 0.0
    bars: list[Bar] = []
    for processes in arguments.processes:
        seconds, refused = measure(processes)
        alone = alone or seconds
        name = f"{processes} process{'es' * (processes > 1)} on one team"
        print(f"{name}: {REQUESTS} requests in {seconds:.2f} s, {seconds / alone:.3f} x the first")
        bars += [
            Bar(f"429s of {name}", "0", str(refused), refused == 0),
            Bar(
                f"wall time of {name}",
                f"at most {MOST_TIMES_ONE} times one",
                f"{seconds / alone:.3f}",
                seconds <= MOST_TIMES_ONE * alone,
            ),
        ]
    for bar in bars:
        print(bar.line)
    sys.exit(0 if all(bar.met for bar in bars) else 1)


if __name__ == "__main__":
    main()
