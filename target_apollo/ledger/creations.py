"""The table ``apollo_creations``: creates that are under way, all of a flush in one row.

A row of the warehouse that is new to the ledger gets its link when Apollo has answered. Until then
it is enough that the next run can tell what was sent: to write a link that says so, and to write
it again a moment later, would double what a new row costs the ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select

from target_apollo.ledger import queries as link_rows
from target_apollo.ledger.links import Intent
from target_apollo.ledger.tables import apollo_creations

_creations = apollo_creations.c
_PLACE = (
    _creations.connection == bindparam("connection"),
    _creations.object == bindparam("object"),
    _creations.stream == bindparam("stream"),
)
# Made once: SQLAlchemy takes longer to put a statement together than to run it.
_LATEST = select(func.max(_creations.number)).where(*_PLACE)
_NOTE = insert(apollo_creations)
_FORGET = delete(apollo_creations).where(*_PLACE)
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
    place = {"connection": connection, "object": object_, "stream": stream}
    number = (database.scalar(_LATEST, place) or 0) + 1
    noted = {"intents": _spelled(intents), "changed_at": datetime.now(timezone.utc)}
    database.execute(_NOTE, {**place, "run_id": run_id, "number": number, **noted})


def settle(
    database: Connection,
    connection: str,
    object_: str,
    stream: str,
    noted: Mapping[str, Sequence[Intent]],
    settled: Collection[str],
) -> None:
    """Forget the creates of a stream; those whose source keys are not settled become pending links.

    To be called before outcomes are written, which may follow on a pending link. ``noted`` are the
    creates by their run.
    """
    for run_id, intents in noted.items():
        left = [intent for intent in intents if intent.source_key not in settled]
        link_rows.save_new_intents(database, connection, object_, stream, run_id, left)
    place = {"connection": connection, "object": object_, "stream": stream}
    database.execute(_FORGET, place)


def take_over(database: Connection, connection: str, stream: str) -> None:
    """Make pending links of what a run left behind that was killed."""
    for row in left_behind(database, connection, stream):
        noted = {row.run_id: intents_of(row)}
        settle(database, row.connection, row.object, row.stream, noted, ())


def left_behind(database: Connection, connection: str, stream: str) -> Sequence[Any]:
    """Give the rows of creates under way: each has object, run_id and, by `intents_of`, intents."""
    place = (_creations.connection == connection, _creations.stream == stream)
    return database.execute(select(apollo_creations).where(*place)).all()


def intents_of(row: Any) -> list[Intent]:
    """Give the creates that a row of the table notes."""
    return [Intent(key, None, found_under) for key, found_under in _DECODER.decode(row.intents)]


def _spelled(intents: Sequence[Intent]) -> str:
    return msgspec.json.encode([(one.source_key, one.match_hash) for one in intents]).decode()
