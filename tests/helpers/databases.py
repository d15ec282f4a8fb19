"""The PostgreSQL of all tests of a process, and databases of their own on it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from target_apollo.demo.postgres import PostgresServer, running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

_started = contextlib.ExitStack()


@functools.cache
def shared_server() -> PostgresServer:
    """The server of ``DATABASE_URL``, or one that is started at its first use.

    It stays until `stop_server`, which the end of the tests calls. A test that stops a server or
    looks at its files has one of its own, by ``running_postgres``.
    """
    folder = _started.enter_context(tempfile.TemporaryDirectory(prefix="tests-postgres-"))
    return _started.enter_context(running_postgres(Path(folder)))


def stop_server() -> None:
    """Stops the server of `shared_server`, if it was started."""
    shared_server.cache_clear()
    _started.close()


@contextlib.contextmanager
def own_database() -> Iterator[PostgresServer]:
    """A new database on the server of all tests, dropped at the end."""
    with database_on(shared_server()) as database:
        yield database


@contextlib.contextmanager
def database_on(server: PostgresServer) -> Iterator[PostgresServer]:
    """A new database on a server, dropped at the end."""
    database = dataclasses.replace(server, database=f"apollo_test_{secrets.token_hex(6)}")
    name = sql.Identifier(database.database)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
        try:
            yield database
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(name))
