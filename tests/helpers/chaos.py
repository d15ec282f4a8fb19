"""Chaos tests: target processes that meet all faults at once, are killed and started again.

A seed determines everything except races: mode, ledger, options of the sandbox, the rows and their
changes, the faults and the times of the kills. For a long test:

    python -m tests.helpers.chaos --seeds 100 --minutes 60
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psycopg

from target_apollo.demo.postgres import running_postgres
from target_apollo.sandbox import Sandbox
from tests.helpers.fault_mix import CountedFaults, order_faults, sandbox_options
from tests.helpers.lives import ChaosError, Kill, Life
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.oracle import Findings, Key, judge
from tests.helpers.plot import Plot, Scenario
from tests.helpers.warehouse import Values
from tests.ledger.conftest import own_schema
from tests.promises.conftest import read_rejects

#: Share of all requests that a fault strikes.
FAULTS = 0.10
#: Processes in one phase after which the faults stop, so that the phase ends, and most processes.
_MOST_WITH_FAULTS = 25
_MOST_PROCESSES = 60
#: Share of the processes whose connections to PostgreSQL are cut while it runs.
_CUT = 0.6


@dataclass
class ChaosCounts:
    """The counts of some scenarios, and the problems that were found."""

    seeds: int = 0
    rows: int = 0
    lives: int = 0
    kills: int = 0
    cuts: int = 0
    requests: int = 0
    faults: int = 0
    rejected: int = 0
    findings: Findings = field(default_factory=Findings)

    def __iadd__(self, other: ChaosCounts) -> ChaosCounts:
        for name in ("seeds", "rows", "lives", "kills", "cuts", "requests", "faults", "rejected"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("lost", "duplicates", "wrong", "unexplained"):
            getattr(self.findings, name).extend(getattr(other.findings, name))
        return self

    def __str__(self) -> str:
        return (
            f"seeds {self.seeds}, rows {self.rows}, requests {self.requests}, "
            f"faults {self.faults}, lives {self.lives}, kills {self.kills}, "
            f"connections cut {self.cuts}, rejected {self.rejected}, {self.findings.counts()}"
        )


class Chaos:
    """Runs a scenario."""

    def __init__(self, scenario: Scenario, folder: Path, sandbox: Sandbox, ledger_url: str) -> None:
        self._scenario = scenario
        self._folder = folder
        self._sandbox = sandbox
        self._chance = random.Random(scenario.seed)
        self._plot = Plot(scenario, sandbox, self._chance)
        self._state: Values | None = None
        self._ledger_url = ledger_url
        self._ledger_user = ""
        if scenario.ledger == "postgresql":
            self._ledger_user = f"chaos_{secrets.token_hex(6)}"
            self._ledger_url += f"&application_name={self._ledger_user}"
        self._rejects = folder / "rejects.singer"
        self._faults = CountedFaults()
        sandbox.faults = self._faults
        self._settings = {
            "batch_size": self._chance.randint(4, 40),
            "parallel_requests": self._chance.randint(1, 6),
            "update_method": scenario.update_method,
            "null_policy": "clear" if self._plot.clears else "ignore",
            "lists": self._chance.choice([[], ["Synced"]]),
        }
        self.counts = ChaosCounts(seeds=1)

    def play(self) -> ChaosCounts:
        """Runs all phases, sends rows again that were rejected because of faults, and compares."""
        self._plot.begin()
        mode = self._scenario.mode
        # Mode update writes rows that an upsert has linked, or that have their Apollo id.
        self._phase("upsert" if mode == "update" else mode)
        for _ in range(self._scenario.phases - 1):
            self._plot.change_between_runs()
            self._phase(mode)
        self._faults.clear()
        self._run_to_the_end(mode, kills=0)
        self._send_again(mode)
        findings = self._judge()
        findings.unexplained += [
            f"{stream} {key}: rejected though nothing is wrong any more"
            for stream, key in findings.passing
        ]
        self.counts.findings = findings
        self.counts.rows = findings.rows
        self.counts.faults = self._faults.struck
        self.counts.requests = self._requests()
        self.counts.rejected = len(read_rejects(self._rejects))
        return self.counts

    def _phase(self, mode: str) -> None:
        order_faults(self._sandbox, self._scenario.seed, FAULTS)
        self._run_to_the_end(mode, kills=self._scenario.kills)
        self._faults.clear()

    def _run_to_the_end(self, mode: str, *, kills: int) -> None:
        """Starts the target, each time from the last printed STATE, until a run ends by itself."""
        for number in range(_MOST_PROCESSES):
            if number == _MOST_WITH_FAULTS:
                self._faults.clear()
            kill = None
            if kills:
                most = max(4, 3 * self._scenario.rows // int(str(self._settings["batch_size"])))
                kill = Kill.random(self._chance, most_requests=most)
            messages = self._plot.warehouse.messages(
                self._state, state_every=self._chance.choice([1, 7, 20])
            )
            ended = self._live(mode, messages, kill)
            if ended.killed:
                kills -= 1
            elif ended.process.returncode == 0:
                return
            if self._chance.random() < 0.4:
                self._plot.change_values(8)
                self._plot.change_addresses(4)
        raise ChaosError(f"No run came to its end in {_MOST_PROCESSES} tries:\n{ended.log}")

    def _live(self, mode: str, messages: Iterator[bytes], kill: Kill | None) -> Life:
        life = Life(self._config(mode), self._sandbox, messages)
        with self._connections_cut():
            exit_code = life.end(kill)
        self.counts.lives += 1
        self.counts.kills += life.killed
        if life.states:
            self._state = life.states[-1]
        fine = {0, 1, 3}
        if life.killed and kill is not None:
            fine |= {-kill.number, 128 + kill.number}
        if exit_code not in fine or "Traceback" in life.log or "defect" in life.log:
            raise ChaosError(f"The target ended with exit code {exit_code}:\n{life.log}")
        return life

    @contextlib.contextmanager
    def _connections_cut(self) -> Iterator[None]:
        """Cuts the target's connections to PostgreSQL, after some requests while there are faults.

        The thread of the run, the heartbeat of its locks and its rate windows have one each.
        """
        if not self._ledger_user or not self._faults.ordered or self._chance.random() > _CUT:
            yield
            return
        ended = threading.Event()
        until = self._requests() + self._chance.randint(3, 25)

        def wait_and_cut() -> None:
            while not ended.wait(0.005):
                if self._requests() >= until:
                    self._cut()
                    return

        thread = threading.Thread(target=wait_and_cut)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _requests(self) -> int:
        return sum(self._sandbox.log.counts().values())

    def _cut(self) -> None:
        with psycopg.connect(self._ledger_url, application_name="", autocommit=True) as server:
            cut = server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [self._ledger_user],
            ).fetchall()
        self.counts.cuts += len(cut)

    def _config(self, mode: str) -> Path:
        path = self._folder / "config.json"
        path.write_text(
            json.dumps(
                {
                    "api_key": self._sandbox.api_key,
                    "api_url": self._sandbox.url,
                    "mode": mode,
                    "ledger_url": self._ledger_url,
                    "rejects_path": str(self._rejects),
                    "summary_path": str(self._folder / "summary.json"),
                    "state_interval_seconds": 0,
                    "request_timeout_seconds": 1,
                    "max_wait_seconds": 5,
                    "max_rejected_percent": 100,
                    "abort_rejected_percent": 100,
                    **self._settings,
                }
            )
        )
        path.chmod(0o600)
        return path

    def _send_again(self, mode: str) -> None:
        """Sends the good rows of the rejects file through the target."""
        again = set(self._judge().passing)
        lines = [
            line
            for line in self._rejects.read_bytes().splitlines(keepends=True)
            if (message := json.loads(line))["type"] == "SCHEMA" or self._is(message, again)
        ]
        if again:
            state = self._state
            self._live(mode, iter(lines), None)
            self._state = state

    def _is(self, message: Values, keys: set[Key]) -> bool:
        stream, record = message["stream"], message["record"]
        if (stream, record.get("id")) not in keys:
            return False
        table = next(table for table in self._plot.warehouse.tables if table.stream == stream)
        return bool(table.rows[record["id"]]["updated_at"] == record["updated_at"])

    def _judge(self) -> Findings:
        return judge(
            self._plot.warehouse,
            self._sandbox.store,
            read_rejects(self._rejects),
            self._plot.expected,
        )


def play(scenario: Scenario, folder: Path, *, postgresql: str = "") -> ChaosCounts:
    """Runs one scenario.

    Args:
        scenario: What to do.
        folder: An empty folder.
        postgresql: URL of an empty database, if the scenario has its ledger in PostgreSQL.

    Raises:
        ChaosError: A run hung, failed or never ended by itself.
        ValueError: The scenario has no ledger but a mode that needs one.
    """
    url = {
        "sqlite": f"sqlite:///{folder}/ledger.db",
        "postgresql": postgresql,
        "none": "",
    }[scenario.ledger]
    if scenario.mode != "upsert" and not url:
        raise ValueError(f"mode {scenario.mode} needs a ledger to come through kills")
    options = sandbox_options(random.Random(scenario.seed))
    with new_sandbox(options) as sandbox:
        return Chaos(scenario, folder, sandbox, url).play()


# --- many seeds


def _play_seed(seed: int, server_url: str) -> tuple[int, ChaosCounts]:
    scenario = Scenario.of(seed)
    with (
        tempfile.TemporaryDirectory(prefix=f"chaos-{seed}-") as folder,
        contextlib.ExitStack() as s,
    ):
        url = s.enter_context(own_schema(server_url)) if scenario.ledger == "postgresql" else ""
        try:
            return seed, play(scenario, Path(folder), postgresql=url)
        except ChaosError as broken:
            counts = ChaosCounts(seeds=1)
            counts.findings.unexplained.append(f"{scenario}: {broken}")
            return seed, counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs many seeds and prints a line of counts; returns 1 if there was any problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.helpers.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds at most")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, default=60, help="start no seed after that")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    total, until = ChaosCounts(), time.monotonic() + options.minutes * 60
    seeds = iter(range(options.first, options.first + options.seeds))
    with (
        tempfile.TemporaryDirectory(prefix="chaos-postgres-") as folder,
        running_postgres(Path(folder)) as server,
        ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        running = {
            pool.submit(_play_seed, seed, server.url) for seed in islice(seeds, options.jobs)
        }
        while running:
            done = next(as_completed(running))
            running.discard(done)
            seed, counts = done.result()
            total += counts
            lines = [f"seed {seed}: {counts}", *(f"  {p}" for p in counts.findings.problems)]
            print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201
            following = next(seeds, None) if time.monotonic() < until else None
            if following is not None:
                running.add(pool.submit(_play_seed, following, server.url))
    print(total)  # noqa: T201
    return 1 if total.findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
