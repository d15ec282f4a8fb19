"""`meltano run tap-postgres-leads qualify-leads target-apollo`, with every kind of lead."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from target_apollo.demo.crm_rows import CrmRows, Table
from target_apollo.demo.leads import Leads, fill_leads, leads
from target_apollo.demo.meltano import MeltanoRun, Project, install_plugins
from target_apollo.demo.postgres import PostgresServer
from target_apollo.demo.sandbox import API_KEY, RunningSandbox, running_sandbox
from target_apollo.demo.warehouse import fill
from target_apollo.mapper.explain import explain
from tests.helpers.databases import own_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The runs build on one another, and one PostgreSQL may stand behind DATABASE_URL for all of them.
pytestmark = pytest.mark.full

RULE = re.compile(r"rule (\w+): ([\d,]+) failed it first, ([\d,]+) at all")


@dataclass(frozen=True)
class Qualified:
    """A run of Meltano with the mapper, and what stood in the sandbox after it."""

    run: MeltanoRun
    verdicts: list[dict[str, Any]]
    requests: dict[str, int]
    accounts: dict[str, list[dict[str, Any]]]

    def verdict_by_id(self) -> dict[int, str]:
        return {int(verdict["key"]): verdict["verdict"] for verdict in self.verdicts}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_plugins()
    return tmp_path_factory.mktemp("qualify")


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(folder / "sandbox.log") as running:
        yield running


@pytest.fixture(scope="module")
def now() -> datetime:
    """The mapper's clock in the first run."""
    return datetime.now(timezone.utc).replace(microsecond=0)


@pytest.fixture(scope="module")
def table(now: datetime) -> Leads:
    return leads(now)


@pytest.fixture(scope="module")
def server(table: Leads) -> Iterator[PostgresServer]:
    with own_database() as running:
        fill(running.url, CrmRows(Table(), Table()))
        fill_leads(running.url, table.rows)
        yield running


@pytest.fixture(scope="module")
def project(folder: Path, server: PostgresServer, sandbox: RunningSandbox) -> Project:
    return Project(folder / "project", server, sandbox.api_url, API_KEY)


def qualify(project: Project, sandbox: RunningSandbox, clock: datetime, *options: str) -> Qualified:
    sandbox.forget_requests()
    file = project.folder / f"verdicts-{clock:%H%M%S}.jsonl"
    settings = {
        "MAP_APOLLO_LEADS_NOW": clock.isoformat(),
        "MAP_APOLLO_LEADS_VERDICTS_PATH": str(file),
    }
    blocks = (*options, "tap-postgres-leads", "qualify-leads", "target-apollo")
    run = project.run(*blocks, settings=settings)
    assert run.exit_code == 0, run.last_lines()
    verdicts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return Qualified(run, verdicts, sandbox.requests(), sandbox.accounts())


@pytest.fixture(scope="module")
def first(project: Project, sandbox: RunningSandbox, now: datetime) -> Qualified:
    return qualify(project, sandbox, now)


@pytest.fixture(scope="module")
def second(first: Qualified, project: Project, sandbox: RunningSandbox, now: datetime) -> Qualified:
    return qualify(project, sandbox, now + timedelta(minutes=10))


@pytest.fixture(scope="module")
def changed(table: Leads) -> int:
    """A lead that was synced by the first run and changes before the third."""
    return min(table.passing)


@pytest.fixture(scope="module")
def third(
    second: Qualified,
    project: Project,
    sandbox: RunningSandbox,
    server: PostgresServer,
    changed: int,
    now: datetime,
) -> Qualified:
    with psycopg.connect(server.url) as connection:
        connection.execute(
            "update crm.leads set name = 'A new name', updated_at = %s where id = %s",
            [now + timedelta(minutes=30), changed],
        )
    # From the start of the table, so that leads which did not change are read again too.
    return qualify(project, sandbox, now + timedelta(hours=1), "--full-refresh")


def test_the_first_run_brings_exactly_the_qualified_leads_to_apollo(
    first: Qualified, table: Leads
) -> None:
    assert first.accounts.keys() == set(table.passing.values())


