"""docs/how-to/many-teams.md under Dagster: eight teams, a small quota, a wrong key, a kill."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from target_apollo.demo.meltano import install_plugins
from target_apollo.demo.postgres import running_postgres
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.teams import Project, Team, engine, project_of

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

CREATE = "POST /contacts/bulk_create"
EVERY_HOUR = '"0 * * * *"'
LONGEST_SECONDS = 400
CONTACTS = {"crm-contacts": 150}
TEAMS = [
    Team("with-accounts", {"crm-accounts": 120, **CONTACTS}),
    Team("killed", {"crm-contacts": 450}),
    # Three requests a minute for five hundred rows, and a run that does not wait for the next.
    Team("limited", {"crm-contacts": 450}, 3, {"TARGET_APOLLO_MAX_WAIT_SECONDS": "1"}),
    Team("refused", CONTACTS, settings={"APOLLO_API_KEY": "key-of-somebody-else"}),
    *(Team(f"plain-{number}", CONTACTS) for number in range(4)),
]
CUT_OFF = {"killed/crm-contacts", "limited/crm-contacts"}


@dataclass(frozen=True)
class EngineRun:
    """A run of Dagster, from when to when its worker lived."""

    partition: str
    status: str
    began: float
    ended: float
    retry: str | None
    """Which try after a dead worker it is."""


@dataclass(frozen=True)
class Story:
    """What was there when all teams were done."""

    sandboxes: Mapping[str, Sandbox]
    runs: list[EngineRun]
    target_runs: list[tuple[str, datetime, datetime | None, int | None]]
    """Team, begin, end and exit code of each of the target's runs, from the ledger."""
    states: set[str]
    files: Path
    log: str

    def of(self, team: str) -> list[EngineRun]:
        return [run for run in self.runs if run.partition.startswith(f"{team}/")]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    dagster = engine("dagster", "dagster")
    install_plugins()
    folder = tmp_path_factory.mktemp("teams")
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres(folder / "postgres"))
        teams = {team: stack.enter_context(new_sandbox(team.options)) for team in TEAMS}
        sandboxes = {team.name: sandbox for team, sandbox in teams.items()}
        sandboxes["killed"].inject(Fault(CREATE, FaultKind.SLOW, after=1, times=1, seconds=8))
        project = stack.enter_context(project_of(folder, server, teams, dagster.parent))
        # Once, so that no two runs make Meltano's tables.
        call(project, "meltano", "state", "list")
        schedule_soon(project.folder / "dagster_teams.py")
        with dagster_daemon(project, folder / "daemon.log") as daemon:
            kill_the_worker_of("killed-crm-contacts", sandboxes["killed"], daemon)
            wait_until_done(project, daemon)
        yield Story(
            sandboxes,
            engine_runs(project),
            target_runs(project),
            states_of(project),
            folder / "files",
            (folder / "daemon.log").read_text(errors="replace"),
        )


