"""Rows to Apollo, their results back: real processes, a real PostgreSQL, the SQL of the docs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from target_apollo.sandbox import Sandbox
from tests.helpers.databases import own_database
from tests.helpers.loading import Loaded
from tests.promises.conftest import CONTACT_SCHEMA, TargetRun, record, schema

DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "results.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)
Database = psycopg.Connection[tuple[Any, ...]]

CONTACTS = [
    {"id": 1, "email": "ann@one.example", "owner_email": " Robin.Rep@sandbox.example"},
    {"id": 2, "email": "ben@two.example", "owner_email": None},
    {"id": 3, "email": "cleo@three.example", "owner_id": "f" * 24, "owner_email": None},
    {"id": 4, "email": "dan@four.example", "owner_email": "nobody@elsewhere.example"},
    {"id": 5, "email": "eve@five.example", "owner_email": None},
]
LEADS = [{"email": "Zoe+x@lead.example"}, {"email": "max@lead.example"}]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with (
        own_database() as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        yield connection


@pytest.fixture
def warehouse(database: Database) -> Iterator[Database]:
    """Contacts and leads as a CRM has them, the fifth contact not synced yet."""
    database.execute("create schema crm")
    database.execute("create schema apollo")
    database.execute("create table crm.contacts (id bigint, email text, owner_email text)")
    database.execute("create table crm.leads (email text)")
    with database.cursor() as cursor:
        cursor.executemany(
            "insert into crm.contacts values (%(id)s, %(email)s, %(owner_email)s)", CONTACTS
        )
        cursor.executemany("insert into crm.leads values (%(email)s)", LEADS)
    yield database
    database.execute("drop schema crm, apollo cascade")


@pytest.fixture
def synced(apollo: Sandbox, run_target: Callable[..., TargetRun]) -> TargetRun:
    """The target's run over the leads and four of the contacts."""
    return run_target(
        [
            schema("crm-contacts"),
            *(record("crm-contacts", **contact) for contact in CONTACTS[:4]),
            schema("crm-leads", CONTACT_SCHEMA, key="email"),
            *(record("crm-leads", **lead) for lead in LEADS),
        ],
        streams={"crm-leads": {"object": "contacts"}},
    )


@pytest.fixture
def results(tmp_path: Path) -> Callable[[Loaded], Loaded]:
    """Runs the tap as a process, with the settings file that the target had."""

    def run(into: Loaded) -> Loaded:
        command = [str(Path(sys.executable).with_name("tap-apollo-sync"))]
        command += ["--config", str(tmp_path / "config.json")]
        if into.state is not None:
            (tmp_path / "state.json").write_text(json.dumps(into.state))
            command += ["--state", str(tmp_path / "state.json")]
        done = subprocess.run(command, capture_output=True, timeout=120, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return into.load(done.stdout.splitlines())

    return run


def fill(database: Database, loaded: Loaded) -> None:
    """Puts what was loaded into tables of the schema `apollo`, as a loader does."""
    for stream, table in loaded.tables.items():
        columns = list(next(iter(table.values()), {}))
        if not columns:
            continue
        kinds = {name: "timestamptz" for name in columns if name.endswith("_at")}
        kinds |= {"deleted": "boolean", "options": "jsonb"}
        name = sql.Identifier("apollo", stream)
        database.execute(sql.SQL("drop table if exists {}").format(name))
        database.execute(
            sql.SQL("create table {} ({})").format(
                name,
                sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(kinds.get(c, "text")))
                    for c in columns
                ),
            )
        )
        values = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        with database.cursor() as cursor:
            cursor.executemany(
                sql.SQL("insert into {} values ({})").format(name, values),
                [
                    [Jsonb(v) if isinstance(v, list) else v for v in row.values()]
                    for row in table.values()
                ],
            )


def answers(database: Database, mark: str) -> list[tuple[Any, ...]]:
    """What the docs' query with these words in it gives."""
    (query,) = [query for query in QUERIES if mark in query]
    return database.execute(query.encode()).fetchall()


def test_a_warehouse_sees_what_became_of_each_row(
    synced: TargetRun, results: Callable[[Loaded], Loaded], warehouse: Database
) -> None:
    assert synced.records["created"] == 4
    assert sorted(synced.reasons) == ["refused_by_apollo", "unknown_name"]
    fill(warehouse, results(Loaded()))

    found = {row[0]: row[1:] for row in answers(warehouse, "never sent")}
    assert {number: row[:2] for number, row in found.items() if number != 4} == {
        1: ("created", None),
        2: ("created", None),
        3: ("rejected", "refused_by_apollo"),
        5: ("never sent", None),
    }
    assert {number for number, row in found.items() if row[2] is not None} == {1, 2}


@pytest.mark.full
def test_a_row_that_is_rejected_before_any_request_is_a_result(
    synced: TargetRun, results: Callable[[Loaded], Loaded]
) -> None:
    assert results(Loaded()).results["4"]["reason"] == "unknown_name"


@pytest.mark.full
def test_a_warehouse_joins_rows_whose_key_is_an_address(
    synced: TargetRun,
    results: Callable[[Loaded], Loaded],
    warehouse: Database,
    apollo: Sandbox,
) -> None:
    fill(warehouse, results(Loaded()))
    (function,) = [query for query in QUERIES if "create or replace function" in query]
    warehouse.execute(function.encode())
    found = answers(warehouse, "apollo_source_key(leads.email)")
    ids = {contact["email"]: contact["id"] for contact in apollo.store.contacts()}
    assert sorted(found) == sorted(
        (lead["email"], "created", ids[lead["email"].lower()]) for lead in LEADS
    )


@pytest.mark.full
def test_a_warehouse_finds_owners_that_are_nobody_in_apollo(
    synced: TargetRun, results: Callable[[Loaded], Loaded], warehouse: Database
) -> None:
    fill(warehouse, results(Loaded()))
    assert answers(warehouse, "users.id is null") == [("nobody@elsewhere.example", 1)]


@pytest.mark.full
def test_a_warehouse_counts_outcomes(
    synced: TargetRun, results: Callable[[Loaded], Loaded], warehouse: Database
) -> None:
    fill(warehouse, results(Loaded()))
    assert [row[:4] for row in answers(warehouse, "group by stream, outcome, reason")][:1] == [
        ("crm-contacts", "created", None, 2)
    ]


@pytest.mark.full
def test_the_next_run_brings_what_the_next_sync_changed(
    synced: TargetRun,
    results: Callable[[Loaded], Loaded],
    run_target: Callable[..., TargetRun],
    warehouse: Database,
) -> None:
    loaded = results(Loaded())
    mended = {"id": 3, "email": "cleo@three.example"}
    run_target(
        [
            schema("crm-contacts"),
            record("crm-contacts", **mended),
            record("crm-contacts", **CONTACTS[4]),
        ]
    )
    loaded = results(loaded)
    assert {"3", "5"} <= set(loaded.given)
    fill(warehouse, loaded)
    found = {row[0]: row[1] for row in answers(warehouse, "never sent")}
    assert {found[number] for number in (1, 2, 5)} <= {"created", "updated"}
    # It was rejected for its owner alone, after it was created with all that it says now.
    assert found[3] == "unchanged"
