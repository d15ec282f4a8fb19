"""What can go wrong with a ledger's database: one sentence, and whether trying again is enough."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from target_apollo.demo.postgres import PostgresServer, server_of
from target_apollo.ledger import (
    Intent,
    Ledger,
    LedgerError,
    LedgerUnusable,
    LinkOutcome,
    LinkStatus,
    Place,
    database,
)
from target_apollo.ledger.database import Address
from target_apollo.ledger.results import read_results
from tests.helpers.databases import database_on

TEAM = "5f5e100c0d4ae7000181a2b3"
PLACE = Place(TEAM, "contact", "contacts")
Sql = Callable[[str], list[tuple[object, ...]]]


def fill(ledger: Ledger, rows: int = 3) -> None:
    ledger.begin_run("run-1", TEAM, ["contacts"], "upsert", datetime.now(timezone.utc))
    outcomes = [
        LinkOutcome(str(n), LinkStatus.CREATED, f"{n:024x}", "h", match_hash=f"sha256:{n:064x}")
        for n in range(rows)
    ]
    ledger.record_outcomes(PLACE, "run-1", outcomes)
    ledger.finish_run("run-1", {"created": rows}, 0)


def failure(of: Callable[[], object]) -> LedgerError:
    with pytest.raises(LedgerError) as failed:
        of()
    sentence = str(failed.value)
    assert "ledger_url" in sentence
    assert "\n" not in sentence
    return failed.value


# A file that was damaged


@pytest.fixture
def file(sqlite_url: str) -> Path:
    with Ledger.open(sqlite_url) as ledger:
        fill(ledger, 2_000)
    return Path(sqlite_url.removeprefix("sqlite:///"))


def test_a_damaged_page_is_no_defect(file: Path, sqlite_url: str) -> None:
    content = bytearray(file.read_bytes())
    for at in range(4096, len(content), 4096):
        if b"\0" * 11 in content[at : at + 4096] and b"run-1" in content[at : at + 4096]:
            content[at : at + 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    with Ledger.open(sqlite_url) as ledger:
        problem = failure(lambda: ledger.links(PLACE, ["1", "777"]))
        assert isinstance(problem, LedgerUnusable)
        assert f"{file} (setting ledger_url) failed: database disk image is malformed" in str(
            problem
        )
        assert "Put a backup in its place" in str(problem)
        failure(lambda: list(ledger.links_of_stream(PLACE)))


def test_a_file_that_is_no_database_says_that_it_may_be_moved_away(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("Not a database at all, but longer than a hundred bytes. " * 10)
    problem = failure(lambda: Ledger.open(f"sqlite:///{other}"))
    assert isinstance(problem, LedgerUnusable)
    assert "move this one away" in str(problem)


# Values that nobody wrote

ODD_LINKS = [
    ("status", "'half'"),
    ("status", "x'00ff'"),
    ("apollo_id", "x'ff40ff'"),
    ("payload_hash", "x'ff'"),
    ("match_hash", "12"),
    ("last_synced_at", "'yesterday'"),
    ("last_synced_at", "x'00ff'"),
    ("first_synced_at", "9223372036854775807"),
    ("apollo_id", "'6095a710bd01d100a506d4ae'"),
]


@pytest.mark.parametrize(
    ("column", "value"),
    [*ODD_LINKS[:3], *(pytest.param(*one, marks=pytest.mark.full) for one in ODD_LINKS[3:])],
)
def test_an_odd_value_of_a_link_is_no_defect(
    file: Path, sqlite_url: str, column: str, value: str
) -> None:
    with closing(sqlite3.connect(file)) as changed, changed:
        changed.execute(f"UPDATE apollo_row_links SET {column} = {value} WHERE source_key = x'31'")
    with Ledger.open(sqlite_url) as ledger:
        problem = failure(lambda: ledger.links(PLACE, ["1"]))
        assert isinstance(problem, LedgerUnusable)
        assert str(file) in str(problem)
        assert "@" not in str(problem)
        assert list(ledger.links(PLACE, ["2"])) == ["2"]


def test_a_time_that_is_none_is_no_defect_for_the_mapper_and_the_tap(
    file: Path, sqlite_url: str
) -> None:
    with closing(sqlite3.connect(file)) as changed, changed:
        changed.execute(
            "UPDATE apollo_row_links SET last_synced_at = 'soon' WHERE source_key = x'31'"
        )
    with Ledger.open(sqlite_url) as ledger:
        assert isinstance(failure(lambda: ledger.synced_at("contacts", ["1"])), LedgerUnusable)
    address = Address.of(sqlite_url)
    with address.engine(read_only=True).connect() as connection:
        problem = failure(lambda: list(read_results(address, connection, None)))
    assert isinstance(problem, LedgerUnusable)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("streams", "'['"),
        ("streams", "'{}'"),
        ("counts", "'[1]'"),
        ("counts", '\'{"created": "many"}\''),
        ("started_at", "'then'"),
        ("exit_code", "'none'"),
        ("mode", "x'00'"),
    ],
)
def test_an_odd_value_of_a_run_is_no_defect(
    file: Path, sqlite_url: str, column: str, value: str
) -> None:
    with closing(sqlite3.connect(file)) as changed, changed:
        changed.execute(f"UPDATE apollo_runs SET {column} = {value}")
    with Ledger.open(sqlite_url) as ledger:
        assert isinstance(failure(lambda: ledger.runs(3)), LedgerUnusable)


@pytest.mark.parametrize(
    ("column", "value"), [("pid", "'many'"), ("heartbeat_at", "'now'"), ("acquired_at", "x'00'")]
)
def test_an_odd_value_of_a_lock_is_no_defect(
    file: Path, sqlite_url: str, column: str, value: str
) -> None:
    with Ledger.open(sqlite_url) as first, Ledger.open(sqlite_url) as second:
        first.lock(TEAM, "contacts", "run-1")
        with closing(sqlite3.connect(file)) as changed, changed:
            changed.execute(f"UPDATE apollo_locks SET {column} = {value}")
        assert isinstance(failure(lambda: second.lock(TEAM, "contacts", "2")), LedgerUnusable)


def test_a_version_that_is_no_number_is_no_defect(file: Path, sqlite_url: str) -> None:
    with closing(sqlite3.connect(file)) as changed, changed:
        changed.execute("DROP TABLE apollo_ledger_version")
        changed.execute("CREATE TABLE apollo_ledger_version (version)")
        changed.execute("INSERT INTO apollo_ledger_version VALUES ('five')")
    assert isinstance(failure(lambda: Ledger.open(sqlite_url)), LedgerUnusable)
    assert isinstance(failure(lambda: Ledger.open_existing(sqlite_url)), LedgerUnusable)


def test_a_table_that_lacks_a_column_is_no_defect(ledger: Ledger, run_sql: Sql) -> None:
    fill(ledger)
    run_sql("ALTER TABLE apollo_row_links RENAME COLUMN status TO former")
    assert isinstance(failure(lambda: ledger.links(PLACE, ["1"])), LedgerUnusable)


# A file that can't be used now


def test_a_file_that_another_program_holds_may_be_free_at_the_next_try(
    file: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Ledger.open(sqlite_url) as ledger:
            problem = failure(lambda: ledger.record_intents(PLACE, "run-1", [Intent("1")]))
    assert not isinstance(problem, LedgerUnusable)
    assert "Another program holds it" in str(problem)


def test_a_full_disk_may_have_room_at_the_next_try(sqlite_url: str) -> None:
    with Ledger.open(sqlite_url) as ledger:
        ledger._database.exec_driver_sql("PRAGMA max_page_count = 20")
        ledger._database.rollback()
        outcomes = [LinkOutcome(str(n), LinkStatus.ERROR) for n in range(5_000)]
        problem = failure(lambda: ledger.record_outcomes(PLACE, "run-1", outcomes))
    assert not isinstance(problem, LedgerUnusable)
    assert "Make room there" in str(problem)


def test_a_folder_in_place_of_the_file_takes_a_person(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    problem = failure(lambda: Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}"))
    assert isinstance(problem, LedgerUnusable)


# PostgreSQL


@pytest.fixture
def server(postgresql_server: str) -> PostgresServer:
    return server_of(postgresql_server)


def test_a_wrong_password_takes_a_person(server: PostgresServer) -> None:
    wrong = make_url(server.url).set(password="s3cret")
    problem = failure(lambda: Ledger.open(wrong.render_as_string(hide_password=False)))
    assert isinstance(problem, LedgerUnusable)
    assert "Correct the user and the password" in str(problem)
    assert "s3cret" not in str(problem)


def test_a_missing_database_takes_a_person(server: PostgresServer) -> None:
    wrong = make_url(server.url).set(database="no_such_database")
    problem = failure(lambda: Ledger.open(wrong.render_as_string(hide_password=False)))
    assert isinstance(problem, LedgerUnusable)
    assert "Create the database" in str(problem)


def test_a_user_without_rights_takes_a_person(server: PostgresServer) -> None:
    with database_on(server) as own, psycopg.connect(own.url, autocommit=True) as admin:
        user = sql.Identifier(own.database)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(user))
        admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        url = make_url(own.url).set(username=own.database, password="pw")
        try:
            problem = failure(lambda: Ledger.open(url.render_as_string(hide_password=False)))
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(user))
    assert isinstance(problem, LedgerUnusable)
    assert "right to create tables" in str(problem)


def test_a_server_that_is_down_may_be_up_at_the_next_try() -> None:
    problem = failure(lambda: Ledger.open("postgresql://ada:s3cret@127.0.0.1:1/crm"))
    assert not isinstance(problem, LedgerUnusable)
    assert "the server runs and can be reached" in str(problem)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("default_transaction_read_only = on", "takes no writes at present"),
        ("statement_timeout = 1", "allow this user more time"),
    ],
)
def test_what_a_server_refuses_for_now_may_be_taken_at_the_next_try(
    server: PostgresServer, setting: str, sentence: str
) -> None:
    with database_on(server) as own, Ledger.open(own.url) as ledger:
        ledger.lock(TEAM, "contacts", "run-1")
        outcomes = [LinkOutcome(str(n), LinkStatus.ERROR) for n in range(5_000)]
        ledger._database.exec_driver_sql(f"SET {setting}")
        ledger._database.commit()
        problem = failure(lambda: ledger.record_outcomes(PLACE, "run-1", outcomes))
        ledger._database.exec_driver_sql("RESET ALL")
        ledger._database.commit()
    assert not isinstance(problem, LedgerUnusable)
    assert sentence in str(problem)


def test_too_many_connections_may_be_fewer_at_the_next_try(server: PostgresServer) -> None:
    with database_on(server) as own, psycopg.connect(own.url, autocommit=True) as admin:
        user = sql.Identifier(own.database)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT 0 PASSWORD 'pw'").format(user))
        url = make_url(own.url).set(username=own.database, password="pw")
        try:
            problem = failure(lambda: Ledger.open(url.render_as_string(hide_password=False)))
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(user))
    assert not isinstance(problem, LedgerUnusable)
    assert "let the server or the pooler take more" in str(problem)
