"""A database for each test module, so that modules can run at the same time on one server."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from target_apollo.demo.postgres import PostgresServer, running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def own_database(folder: Path) -> Iterator[PostgresServer]:
    """A new database on the server of ``DATABASE_URL`` or a temporary one, dropped at the end."""
    with running_postgres(folder) as server, database_on(server) as database:
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
