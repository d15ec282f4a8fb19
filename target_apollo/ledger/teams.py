"""What the ledger keeps of a team: its former name, and which update endpoints its Apollo takes.

Teams that earlier releases could not tell apart share a name. The first of them that comes again
gets the rows of that name.
"""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum, auto
from typing import Any

from sqlalchemy import Connection, select, text, update

from target_apollo.ledger.database import insert_into
from target_apollo.ledger.database_errors import text_of
from target_apollo.ledger.tables import (
    CREATION_LOCK,
    apollo_companies,
    apollo_pending_fields,
    apollo_routes,
    apollo_runs,
    apollo_scopes,
    apollo_walks,
)


class TakeOver(Enum):
    """Whether a connection takes over the rows of a former one, by what the ledger has."""

    #: No need to: it has rows of its own, or nobody has any.
    NOTHING_ELSE = auto()
    #: No: there are rows of others only.
    OTHERS = auto()
    #: Yes: they are its own from now on.
    TAKEN_OVER = auto()


def take_over_of(database: Connection, former: str, connection: str) -> TakeOver:
    """Whether a connection that begins with ``former`` and a hyphen takes over its rows.

    Runs tell who was here before. In PostgreSQL another process that asks waits for the end of the
    transaction.
    """
    if database.dialect.name == "postgresql":
        database.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATION_LOCK})
    known = set(database.scalars(select(apollo_runs.c.connection).distinct()))
    if connection in known or not known:
        return TakeOver.NOTHING_ELSE
    if any(one.startswith(f"{former}-") for one in known):
        return TakeOver.OTHERS
    return TakeOver.TAKEN_OVER if former in known else TakeOver.OTHERS


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


def find_routes(database: Connection, connection: str) -> dict[str, str]:
    """Find the endpoints that a team's Apollo takes: object -> label of the endpoint."""
    columns = apollo_routes.c
    wanted = select(columns.object, columns.endpoint).where(columns.connection == connection)
    return {row[0]: text_of(row[1], "an endpoint") for row in database.execute(wanted)}


def save_route(database: Connection, connection: str, kind: str, endpoint: str) -> None:
    """Save which endpoint a team's Apollo takes for an object, in place of an earlier one."""
    values = {"endpoint": endpoint, "changed_at": datetime.now(timezone.utc)}
    new: Any = insert_into(apollo_routes, database.dialect.name).values(
        connection=connection, object=kind, **values
    )
    key = list(apollo_routes.primary_key)
    database.execute(new.on_conflict_do_update(index_elements=key, set_=values))
