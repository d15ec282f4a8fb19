from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from target_apollo.demo.postgres import server_of
from target_apollo.ledger import Ledger
from tests.helpers.databases import database_on, shared_server
from tests.helpers.poolers import needs_pgbouncer, pgbouncer, transaction_pooler


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """URL of a real server: that of DATABASE_URL, else one started here."""
    return os.environ.get("DATABASE_URL") or shared_server().url


@contextmanager
def own_schema(server_url: str) -> Iterator[str]:
    name = f"ledger_{secrets.token_hex(6)}"
    plain = server_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as server:
        server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield f"{plain}{'&' if '?' in plain else '?'}options=-csearch_path%3D{name}"
        server.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """URL of an empty schema of its own on the server."""
    with own_schema(postgresql_server) as url:
        yield url


@pytest.fixture
def next_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """URL of another empty schema in the same database."""
    with own_schema(postgresql_server) as url:
        yield url


@pytest.fixture(
    params=[
        "transaction_pooler",
        pytest.param("pgbouncer", marks=[pytest.mark.full, needs_pgbouncer]),
    ]
)
def pooler_url(request: pytest.FixtureRequest, postgresql_server: str) -> Iterator[str]:
    """URL of an empty database behind a pooler that gives each transaction another session."""
    pooler = pgbouncer if request.param == "pgbouncer" else transaction_pooler
    with database_on(server_of(postgresql_server)) as database, pooler(database) as pooled:
        yield pooled.url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """A ledger that does not exist yet, in each of the databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def opened(ledger_url: str) -> Iterator[Callable[[], Ledger]]:
    """Open the ledger as often as a test asks; all are closed in the end."""
    ledgers: list[Ledger] = []

    def open_one() -> Ledger:
        ledgers.append(Ledger.open(ledger_url))
        return ledgers[-1]

    yield open_one
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(opened: Callable[[], Ledger]) -> Ledger:
    return opened()


@pytest.fixture
def run_sql(ledger_url: str) -> Callable[[str], list[tuple[object, ...]]]:
    """Run SQL on the ledger's database, beside the ledger's own code."""

    def run(statement: str) -> list[tuple[object, ...]]:
        if ledger_url.startswith("sqlite"):
            path = Path(ledger_url.removeprefix("sqlite:///"))
            path.parent.mkdir(exist_ok=True)
            with closing(sqlite3.connect(path, timeout=30)) as file, file:
                return file.execute(statement).fetchall()
        with psycopg.connect(ledger_url) as server:
            cursor = server.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run
