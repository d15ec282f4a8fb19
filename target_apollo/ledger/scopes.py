"""The table ``apollo_scopes``: the number that links have in place of their team, kind and stream.

A scope is never deleted, and its number never means another place.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from target_apollo.ledger.database import ManyRows, insert_into
from target_apollo.ledger.database_errors import UnreadableValue, number_of, text_of
from target_apollo.ledger.tables import apollo_scopes

_scopes = apollo_scopes.c


class Place(NamedTuple):
    """The stream, source, kind of Apollo record and Apollo team that a link belongs to.

    Attributes:
        connection: The Apollo team's id.
        object: ``contact`` or ``account``.
        stream: The Singer stream's name.
        source: The setting `source`, since two taps may have streams of one name; empty where it is
            not set.
    """

    connection: str
    object: str
    stream: str
    source: str = ""


def _of(*names: str) -> ManyRows:
    return ManyRows(
        names,
        lambda _: select(
            _scopes.number, _scopes.connection, _scopes.object, _scopes.stream, _scopes.source
        ).where(*(_scopes[name] == bindparam(name) for name in names)),
    )


_OF_KIND = _of("connection", "object")
_OF_STREAM = _of("connection", "object", "stream")
_OF_PLACE = _of("connection", "object", "stream", "source")
_OF_ROWS = _of("stream", "source")
_ALL = _of()


class Scopes:
    """The scopes that an open ledger has found, so that a batch need not ask for them again.

    While a ledger holds the lock of a stream, nobody else gives the stream's places a number, or
    its team another name. Scopes of other streams are asked for each time.

    Attributes:
        numbers: Place -> number, of places that have one.
        of_stream: Place -> number -> place, of all sources of the place's stream.
        places: Number -> place, of all links.
    """

    def __init__(self, database: Connection) -> None:
        self._database = database
        self._locked: set[tuple[str, str]] = set()
        self.numbers: dict[Place, int] = {}
        self.of_stream: dict[Place, dict[int, Place]] = {}
        self.places: dict[int, Place] = {}

    def lock(self, connection: str, stream: str) -> None:
        """Note that this ledger has got the lock of a stream."""
        self.forget()
        self._locked.add((connection, stream))

    def release(self, connection: str, stream: str) -> None:
        """Note that this ledger gives the lock of a stream back."""
        self._locked.discard((connection, stream))
        self.forget()

    def forget(self) -> None:
        """Forget what was found, since it may have changed."""
        self.numbers.clear()
        self.of_stream.clear()
        self.places.clear()

    def find_for_writing(self, place: Place) -> int:
        """As `scope_for_writing`; of a locked stream, it is in `numbers` from the next time."""
        known = find_scope(self._database, place)
        if known is None:
            # Not kept: if the transaction fails, the number is gone again.
            self.forget()
            return scope_for_writing(self._database, place)
        if self._is_locked(place):
            self.numbers[place] = known
        return known

    def find_of_stream(self, place: Place) -> dict[int, Place]:
        """As `scopes_of_stream`; those of a locked stream are then in `of_stream`."""
        found = scopes_of_stream(self._database, place)
        if found and self._is_locked(place):
            self.of_stream[place] = found
        return found

    def find_all(self) -> None:
        """Put all into `places`."""
        self.places = all_scopes(self._database)

    def _is_locked(self, place: Place) -> bool:
        return (place.connection, place.stream) in self._locked


def scopes_of_kind(database: Connection, connection: str, kind: str) -> dict[int, Place]:
    """Number -> place, of all streams and sources of a team's contacts, accounts or others."""
    return _found(_OF_KIND, database, connection, kind)


def scopes_of_stream(database: Connection, place: Place) -> dict[int, Place]:
    """Number -> place, of all sources of a place's stream."""
    return _found(_OF_STREAM, database, *place[:3])


def scopes_of_rows(database: Connection, stream: str, source: str) -> dict[int, Place]:
    """Number -> place, of all teams and kinds of a stream of one source."""
    return _found(_OF_ROWS, database, stream, source)


def all_scopes(database: Connection) -> dict[int, Place]:
    """Number -> place, of all links."""
    return _found(_ALL, database)


def find_scope(database: Connection, place: Place) -> int | None:
    """The number of a place; ``None`` for one that never had a link."""
    return next(iter(_found(_OF_PLACE, database, *place)), None)


def scope_for_writing(database: Connection, place: Place) -> int:
    """The number of a place, inside the transaction that writes its links; a new place gets one."""
    known = find_scope(database, place)
    if known is not None:
        return known
    # Another process may have given it one meanwhile.
    new = insert_into(apollo_scopes, database.dialect.name).on_conflict_do_nothing()
    database.execute(new, place._asdict())
    number = find_scope(database, place)
    if number is None:
        raise UnreadableValue("a place of links has no number")
    return number


def _found(statement: ManyRows, database: Connection, *values: str) -> dict[int, Place]:
    what = "the team, kind, stream or source of links"
    return {
        number_of(number, "the number of a place"): Place(*(text_of(one, what) for one in texts))
        for number, *texts in statement.find(database, values, ())
    }
