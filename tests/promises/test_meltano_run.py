"""`meltano run tap-postgres target-apollo`, with a real PostgreSQL, Meltano and the sandbox."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from target_apollo.demo.crm_rows import CrmRows, crm_rows
from target_apollo.demo.meltano import ROOT, MeltanoRun, Project, executable, install_plugins
from target_apollo.demo.postgres import PostgresServer
from target_apollo.demo.sandbox import API_KEY, RunningSandbox, running_sandbox
from target_apollo.demo.steps import Snapshot
from target_apollo.demo.warehouse import Changes, change_some, fill
from tests.helpers.databases import own_database
from tests.helpers.tiers import sampled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITES = {"POST /accounts/bulk_create", "POST /contacts/bulk_create"}
UPDATES = {
    "PUT /accounts/{id}", "PATCH /accounts/{id}", "PATCH /contacts/{id}",
    "POST /accounts/bulk_update", "POST /contacts/bulk_update",
}  # fmt: skip


@dataclass(frozen=True)
class Sync:
    """A run of Meltano and what stood in the sandbox after it."""

    run: MeltanoRun
    summary: dict[str, Any]
    requests: dict[str, int]
    held: Snapshot

    def of(self, name: str) -> dict[str, Any]:
        """The counts of ``accounts`` or ``contacts``."""
        counts = self.summary["streams"][f"crm-{name}"]
        assert isinstance(counts, dict)
        return counts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    install_plugins()
    return tmp_path_factory.mktemp("meltano")


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(folder / "sandbox.log") as running:
        yield running


@pytest.fixture(scope="module")
def rows(sandbox: RunningSandbox) -> CrmRows:
    return crm_rows(accounts=300, contacts=700, workspace=sandbox.workspace())


@pytest.fixture(scope="module")
def server(rows: CrmRows) -> Iterator[PostgresServer]:
    with own_database() as database:
        fill(database.url, rows)
        yield database


@pytest.fixture(scope="module")
def project(folder: Path, server: PostgresServer, sandbox: RunningSandbox) -> Project:
    return Project(folder / "project", server, sandbox.api_url, API_KEY)


def sync(project: Project, sandbox: RunningSandbox, *blocks: str, **settings: str) -> Sync:
    sandbox.forget_requests()
    run = project.run(*blocks, settings=settings)
    assert run.exit_code == 0, run.last_lines()
    summary = json.loads(project.summary.read_text(encoding="utf-8"))
    return Sync(run, summary, sandbox.requests(), Snapshot.of(sandbox))


@pytest.fixture(scope="module")
def first(project: Project, sandbox: RunningSandbox) -> Sync:
    return sync(project, sandbox)


@pytest.fixture(scope="module")
def changes(first: Sync, server: PostgresServer, rows: CrmRows) -> Changes:
    return change_some(server.url, rows, contacts=12, accounts=5)


@pytest.fixture(scope="module")
def second(changes: Changes, project: Project, sandbox: RunningSandbox) -> Sync:
    return sync(project, sandbox)


@pytest.fixture(scope="module")
def third(second: Sync, project: Project, sandbox: RunningSandbox) -> Sync:
    return sync(project, sandbox, "sync-crm")


def test_the_first_run_brings_every_good_row_to_apollo_once(first: Sync, rows: CrmRows) -> None:
    for table, records in (
        (rows.accounts, first.held.accounts),
        (rows.contacts, first.held.contacts),
    ):
        assert records.keys() == table.row_of_key.keys()
        assert {len(found) for found in records.values()} == {1}


def test_each_outcome_is_counted_as_the_rows_were_made(first: Sync, rows: CrmRows) -> None:
    for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts)):
        counts = first.of(name)
        assert counts["created"] == len(table.row_of_key)
        assert counts["rejected_because"] == table.bad_by_reason
        again = counts["updated"] + counts["unchanged"] + counts["skipped"]
        assert again == len(table.duplicates)


def test_the_rejects_file_holds_the_bad_rows_and_no_other(
    first: Sync, rows: CrmRows, project: Project
) -> None:
    rejected = Counter()
    for line in project.rejects.read_text(encoding="utf-8").splitlines():
        message = json.loads(line)
        if (
            message["type"] == "RECORD"
            and message["record"]["_reject"]["run_id"] == (first.summary["run_id"])
        ):
            record = message["record"]
            rejected[message["stream"], record["id"], record["_reject"]["reason"]] += 1
    wanted = Counter(
        (f"crm-{name}", number, reason.value)
        for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts))
        for number, reason in table.bad.items()
    )
    assert rejected == wanted
    assert project.rejects.stat().st_mode & 0o777 == 0o600


def test_the_last_of_the_rows_with_one_key_is_what_stays(first: Sync, rows: CrmRows) -> None:
    for number in (rows.contacts.row_of_key[key] for key in rows.contacts.keys_twice):
        row = rows.contacts.rows[number - 1]
        (contact,) = first.held.contacts[str(row["email"]).strip().lower()]
        for column in ("first_name", "title", "organization_name"):
            if row[column] is not None:
                assert contact[column] == row[column], (number, column)


def test_unicode_names_and_idn_domains_arrive(first: Sync, rows: CrmRows) -> None:
    (account,) = first.held.accounts["xn--mller-shne-werke-swb5h.de"]
    assert account["name"] == "Müller & Söhne GmbH"
    assert any(not contact["first_name"].isascii() for (contact,) in first.held.contacts.values())


def test_a_contact_with_an_account_domain_hangs_on_that_account(first: Sync, rows: CrmRows) -> None:
    asked = [
        (key, str(rows.contacts.rows[number - 1]["account_domain"]).encode("idna").decode())
        for key, number in rows.contacts.row_of_key.items()
        if rows.contacts.rows[number - 1]["account_domain"]
    ]
    assert asked
    for email, domain in asked:
        (contact,), (account,) = first.held.contacts[email], first.held.accounts[domain]
        assert contact["account_id"] == account["id"]


@pytest.mark.full
def test_the_second_run_reads_only_what_changed_and_the_last_row_of_each_table(
    second: Sync, changes: Changes
) -> None:
    changed = len(changes.accounts) + len(changes.contacts)
    assert changed <= second.summary["records"]["received"] <= changed + 2


@pytest.mark.full
def test_the_second_run_updates_exactly_what_changed(
    first: Sync, second: Sync, changes: Changes
) -> None:
    for name, wanted, old, new in (
        ("accounts", changes.accounts, first.held.accounts, second.held.accounts),
        ("contacts", changes.contacts, first.held.contacts, second.held.contacts),
    ):
        assert second.of(name)["created"] == 0
        assert second.of(name)["updated"] == len(wanted)
        assert {key for key in new if new[key] != old.get(key)} == wanted.keys()
        for key, values in wanted.items():
            assert new[key][0].items() >= values.items()


@pytest.mark.full
def test_the_second_run_creates_nothing(second: Sync) -> None:
    assert not WRITES & second.requests.keys()


@pytest.mark.full
def test_the_job_writes_nothing_when_nothing_changed(second: Sync, third: Sync) -> None:
    assert not (WRITES | UPDATES) & third.requests.keys()
    assert third.held == second.held


@pytest.mark.full
def test_mode_insert_leaves_alone_what_is_there(
    third: Sync, folder: Path, server: PostgresServer, sandbox: RunningSandbox, rows: CrmRows
) -> None:
    fresh = Project(folder / "insert", server, sandbox.api_url, API_KEY)
    again = sync(fresh, sandbox, TARGET_APOLLO_MODE="insert")
    for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts)):
        assert again.of(name)["created"] == 0
        assert again.of(name)["existing"] == len(table.rows) - len(table.bad)
    assert not UPDATES & again.requests.keys()
    assert again.held == third.held


@pytest.mark.full
def test_meltano_s_extractor_is_the_source_of_all_links(first: Sync, project: Project) -> None:
    assert first.run.exit_code == 0
    with closing(sqlite3.connect(project.ledger_url.removeprefix("sqlite:///"))) as ledger:
        found = ledger.execute("SELECT DISTINCT source FROM apollo_links").fetchall()
    assert found == [("tap-postgres",)]


@pytest.mark.full
def test_mode_update_finds_apollo_ids_in_the_ledger(
    third: Sync,
    folder: Path,
    project: Project,
    server: PostgresServer,
    sandbox: RunningSandbox,
    rows: CrmRows,
) -> None:
    changes = change_some(server.url, rows, contacts=3, accounts=2, seed=23)
    updated = sync(
        project, sandbox, TARGET_APOLLO_MODE="update", TARGET_APOLLO_MAX_REJECTED_PERCENT="100"
    )
    assert not WRITES & updated.requests.keys()
    for wanted, old, new in (
        (changes.accounts, third.held.accounts, updated.held.accounts),
        (changes.contacts, third.held.contacts, updated.held.contacts),
    ):
        assert {key for key in new if new[key] != old.get(key)} == wanted.keys()


@pytest.mark.parametrize("run", sampled(["first", "second"]))
def test_the_logs_show_no_secret_and_no_address(
    run: str, server: PostgresServer, rows: CrmRows, request: pytest.FixtureRequest
) -> None:
    said = request.getfixturevalue(run).run.text
    assert server.password not in said
    for key in rows.contacts.row_of_key:
        assert key not in said.lower()


@pytest.mark.full
def test_production_without_a_key_says_which_variable_is_missing(
    folder: Path, server: PostgresServer
) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MELTANO_", "TARGET_APOLLO_", "APOLLO_"))
    }
    run = subprocess.run(
        [executable(), "--environment=prod", "run", "tap-postgres", "target-apollo"],
        cwd=ROOT,
        env={
            **environment,
            "MELTANO_SYS_DIR_ROOT": str(folder / "project" / "meltano"),
            "TAP_POSTGRES_HOST": server.host,
            "TAP_POSTGRES_PORT": str(server.port),
            "TAP_POSTGRES_USER": server.user,
            "TAP_POSTGRES_PASSWORD": server.password,
            "TAP_POSTGRES_DATABASE": server.database,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 1
    assert "'APOLLO_API_KEY' referenced but not set" in run.stdout + run.stderr
