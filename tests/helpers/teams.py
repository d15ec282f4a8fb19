"""Eight teams in eight sandboxes, each with a warehouse of its own and a file of secrets.

For tests that run the engines of docs/how-to/many-teams for real.
"""

from __future__ import annotations

import os
import shutil
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
from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.databases import database_on
from tests.helpers.how_tos import TARGET_INSTALLED
from tests.helpers.taps import surroundings

EXAMPLE = ROOT / "docs" / "how-to" / "many-teams"


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
    """

    name: str
    rows: Mapping[str, int]
    minute_limit: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> SandboxOptions:
        return SandboxOptions(
            strict=True,
            api_keys={f"key-of-{self.name}": None},
            minute_limit=self.minute_limit,
        )


def fill(database: PostgresServer, rows: Mapping[str, int]) -> None:
    """Make the tables ``crm.accounts`` and ``crm.contacts``, with so many rows each."""
    with psycopg.connect(database.url) as connection:
        connection.execute("create schema crm")
        for table, column, value in (
            ("accounts", "domain", "'company' || n || '.example'"),
            ("contacts", "email", "'person' || n || '@company.example'"),
        ):
            connection.execute(
                sql.SQL(
                    "create table crm.{table} as select n as id, {value} as {column},"
                    " 'Name ' || n as name, timestamptz '2026-01-01' as updated_at"
                    " from generate_series(1, {rows}) as n"
                ).format(
                    table=sql.Identifier(table),
                    column=sql.Identifier(column),
                    value=sql.SQL(value),
                    rows=sql.Literal(rows.get(f"crm-{table}", 0)),
                )
            )
            connection.execute(
                sql.SQL("alter table crm.{} add primary key (id)").format(sql.Identifier(table))
            )


@dataclass(frozen=True)
class Project:
    """The example's folder with Meltano's project in it, and the environment of an engine.

    Attributes:
        shared: The database with the ledger, and with the schemas ``meltano`` and ``dagster``.
    """

    folder: Path
    environment: Mapping[str, str]
    shared: PostgresServer


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
        shared = stack.enter_context(database_on(server))
        with psycopg.connect(shared.url) as connection:
            connection.execute("create schema meltano")
            connection.execute("create schema dagster")
        for team, sandbox in teams.items():
            warehouse = stack.enter_context(database_on(server))
            fill(warehouse, team.rows)
            lines = secret_lines(sandbox, warehouse) | team.settings
            path = secrets / f"{team.name}.env"
            path.touch(mode=0o600)
            path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        commands = [engine_folder, executable().parent, Path(sys.executable).parent]
        yield Project(
            project,
            {
                **surroundings(),
                "PATH": ":".join([*map(str, commands), os.environ["PATH"]]),
                "NO_COLOR": "1",
                "MELTANO_ENVIRONMENT": "prod",
                "MELTANO_AUTO_INSTALL": "false",
                "MELTANO_DATABASE_URI": _in_schema(shared, "psycopg", "meltano"),
                "TARGET_APOLLO_LEDGER_URL": shared.url,
                "TEAM_SECRETS": str(secrets),
                "TEAM_FILES": str(folder / "files"),
                "DAGSTER_HOME": str(project),
                "DAGSTER_DATABASE_URL": _in_schema(shared, "psycopg2", "dagster"),
            },
            shared,
        )


def secret_lines(sandbox: Sandbox, warehouse: PostgresServer) -> dict[str, str]:
    return {
        "APOLLO_API_KEY": sandbox.api_key,
        "TARGET_APOLLO_API_URL": sandbox.url,
        "TAP_POSTGRES_HOST": warehouse.host,
        "TAP_POSTGRES_PORT": str(warehouse.port),
        "TAP_POSTGRES_USER": warehouse.user,
        "TAP_POSTGRES_PASSWORD": warehouse.password,
        "TAP_POSTGRES_DATABASE": warehouse.database,
    }


def _in_schema(server: PostgresServer, driver: str, schema: str) -> str:
    url = server.url.replace("postgresql:", f"postgresql+{driver}:")
    return f"{url}?options=-csearch_path%3D{schema}"
