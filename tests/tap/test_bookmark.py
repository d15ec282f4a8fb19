"""The tap misses no result, however writes to the ledger and runs of the tap overlap."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from target_apollo.ledger import Ledger
from target_apollo.ledger.database import Address
from target_apollo.ledger.values import number_of_moment
from target_apollo.tap import bookmark
from target_apollo.tap.bookmark import CLOCKS_DIFFER_BY, bookmark_before, settled_until
from tests.helpers.loading import Loaded
from tests.tap.conftest import TEAM, created, save

Sql = Callable[[str], object]


def write_link(run_sql: Sql, moment: datetime, binary: str = "BYTEA") -> None:
    """Write the link of the key `late` of a stream of its own."""
    run_sql(
        "INSERT INTO apollo_scopes (connection, object, stream, source) "
        f"VALUES ('{TEAM}', 'contact', 'late', '')"
    )
    run_sql(
        "INSERT INTO apollo_row_links (scope, source_key, status, changed_at) "
        f"SELECT number, CAST('late' AS {binary}), 2, {number_of_moment(moment)} "
        "FROM apollo_scopes WHERE stream = 'late'"
    )


def settled(url: str) -> datetime | None:
    address = Address.of(url)
    with address.engine(read_only=True).connect() as database:
        return settled_until(address, database)


@pytest.fixture
def _clocks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the allowance for clocks away, which would hide what else a bookmark stands on."""
    monkeypatch.setattr(bookmark, "CLOCKS_DIFFER_BY", timedelta(0))


def test_the_bookmark_allows_for_clocks_that_differ(ledger: Ledger, ledger_url: str) -> None:
    address = Address.of(ledger_url)
    with address.engine(read_only=True).connect() as database:
        found = bookmark_before(address, database)
    assert found is not None
    allowed = datetime.now(timezone.utc) - found
    assert CLOCKS_DIFFER_BY <= allowed < CLOCKS_DIFFER_BY + timedelta(seconds=60)


def test_what_a_slow_clock_wrote_after_the_reading_is_not_missed(
    ledger: Ledger, load: Callable[..., Loaded], run_sql: Callable[[str], object], ledger_url: str
) -> None:
    loaded = load(Loaded())
    slow = datetime.now(timezone.utc) - timedelta(minutes=4)
    write_link(run_sql, slow, "BLOB" if ledger_url.startswith("sqlite") else "BYTEA")
    assert "late" in load(loaded).given


@pytest.mark.usefixtures("_clocks_agree")
def test_a_write_to_sqlite_that_is_under_way_is_waited_for(sqlite_url: str) -> None:
    Ledger.open(sqlite_url).close()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        stamped = datetime.now(timezone.utc)
        write_link(writer.execute, stamped, "BLOB")
        found: list[datetime | None] = []
        reader = threading.Thread(target=lambda: found.append(settled(sqlite_url)))
        reader.start()
        time.sleep(0.3)
        assert found == []
        writer.execute("COMMIT")
        reader.join(30)
    assert found[0] is not None
    assert found[0] > stamped


@pytest.fixture
def late(postgresql_url: str) -> Iterator[psycopg.Connection]:
    """A transaction that has written to a ledger in PostgreSQL, and does not end."""
    Ledger.open(postgresql_url).close()
    with psycopg.connect(postgresql_url) as writer:
        writer.execute("select 1")
        write_link(lambda one: writer.execute(one.encode()), datetime.now(timezone.utc))
        yield writer


@pytest.mark.usefixtures("_clocks_agree")
@pytest.mark.parametrize("ledger_url", [pytest.param("postgresql", id="postgresql")], indirect=True)
def test_what_commits_after_the_reading_is_not_missed(
    late: psycopg.Connection, load: Callable[..., Loaded], ledger_url: str
) -> None:
    time.sleep(0.05)
    with Ledger.open(ledger_url) as ledger:
        save(ledger, created("early"))
    loaded = load(Loaded())
    assert loaded.given == ["early"]

    late.commit()

    assert "late" in load(loaded).given
    assert load(loaded).given == []


def test_the_bookmark_stands_before_the_oldest_open_write(
    late: psycopg.Connection, postgresql_url: str
) -> None:
    (began,) = late.execute("select now()").fetchone() or (None,)
    time.sleep(0.05)
    assert settled(postgresql_url) == began
    late.rollback()
    found = settled(postgresql_url)
    assert found is not None
    assert found > began


def test_a_transaction_that_only_reads_holds_no_bookmark(postgresql_url: str) -> None:
    Ledger.open(postgresql_url).close()
    with psycopg.connect(postgresql_url) as reader:
        reader.execute("select count(*) from apollo_links")
        began = datetime.now(timezone.utc)
        found = settled(postgresql_url)
    assert found is not None
    assert found >= began - timedelta(seconds=1)


@pytest.fixture
def reader_url(postgresql_url: str, postgresql_server: str) -> Iterator[str]:
    """The same ledger for a role that may read it, and nothing else."""
    schema = postgresql_url.rpartition("%3D")[2]
    role = f"reader_of_{schema}"
    plain = postgresql_server.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as server:
        name = sql.Identifier(role)
        server.execute(sql.SQL("create role {}").format(name))
        server.execute(sql.SQL("grant {} to current_user").format(name))
        server.execute(
            sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(schema), name)
        )
        server.execute(
            sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(
                sql.Identifier(schema), name
            )
        )
        yield f"{postgresql_url}%20-crole%3D{role}"
        server.execute(sql.SQL("drop owned by {}").format(name))
        server.execute(sql.SQL("drop role {}").format(name))


def test_where_a_write_s_start_is_hidden_the_bookmark_stays(
    reader_url: str, late: psycopg.Connection
) -> None:
    assert settled(reader_url) is None
    late.commit()
    assert settled(reader_url) is not None
