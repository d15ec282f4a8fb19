"""The warehouse of the demo: creates, fills, changes and drops the schema ``crm``."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from target_apollo.demo.crm_rows import CrmRows, Row, Table

SCHEMA = "crm"
#: The comment on the schema by which the demo recognises its own.
MARK = "made by the demo of target-apollo"

# Table -> its columns in SQL.
_TABLES = {
    "accounts": """
        id bigint primary key,
        domain text,
        name text,
        phone_number text,
        industry text,
        raw_address text,
        owner_email text,
        account_stage text,
        lifetime_value numeric(12, 2),
        created_at timestamptz not null,
        updated_at timestamptz not null""",
    "contacts": """
        id bigint primary key,
        email text,
        first_name text,
        last_name text,
        title text,
        organization_name text,
        phone_number text,
        mobile_phone text,
        linkedin_url text,
        owner_email text,
        contact_stage text,
        account_domain text,
        lifetime_value numeric(12, 2),
        created_at timestamptz not null,
        updated_at timestamptz not null""",
}


class WarehouseError(Exception):
    """The warehouse can't be filled; the message says what to do about it."""


@dataclass(frozen=True)
class Changes:
    """The changes of `change_some`: match key -> the new values of its record."""

    accounts: dict[str, Row]
    contacts: dict[str, Row]


def fill(url: str, rows: CrmRows) -> None:
    """Create the schema ``crm`` with its tables and load the rows.

    Raises:
        WarehouseError: Another schema ``crm`` exists, or PostgreSQL fails.
    """
    try:
        with psycopg.connect(url) as connection:
            _refuse_foreign_schema(connection)
            connection.execute(sql.SQL("drop schema if exists crm cascade"))
            connection.execute(sql.SQL("create schema crm"))
            comment = sql.SQL("comment on schema crm is {}").format(sql.Literal(MARK))
            connection.execute(comment)
            for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts)):
                _create(connection, name, table)
    except psycopg.Error as error:
        raise WarehouseError(
            f"The warehouse could not be filled: PostgreSQL must answer, and its user must be "
            f"allowed to create a schema. It said: {' '.join(str(error).split())}"
        ) from error


def drop(url: str) -> None:
    """Drop the schema; raises `WarehouseError` if the demo did not create it."""
    with psycopg.connect(url) as connection:
        _refuse_foreign_schema(connection)
        connection.execute("drop schema if exists crm cascade")


def change_some(
    url: str, rows: CrmRows, *, contacts: int = 40, accounts: int = 10, seed: int = 11
) -> Changes:
    """Give some contacts another title and some accounts another address, with the time now.

    It takes only rows that share their match key with no other row.
    """
    with psycopg.connect(url) as connection:
        return Changes(
            accounts=_change(connection, "accounts", rows.accounts, "raw_address", accounts, seed),
            contacts=_change(connection, "contacts", rows.contacts, "title", contacts, seed),
        )


def _change(
    connection: psycopg.Connection, name: str, table: Table, column: str, count: int, seed: int
) -> dict[str, Row]:
    unique_keys = [key for key in table.row_of_key if key not in table.keys_twice]
    changed: dict[str, Row] = {}
    statement = sql.SQL("update crm.{} set {} = %s, updated_at = now() where id = %s").format(
        sql.Identifier(name), sql.Identifier(column)
    )
    for number, key in enumerate(sorted(random.Random(seed).sample(unique_keys, count))):
        value = _new_value(column, number)
        connection.execute(statement, (value, table.row_of_key[key]))
        changed[key] = {column: value}
    return changed


def _new_value(column: str, number: int) -> str:
    return (
        f"{number + 1} Harbour Road" if column == "raw_address" else f"Director, Team {number + 1}"
    )


def _create(connection: psycopg.Connection, name: str, table: Table) -> None:
    identifier = sql.Identifier(SCHEMA, name)
    columns = sql.SQL(_TABLES[name])
    connection.execute(sql.SQL("create table {} ({})").format(identifier, columns))
    connection.execute(sql.SQL("create index on {} (updated_at)").format(identifier))
    if not table.rows:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, table.rows[0]))
    statement = sql.SQL("copy {} ({}) from stdin").format(identifier, names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in table.rows:
            copy.write_row(list(row.values()))


def _refuse_foreign_schema(connection: psycopg.Connection) -> None:
    """Raise WarehouseError if the schema exists without the demo's comment."""
    found = connection.execute(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s", [SCHEMA]
    ).fetchone()
    if found is not None and found[0] != MARK:
        raise WarehouseError(
            "The database of DATABASE_URL has a schema 'crm' that the demo did not make, and the "
            "demo would replace it: name another database, or unset DATABASE_URL."
        )
