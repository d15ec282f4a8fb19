"""The table ``apollo_creations``: creates that are under way, all of a flush in one row.

A row of the warehouse that is new to the ledger gets its link when Apollo has answered. Until then
it is enough that the next run can tell what was sent: to write a link that says so, and to write
it again a moment later, would double what a new row costs the ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from target_apollo.ledger import link_rows
from target_apollo.ledger.links import Intent
from target_apollo.ledger.schema import apollo_creations

_creations = apollo_creations.c
_DECODER = msgspec.json.Decoder(list[tuple[str, str | None]])


def save(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Note creates of source keys that have no link, in one row."""
    place = _place(connection, object_, stream)
    before = database.scalar(select(func.max(_creations.number)).where(*place))
    database.execute(
        insert(apollo_creations).values(
            connection=connection,
            object=object_,
            stream=stream,
            run_id=run_id,
            number=(before or 0) + 1,
            intents=_spelled(intents),
            changed_at=datetime.now(timezone.utc),
        )
    )


def settle(
    database: Connection, connection: str, object_: str, stream: str, settled: Collection[str]
) -> None:
    """Forget the noted creates; those whose source keys are not settled become pending links.

    To be called before outcomes are written, which may follow on a pending link.
    """
    _unfold(database, _place(connection, object_, stream), settled)


def take_over(database: Connection, connection: str, stream: str) -> None:
    """Make pending links of what a run left behind that was killed."""
    _unfold(database, (_creations.connection == connection, _creations.stream == stream), ())


def left_behind(database: Connection, connection: str, stream: str) -> Sequence[Any]:
    """Give the rows of creates under way: each has object, run_id and, by `intents_of`, intents."""
    place = (_creations.connection == connection, _creations.stream == stream)
    return database.execute(select(apollo_creations).where(*place)).all()


def intents_of(row: Any) -> list[Intent]:
    """Give the creates that a row of the table notes."""
    return [Intent(key, None, found_under) for key, found_under in _DECODER.decode(row.intents)]


def _place(connection: str, object_: str, stream: str) -> tuple[ColumnElement[bool], ...]:
    return (
        _creations.connection == connection,
        _creations.object == object_,
        _creations.stream == stream,
    )


def _unfold(
    database: Connection, place: Sequence[ColumnElement[bool]], settled: Collection[str]
) -> None:
    found = database.execute(select(apollo_creations).where(*place)).all()
    for row in found:
        left = [intent for intent in intents_of(row) if intent.source_key not in settled]
        link_rows.save_new_intents(
            database, row.connection, row.object, row.stream, row.run_id, left
        )
    if found:
        database.execute(delete(apollo_creations).where(*place))


def _spelled(intents: Sequence[Intent]) -> str:
    return msgspec.json.encode([(one.source_key, one.match_hash) for one in intents]).decode()
