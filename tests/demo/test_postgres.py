"""The throw-away PostgreSQL: it answers, it is safe, and nothing of it stays."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from target_apollo.demo import postgres
from target_apollo.demo.postgres import PostgresError, PostgresServer, running_postgres, server_of

KILLED = """
import pathlib, sys, time
from target_apollo.demo.postgres import running_postgres
with running_postgres(pathlib.Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(300)
"""


@pytest.fixture(autouse=True)
def _no_database_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


def home_of(folder: Path) -> Path:
    return Path(json.loads((folder / postgres.NOTE_NAME).read_text())["home"])


def answers(url: str) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2).close()
        return True
    return False


def test_it_answers_and_is_gone_afterwards(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("show server_encoding").fetchone() == ("UTF8",)
        home = home_of(tmp_path)
        assert home.is_dir()
    assert not answers(server.url)
    assert not home.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_it_is_gone_when_the_caller_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), running_postgres(tmp_path) as server:
        _ = 1 / 0
    assert not answers(server.url)


@pytest.mark.full
def test_it_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        stranger = PostgresServer(server.host, server.port, server.user, server.database)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(stranger.url)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(stranger.url, password="postgres")


@pytest.mark.full
def test_it_listens_on_the_loopback_only(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("show unix_socket_directories").fetchone() == ("",)


@pytest.mark.full
def test_the_next_start_clears_away_what_a_killed_run_left(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        url = killed.stdout.readline().strip()
        assert answers(url)
        left = home_of(tmp_path)
        killed.send_signal(signal.SIGKILL)
    assert answers(url), "the server outlives a killed run; else this test shows nothing"
    with running_postgres(tmp_path):
        assert not answers(url)
        assert not left.exists()


@pytest.mark.full
def test_a_note_that_names_something_else_deletes_nothing(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / postgres.NOTE_NAME).write_text(json.dumps({"home": str(precious)}))
    with running_postgres(tmp_path):
        pass
    assert precious.is_dir()


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the server run by another user")
def test_as_root_the_server_runs_from_a_folder_that_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_open_to_others", lambda program: False)
    with running_postgres(tmp_path) as server:
        assert list(home_of(tmp_path).glob("wheel/**/bin/postgres"))
        assert answers(server.url)


def test_database_url_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s%40fe@db.example:6543/crm")
    with running_postgres(tmp_path) as server:
        assert server == PostgresServer("db.example", 6543, "me", "crm", "s@fe")
        assert server.url == "postgresql://me:s%40fe@db.example:6543/crm"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://me@host/db", "scheme"),
        ("postgresql://me@host:port/db", "port is no number"),
        ("postgresql://host/db", "host, user and database"),
        ("postgresql://me@host", "host, user and database"),
        ("postgresql:///db?host=/var/run/postgresql", "host, user and database"),
    ],
)
def test_a_database_url_that_the_tap_cannot_use_is_refused(url: str, problem: str) -> None:
    with pytest.raises(PostgresError, match=problem):
        server_of(url)


def test_the_password_stays_out_of_the_repr() -> None:
    assert "s@fe" not in repr(server_of("postgresql://me:s%40fe@db.example/crm"))
