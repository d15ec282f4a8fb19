"""Which of two update endpoints a team's Apollo takes, as an earlier run has found out."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, select

from target_apollo.ledger.database import insert_into
from target_apollo.ledger.failures import text_of
from target_apollo.ledger.tables import apollo_routes


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
