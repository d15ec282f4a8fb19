"""Eight teams in eight sandboxes, and the project of docs/how-to/many-teams that syncs them.

For tests that run the engines of that page for real. A start of Meltano costs more than all else,
and what an engine does is the same with any command: most teams are synced by a stand-in for
`meltano run`, which gives the target a file of rows. With ``ENGINES=whole`` (`make engines`) all
are synced by Meltano.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql

from target_apollo.demo.meltano import ROOT, executable
from target_apollo.demo.postgres import PostgresServer
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from tests.helpers.databases import database_on
from tests.helpers.how_tos import TARGET_INSTALLED
from tests.helpers.taps import surroundings

EXAMPLE = ROOT / "docs" / "how-to" / "many-teams"
#: Once, so that no two runs make Meltano's tables.
MAKE_TABLES = ["meltano", "state", "list"]
CREATE = "POST /contacts/bulk_create"
#: Whether all teams are synced by Meltano, and a quota is one of Apollo's own minutes.
WHOLE = os.environ.get("ENGINES") == "whole"
#: For how long the quota of the team "limited" is used up, in seconds.
LIMITED_SECONDS = 60 if WHOLE else 12
#: In place of ``meltano run … --state-id-suffix TEAM-STREAM …`` for all but these teams.
_STAND_IN = """#!/bin/sh
case "$*" in
state*|{by_meltano}) exec {meltano} "$@" ;;
esac
while [ "$1" != --state-id-suffix ]; do shift; done
mkdir -p "$MELTANO_SYS_DIR_ROOT/run/tap-postgres"
cp "{rows}/$2.json" "$MELTANO_SYS_DIR_ROOT/run/tap-postgres/tap.properties.json"
export TARGET_APOLLO_API_KEY="$APOLLO_API_KEY"
exec target-apollo --config ENV < "{rows}/$2.singer"
"""


def engine(name: str, command: str) -> Path:
    """A command of an engine that `make` has installed; without it the test is skipped."""
    path = ROOT / f".venv-{name}" / "bin" / command
    if not path.exists():
        pytest.skip(f"{name} is not installed: run `make .venv-{name}/.ready`")
    return path


@dataclass(frozen=True, eq=False)
class Team:
    """A team: how many rows each stream has in its warehouse, and what differs from the others.

    Attributes:
        settings: Further lines of its file of secrets.
        faults: What goes wrong in its sandbox.
        by_meltano: Whether it is synced by Meltano in any case.
    """

    name: str
    rows: Mapping[str, int]
    settings: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    by_meltano: bool = False

    @property
    def options(self) -> SandboxOptions:
        # A run that is made twice asks for more than its requests.
        limit = 3 if self.name == "limited" else 8
        return SandboxOptions(
            strict=True, api_keys={f"key-of-{self.name}": None}, minute_limit=limit
        )

    @property
    def syncs(self) -> list[str]:
        return [f"{self.name}/{stream}" for stream in self.rows]


def eight_teams() -> list[Team]:
    """Four that have nothing special, and one each that is limited, killed, refused, ordered."""
    # Somebody else has used what the quota leaves: once the second request is refused.
    refusal = Fault(CREATE, FaultKind.RATE_LIMITED, after=1, times=1, retry_after=LIMITED_SECONDS)
    slow = Fault(CREATE, FaultKind.SLOW, after=1, times=1, seconds=6)
    few = {"crm-contacts": 120}
    return [
        Team(
            "limited",
            {"crm-contacts": 450 if WHOLE else 150},
            {"TARGET_APOLLO_MAX_WAIT_SECONDS": "1"},
            () if WHOLE else (refusal,),
        ),
        Team("killed", {"crm-contacts": 250}, faults=(slow,), by_meltano=True),
        Team("refused", few, {"APOLLO_API_KEY": "key-of-somebody-else"}),
        Team("ordered", {"crm-accounts": 110, **few}),
        *(Team(f"plain-{number}", few) for number in range(4)),
    ]


def rows_of(stream: str, count: int) -> Iterator[dict[str, object]]:
    for number in range(1, count + 1):
        row: dict[str, object] = {"id": number, "name": f"Name {number}"}
        if stream == "crm-accounts":
            row["domain"] = f"company{number}.example"
        else:
            row["email"] = f"person{number}@company.example"
        yield row


def fill(database: PostgresServer, rows: Mapping[str, int]) -> None:
    """Make the tables ``crm.accounts`` and ``crm.contacts``, with so many rows each."""
    with psycopg.connect(database.url) as connection:
        connection.execute("create schema crm")
        for table, column in (("accounts", "domain"), ("contacts", "email")):
            connection.execute(
                sql.SQL(
                    "create table crm.{} (id integer primary key, {} text, name text,"
                    " updated_at timestamptz default timestamptz '2026-01-01')"
                ).format(sql.Identifier(table), sql.Identifier(column))
            )
            connection.cursor().executemany(
                sql.SQL("insert into crm.{} (id, {}, name) values (%s, %s, %s)").format(
                    sql.Identifier(table), sql.Identifier(column)
                ),
                [
                    (row["id"], row[column], row["name"])
                    for row in rows_of(f"crm-{table}", rows.get(f"crm-{table}", 0))
                ],
            )


@dataclass(frozen=True)
class Project:
    """The example's folder with Meltano's project in it, and the environment of an engine.

    Attributes:
        files: The folder with a folder for each sync.
        ledger: The database with the ledger.
        states: Meltano's database.
        tables: The database of the engine.
    """

    folder: Path
    files: Path
    environment: Mapping[str, str]
    ledger: PostgresServer
    states: PostgresServer
    tables: PostgresServer

    def call(self, *command: str) -> str:
        """Run a command to its end in the project's folder; return its output."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def change(self, name: str, before: str, after: str) -> None:
        """Put one text in the place of another in a file of the example, where it is once."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name}: {before}"
        path.write_text(text.replace(before, after), encoding="utf-8")


@contextmanager
def project_of(
    folder: Path, server: PostgresServer, teams: Mapping[Team, Sandbox], engine_folder: Path
) -> Iterator[Project]:
    """The project of the how-to, whose teams are these.

    Args:
        teams: Each team with the sandbox that it writes to.
        engine_folder: Where the commands of the engine are.
    """
    project, secrets = folder / "project", folder / "secrets"
    shutil.copytree(EXAMPLE, project)
    # The target is the one on the PATH, which has its driver of PostgreSQL.
    own = TARGET_INSTALLED.sub(r"\1", (ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (project / "meltano.yml").write_text(own, encoding="utf-8")
    (project / ".meltano").mkdir()
    (project / ".meltano" / "extractors").symlink_to(ROOT / ".meltano" / "extractors")
    streams = {team.name: list(team.rows) for team in teams}
    (project / "teams.yml").write_text(yaml.safe_dump(streams, sort_keys=False))
    secrets.mkdir(mode=0o700)
    with ExitStack() as stack:
        ledger, states, tables = (stack.enter_context(database_on(server)) for _ in range(3))
        for team, sandbox in teams.items():
            lines = {"APOLLO_API_KEY": sandbox.api_key, "TARGET_APOLLO_API_URL": sandbox.url}
            lines["TAP_POSTGRES_DATABASE"] = "none"
            if team.by_meltano or WHOLE:
                warehouse = stack.enter_context(database_on(server))
                fill(warehouse, team.rows)
                lines |= warehouse_lines(warehouse)
            path = secrets / f"{team.name}.env"
            path.touch(mode=0o600)
            lines |= team.settings
            path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        commands = [engine_folder, executable().parent, Path(sys.executable).parent]
        if not WHOLE:
            commands.insert(0, stand_in(folder, list(teams)))
        plain = Project(project, folder / "files", {}, ledger, states, tables)
        environment = {
            **surroundings(),
            "PATH": ":".join([*map(str, commands), os.environ["PATH"]]),
            "NO_COLOR": "1",
            "MELTANO_AUTO_INSTALL": "false",
            **environment_of(plain),
        }
        yield dataclasses.replace(plain, environment=environment)


def environment_of(project: Project) -> dict[str, str]:
    """The variables of the workers, as the how-to names them."""
    return {
        "MELTANO_ENVIRONMENT": "prod",
        "MELTANO_DATABASE_URI": with_driver(project.states, "psycopg"),
        "TARGET_APOLLO_LEDGER_URL": project.ledger.url,
        "TEAM_SECRETS": str(project.folder.parent / "secrets"),
        "TEAM_FILES": str(project.files),
    }


def warehouse_lines(warehouse: PostgresServer) -> dict[str, str]:
    return {
        "TAP_POSTGRES_HOST": warehouse.host,
        "TAP_POSTGRES_PORT": str(warehouse.port),
        "TAP_POSTGRES_USER": warehouse.user,
        "TAP_POSTGRES_PASSWORD": warehouse.password,
        "TAP_POSTGRES_DATABASE": warehouse.database,
    }


def stand_in(folder: Path, teams: list[Team]) -> Path:
    """A folder with a `meltano` that starts the target alone, with the rows of a team."""
    rows, commands = folder / "rows", folder / "commands"
    rows.mkdir()
    commands.mkdir()
    for team in teams:
        for stream, count in team.rows.items():
            properties = {
                name: {"type": ["integer", "string"]} for name in next(rows_of(stream, 1))
            }
            schema = {
                "stream": stream,
                "key_properties": ["id"],
                "schema": {"properties": properties},
            }
            lines = [{"type": "SCHEMA", **schema}]
            lines += [
                {"type": "RECORD", "stream": stream, "record": row}
                for row in rows_of(stream, count)
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (rows / f"{team.name}-{stream}.singer").write_text(text)
            table = {"breadcrumb": [], "metadata": {"selected": True}}
            catalog = {"streams": [{"tap_stream_id": stream, "metadata": [table]}]}
            (rows / f"{team.name}-{stream}.json").write_text(json.dumps(catalog))
    by_meltano = [f"*{team.name}-*" for team in teams if team.by_meltano]
    meltano = commands / "meltano"
    meltano.write_text(
        _STAND_IN.format(by_meltano="|".join(by_meltano), meltano=executable(), rows=rows)
    )
    meltano.chmod(0o755)
    return commands


def with_driver(server: PostgresServer, driver: str) -> str:
    return server.url.replace("postgresql:", f"postgresql+{driver}:")