def call(project: Project, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def schedule_soon(definitions: Path) -> None:
    """Let the schedule tick once, at a full minute by which the daemon is up."""
    soon = datetime.now(timezone.utc) + timedelta(seconds=75)
    text = definitions.read_text(encoding="utf-8")
    assert text.count(EVERY_HOUR) == 1
    definitions.write_text(text.replace(EVERY_HOUR, f'"{soon.minute} {soon.hour} * * *"'))


@contextlib.contextmanager
def dagster_daemon(project: Project, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon with its code server, in a group of processes that ends with it."""
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            ["dagster-daemon", "run", "-f", "dagster_teams.py"],
            cwd=project.folder,
            env=project.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield daemon
    finally:
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def kill_the_worker_of(state_id: str, apollo: Sandbox, daemon: subprocess.Popen[bytes]) -> None:
    """Kill the worker that runs this sync, while its second request is answered."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while apollo.count(CREATE) < 2:
        assert time.monotonic() < deadline
        assert daemon.poll() is None
        time.sleep(0.05)
    (worker,) = {parent for parent, words in processes() if state_id in words}
    os.kill(worker, signal.SIGKILL)


def processes() -> Iterator[tuple[int, list[str]]]:
    """The parent and the command line of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            yield int(status[1]), words


def wait_until_done(project: Project, daemon: subprocess.Popen[bytes]) -> None:
    """Until each team has its rows by the word of Dagster, and the refused one its failure."""
    wanted = {f"{team.name}/{stream}" for team in TEAMS for stream in team.rows}
    deadline = time.monotonic() + LONGEST_SECONDS
    done: set[str] = set()
    while done < wanted and time.monotonic() < deadline:
        assert daemon.poll() is None
        time.sleep(1)
        latest = {run.partition: run for run in engine_runs(project)}
        ends = {name: run.status for name, run in latest.items() if run.ended}
        done = {name for name, end in ends.items() if end == "SUCCESS" or "refused" in name}
        # These two end before all their rows are there.
        tries = Counter(run.partition for run in engine_runs(project))
        done -= {name for name in CUT_OFF if tries[name] < 2}


def engine_runs(project: Project) -> list[EngineRun]:
    with psycopg.connect(project.shared.url) as connection:
        rows = connection.execute(
            "select partition, status, coalesce(start_time, 0), coalesce(end_time, 0),"
            " (select value from dagster.run_tags where run_tags.run_id = runs.run_id"
            "  and key = 'dagster/retry_number') from dagster.runs as runs order by id"
        ).fetchall()
    return [EngineRun(*row) for row in rows]


def target_runs(
    project: Project,
) -> list[tuple[str, datetime, datetime | None, int | None]]:
    with psycopg.connect(project.shared.url) as connection:
        return connection.execute(
            "select connection, started_at, finished_at, exit_code from apollo_runs"
            " order by started_at"
        ).fetchall()


def states_of(project: Project) -> set[str]:
    with psycopg.connect(project.shared.url) as connection:
        return {name for (name,) in connection.execute("select state_id from meltano.state")}


def test_every_row_is_in_its_team_once(story: Story) -> None:
    for team in TEAMS:
        store = story.sandboxes[team.name].store
        emails = Counter(str(contact["email"]) for contact in store.contacts())
        domains = Counter(str(account["domain"]) for account in store.accounts())
        there = 0 if team.name == "refused" else team.rows["crm-contacts"]
        assert len(emails) == there, team.name
        assert len(domains) == team.rows.get("crm-accounts", 0), team.name
        assert set((emails + domains).values()) <= {1}, team.name


def test_no_team_is_asked_beyond_its_quota(story: Story) -> None:
    for name, sandbox in story.sandboxes.items():
        assert 429 not in {seen.status for seen in sandbox.requests}, name


def test_a_team_whose_quota_ends_is_gone_on_with_after_its_window(story: Story) -> None:
    first, second = story.of("limited")
    assert (first.status, second.status) == ("SUCCESS", "SUCCESS")
    sent = [seen.at for seen in story.sandboxes["limited"].requests if seen.endpoint == CREATE]
    assert len(sent) == 5
    later = [at for at in sent if at > second.began]
    assert later
    assert later[0] - sent[0] > 60


def test_a_wrong_key_is_not_tried_again_and_harms_no_other_team(story: Story) -> None:
    (run,) = story.of("refused")
    assert run.status == "FAILURE"
    assert {end for team in TEAMS if team.name != "refused" for end in last_ends(story, team)} == {
        "SUCCESS"
    }


def last_ends(story: Story, team: Team) -> set[str]:
    latest = {run.partition: run.status for run in story.of(team.name)}
    assert len(latest) == len(team.rows)
    return set(latest.values())


def test_a_dead_worker_is_taken_over_by_another(story: Story) -> None:
    first, second = story.of("killed")
    assert (first.status, second.status) == ("FAILURE", "SUCCESS")
    assert second.retry == "1"


def test_of_one_team_one_sync_runs_at_a_time(story: Story) -> None:
    for team in TEAMS:
        runs = sorted(story.of(team.name), key=lambda run: run.began)
        for before, after in itertools.pairwise(runs):
            assert before.ended <= after.began, team.name
    by_team = defaultdict(list)
    for name, began, ended, _ in story.target_runs:
        by_team[name].append((began, ended))
    for spans in by_team.values():
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert ended is None or ended <= began


def test_accounts_go_before_the_contacts_of_their_team(story: Story) -> None:
    runs = sorted(story.of("with-accounts"), key=lambda run: run.began)
    assert [run.partition.split("/")[1] for run in runs] == ["crm-accounts", "crm-contacts"]


def test_each_stream_of_each_team_has_its_state_in_postgresql(story: Story) -> None:
    assert story.states == {
        f"prod:tap-postgres-to-target-apollo:{team.name}-{stream}"
        for team in TEAMS
        for stream in team.rows
        if team.name != "refused"
    }


def test_no_secret_is_in_the_definition_the_log_or_dagsters_tables(story: Story) -> None:
    for team in TEAMS:
        assert f"key-of-{team.name}" not in story.log
    assert "key-of-somebody-else" not in story.log
