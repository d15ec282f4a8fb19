"""`meltano run` with whole tables of this project's tap-postgres: rows that vanish and return."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from target_apollo.demo.meltano import Project, install_plugins
from target_apollo.demo.sandbox import API_KEY, RunningSandbox, running_sandbox
from tests.helpers.databases import own_database

pytestmark = pytest.mark.full

STAGE = "Bad Data"
WHOLE = {
    "TAP_POSTGRES__METADATA": json.dumps({"*": {"replication-method": "FULL_TABLE"}}),
    "TAP_POSTGRES__SELECT": json.dumps(["crm-contacts.*"]),
    "TAP_POSTGRES_EMIT_ACTIVATE_VERSION_MESSAGES": "true",
    "TARGET_APOLLO_ON_DELETE": f"stage:{STAGE}",
}


@dataclass
class Pipeline:
    """A table of contacts, a Meltano project and a sandbox."""

    project: Project
    sandbox: RunningSandbox
    url: str

    def change(self, statement: str) -> None:
        """Runs an SQL statement in the warehouse."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())

    def run(self) -> dict[str, Any]:
        """One ``meltano run``; gives its summary."""
        run = self.project.run(settings=WHOLE)
        assert run.exit_code == 0, run.last_lines()
        summary = json.loads(self.project.summary.read_text(encoding="utf-8"))
        assert isinstance(summary, dict)
        return summary

    def stage_ids(self) -> dict[str, str]:
        """E-mail address -> id of the stage."""
        return {
            email: str(contact["contact_stage_id"])
            for email, (contact,) in self.sandbox.contacts().items()
        }


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    install_plugins()
    with running_sandbox(tmp_path / "sandbox.log") as sandbox, own_database() as server:
        project = Project(tmp_path / "project", server, sandbox.api_url, API_KEY)
        made = Pipeline(project, sandbox, server.url)
        made.change("create schema crm")
        made.change("create table crm.contacts (id integer primary key, email text)")
        made.change(
            "insert into crm.contacts select n, 'p' || n || '@a.com' from generate_series(1, 20) n"
        )
        yield made


def test_a_row_that_vanishes_between_two_runs_is_moved_and_comes_back(pipeline: Pipeline) -> None:
    pipeline.run()
    before = pipeline.stage_ids()

    pipeline.change("delete from crm.contacts where id = 7")
    gone = pipeline.run()

    assert gone["deleted"] == {"crm-contacts": 1}
    after = pipeline.stage_ids()
    assert [email for email in after if after[email] != before[email]] == ["p7@a.com"]

    pipeline.change("insert into crm.contacts values (7, 'p7@a.com')")
    back = pipeline.run()

    assert back["returned"] == {"crm-contacts": 1}
    assert pipeline.stage_ids() == before
