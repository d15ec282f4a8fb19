"""What happens to eight teams under an engine of docs/how-to/many-teams, for all engines."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from target_apollo.demo.postgres import PostgresServer
from target_apollo.sandbox import Sandbox
from tests.helpers.teams import CREATE, Project, Team

LONGEST_SECONDS = 600
KILLED = "killed/crm-contacts"
#: Syncs that need a second try -> how the first one ends.
CUT_OFF = {KILLED: "failed", "limited/crm-contacts": "later"}


@dataclass(frozen=True)
class EngineRun:
    """A try of the engine to make a sync: the life of one worker.

    Attributes:
        sync: Team and stream: ``acme/crm-contacts``.
        state: ``success``, ``failed``, ``later``, or ``running``.
        began: In seconds since 1970, as is ``ended``.
    """

    sync: str
    state: str
    began: float
    ended: float


class Engine(Protocol):
    """An engine that runs the example for real."""

    name: str
    command: str
    """One of its commands, by which it is known to be installed."""

    def settings(self, project: Project) -> dict[str, str]:
        """Its variables, as the how-to names them."""

    once: list[list[str]]
    """Commands that prepare it."""

    def hasten(self, project: Project) -> None:
        """Change in the example what the test does not wait for."""

    def commands(self) -> list[list[str]]:
        """Its processes, all of which go on until they are stopped."""

    def runs(self, project: Project) -> list[EngineRun]:
        """All tries, in the order in which they began."""

    def logs(self, project: Project) -> Path:
        """The folder with what its workers said."""

    def worker_of(self, parents: list[int]) -> list[int]:
        """What dies with the worker whose Meltano has these parents, the nearest first."""


@dataclass(frozen=True)
class Story:
    """What was there when all teams were done."""

    teams: list[Team]
    sandboxes: Mapping[str, Sandbox]
    runs: list[EngineRun]
    target_runs: list[tuple[str, datetime, datetime | None, int | None]]
    """Team, begin, end and exit code of each of the target's runs, from the ledger."""
    states: set[str]
    logs: Mapping[str, str]
    """What the engine and its workers said: name of the file -> text."""
    with_keys: str
    """The rows of the engine's tables that have a key in them."""

    def of(self, sync: str) -> list[EngineRun]:
        """The tries of a sync, or of all syncs of a team."""
        return [run for run in self.runs if sync in (run.sync, run.sync.split("/")[0])]


def story_of(
    engine: Engine, project: Project, teams: list[Team], sandboxes: Mapping[str, Sandbox]
) -> Story:
    """Run all teams to their ends, and kill a worker on the way."""
    log = project.files.parent / "engine.log"
    engine.hasten(project)
    for command in engine.once:
        project.call(*command)
    with started(project, engine.commands(), log) as alive:
        kill_a_worker(engine, project, sandboxes["killed"], alive)
        wait_until_done(engine, project, teams, alive)
    return Story(
        teams,
        sandboxes,
        engine.runs(project),
        target_runs(project),
        states_of(project),
        {
            path.name: path.read_text(errors="replace")
            for path in (log, *engine.logs(project).rglob("*"))
            if path.is_file()
        },
        lines_with(project.tables, "key-of-"),
    )


@contextlib.contextmanager
def started(project: Project, commands: list[list[str]], log: Path) -> Iterator[Callable[[], bool]]:
    """The processes of an engine, each in a group that ends with it; yields whether all live."""
    with log.open("wb") as output:
        processes = [
            subprocess.Popen(
                command,
                cwd=project.folder,
                env=project.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            for command in commands
        ]
    try:
        yield lambda: all(process.poll() is None for process in processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        end_all_in(project)


def end_all_in(project: Project) -> None:
    """End what engines put into sessions of their own."""
    for process, _ in processes(project):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def kill_a_worker(
    engine: Engine, project: Project, apollo: Sandbox, alive: Callable[[], bool]
) -> None:
    """Kill the worker of the team "killed", while its second request is answered."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while apollo.count(CREATE) < 2:
        assert time.monotonic() < deadline, "no request to the team that is to be killed"
        assert alive()
        time.sleep(0.05)
    (meltano,) = (
        process for process, words in processes(project) if "killed-crm-contacts" in words
    )
    for worker in engine.worker_of(list(parents_of(meltano))):
        os.kill(worker, signal.SIGKILL)


def processes(project: Project) -> Iterator[tuple[int, list[str]]]:
    """The id and the command line of each process of the engine, and of what it has started."""
    mark = f"TEAM_FILES={project.files}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(folder.name), words


def parents_of(process: int) -> Iterator[int]:
    """The parent, its parent, and so on."""
    while process > 1:
        status = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        process = int(status[1])
        yield process


def wait_until_done(
    engine: Engine, project: Project, teams: list[Team], alive: Callable[[], bool]
) -> None:
    """Until each sync has ended by the word of the engine; those that were cut off once more."""
    wanted = {sync for team in teams for sync in team.syncs}
    deadline = time.monotonic() + LONGEST_SECONDS
    missing = wanted
    while missing and time.monotonic() < deadline:
        assert alive()
        time.sleep(1)
        tries: dict[str, list[str]] = {sync: [] for sync in wanted}
        for run in engine.runs(project):
            tries[run.sync].append(run.state)
        missing = {
            sync
            for sync, states in tries.items()
            if not states
            or states[-1] not in ("success", "failed")
            or (sync in CUT_OFF and states == ["failed"])
        }


def target_runs(project: Project) -> list[tuple[str, datetime, datetime | None, int | None]]:
    return rows_in(
        project.ledger,
        "select connection, started_at, finished_at, exit_code from apollo_runs"
        " order by started_at",
    )


def states_of(project: Project) -> set[str]:
    return {name for (name,) in rows_in(project.states, "select state_id from state")}


def rows_in(database: PostgresServer, query: str) -> list[Any]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def lines_with(database: PostgresServer, text: str) -> str:
    """All rows of all tables that have this text in one of their columns."""
    found = []
    with psycopg.connect(database.url) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("select t::text from {} as t where t::text like %s")
            rows = connection.execute(query.format(sql.Identifier(table)), [f"%{text}%"])
            found += [f"{table}: {row}" for (row,) in rows]
    return "\n".join(found)
