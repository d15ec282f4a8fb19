"""Rows that get another connection: those of teams that earlier releases could not tell apart."""

from __future__ import annotations

from enum import Enum, auto

from sqlalchemy import Connection, select, text, update

from target_apollo.ledger.tables import (
    CREATION_LOCK,
    apollo_companies,
    apollo_pending_fields,
    apollo_runs,
    apollo_scopes,
    apollo_walks,
)


class Found(Enum):
    """What a ledger has for a connection that may take over the rows of a former one."""

    #: Rows of its own, or no rows of anybody.
    NOTHING_ELSE = auto()
    #: Rows of others only, none of which it may have.
    OTHERS = auto()
    #: Rows of the former connection, which are now its own.
    TAKEN_OVER = auto()


def what_is_there(database: Connection, former: str, connection: str) -> Found:
    """What there is for a connection that begins with ``former`` and a hyphen.

    Runs tell who was here before. In PostgreSQL another process that asks waits for the end of the
    transaction.
    """
    if database.dialect.name == "postgresql":
        database.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATION_LOCK})
    known = set(database.scalars(select(apollo_runs.c.connection).distinct()))
    if connection in known or not known:
        return Found.NOTHING_ELSE
    if any(one.startswith(f"{former}-") for one in known):
        return Found.OTHERS
    return Found.TAKEN_OVER if former in known else Found.OTHERS


def rename(database: Connection, former: str, connection: str) -> None:
    """Give the rows of a connection to another, which has none."""
    for table in (
        apollo_scopes,
        apollo_pending_fields,
        apollo_companies,
        apollo_walks,
        apollo_runs,
    ):
        database.execute(
            update(table).where(table.c.connection == former).values(connection=connection)
        )