def test_every_lead_has_the_verdict_that_it_was_made_for(first: Qualified, table: Leads) -> None:
    assert first.verdict_by_id() == {
        **dict.fromkeys(table.passing, "passed"),
        **dict.fromkeys(table.held, "held"),
        **dict.fromkeys(table.failing, "dropped"),
    }
    reasons = {
        int(verdict["key"]): tuple(failing["rule"] for failing in verdict["failing"])
        for verdict in first.verdicts
        if verdict["verdict"] == "dropped"
    }
    assert reasons == table.failing


def test_the_log_counts_the_leads_that_failed_each_rule(first: Qualified, table: Leads) -> None:
    counted = {rule: int(failed) for rule, _, failed in RULE.findall(first.run.text)}
    assert {rule: count for rule, count in counted.items() if count} == table.failing_by_rule


def test_each_lead_belongs_to_the_apollo_user_of_its_own_user(
    first: Qualified, table: Leads, sandbox: RunningSandbox
) -> None:
    users = [account["owner_id"] for (account,) in first.accounts.values()]
    assert None not in users
    by_id = {row["id"]: row["user_id"] for row in table.rows}
    owner_of = {
        (by_id[number], first.accounts[domain][0]["owner_id"])
        for number, domain in table.passing.items()
    }
    assert len(owner_of) == len({user for user, _ in owner_of}) == 2


def test_explain_tells_why_a_lead_was_not_sent(
    first: Qualified, table: Leads, project: Project, now: datetime
) -> None:
    number = next(number for number, rules in table.failing.items() if len(rules) == 2)
    told = explain(project.folder / f"verdicts-{now:%H%M%S}.jsonl", str(number))
    assert told.startswith(f"Lead {number} of crm-leads was dropped on ")
    assert "is already a customer (rule not_customer)" in told
    assert "the stage 'Cold' is below 'Interested' (rule stage)" in told


def test_a_lead_that_was_updated_one_minute_before_a_run_is_in_apollo_after_the_next(
    first: Qualified, second: Qualified, table: Leads
) -> None:
    held = set(table.held.values())
    assert held
    assert not held & first.accounts.keys()
    assert second.accounts.keys() == first.accounts.keys() | held


def test_the_second_run_reads_the_held_leads_and_no_other(second: Qualified, table: Leads) -> None:
    assert second.verdict_by_id() == dict.fromkeys(table.held, "passed")


def test_a_synced_lead_that_changed_is_updated_and_one_that_did_not_is_not_sent(
    second: Qualified, third: Qualified, table: Leads, changed: int
) -> None:
    verdicts = dict.fromkeys(table.passing, "dropped") | {changed: "passed"}
    # By the machine's clock they were synced within five minutes of their change: they pass
    # once more, and the target sees that nothing is new.
    verdicts |= dict.fromkeys(table.held, "passed")
    assert third.verdict_by_id() == verdicts | dict.fromkeys(table.failing, "dropped")
    assert third.requests.get("POST /accounts/bulk_create", 0) == 0
    (account,) = third.accounts[table.passing[changed]]
    assert account["name"] == "A new name"
    untouched = {**third.accounts, table.passing[changed]: second.accounts[table.passing[changed]]}
    assert untouched == second.accounts


@pytest.mark.parametrize("task", [("tap-postgres", "target-apollo"), ("sync-crm",)])
def test_the_table_of_leads_does_not_stand_in_the_way_of_the_other_commands(
    first: Qualified, project: Project, task: tuple[str, ...]
) -> None:
    assert first.accounts
    run = project.run(*task)
    assert run.exit_code == 0, run.last_lines()


def test_leads_without_the_mapper_are_left_out_where_the_project_says_so(
    first: Qualified, project: Project
) -> None:
    assert first.accounts
    blocks = ("--full-refresh", "tap-postgres-leads", "target-apollo")
    refused = project.run(*blocks)
    assert "Stream 'crm-leads' fits neither contacts nor accounts" in refused.text
    assert refused.exit_code != 0
    run = project.run(*blocks, settings={"TARGET_APOLLO_STREAMS": '{"crm-leads": false}'})
    assert run.exit_code == 0, run.last_lines()
    assert json.loads(project.summary.read_text())["left_out"]["crm-leads"] > 0
