"""The table ``apollo_pending_fields``: values of records that are still to be sent.

They are those that need a request for each record, where Apollo's limits did not take them at once.
A record has one row, whichever rows of the warehouse gave it the values: of each field the newest
value is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, select, tuple_, update

from target_apollo.ledger.database import chunks, insert_into
from target_apollo.ledger.database_errors import UnreadableValue, moment_of, text_of
from target_apollo.ledger.scopes import Place, find_scope
from target_apollo.ledger.tables import apollo_pending_fields, apollo_row_links
from target_apollo.ledger.values import pack, unpacked_or_none

_links = apollo_row_links.c
_pending = apollo_pending_fields.c


class PendingFields(msgspec.Struct, frozen=True, gc=False):
    """Values that are still to be sent to one record.

    Attributes:
        place: The stream and source of the row that had them last.
        body: Field -> value, as the request has them.
        guarded: The fields that people may change in Apollo meanwhile, by the policies.
        digests: Field -> digest of its value, for the link.
        since: When the first of them was left to be sent; ``None`` for the present.
    """

    place: Place
    source_key: str
    apollo_id: str
    body: Mapping[str, Any]
    guarded: tuple[str, ...] = ()
    digests: dict[str, str] = {}
    since: datetime | None = None

    @property
    def age(self) -> tuple[datetime | None, str]:
        """The place in the order of sending, the oldest first."""
        return (self.since, self.apollo_id)

    def without(self, names: Collection[str]) -> PendingFields:
        """The same without fields that were sent, or that got newer values."""
        return msgspec.structs.replace(
            self,
            body={name: value for name, value in self.body.items() if name not in names},
            guarded=tuple(name for name in self.guarded if name not in names),
            digests={name: one for name, one in self.digests.items() if name not in names},
        )

    def followed_by(self, newer: PendingFields) -> PendingFields:
        """The same with newer values; it keeps its age."""
        kept = self.without(newer.body)
        return msgspec.structs.replace(
            newer,
            body={**kept.body, **newer.body},
            guarded=(*kept.guarded, *newer.guarded),
            digests=kept.digests | newer.digests,
            since=self.since,
        )


class SettledFields(msgspec.Struct, frozen=True, gc=False):
    """What became of the values of a record.

    Attributes:
        names: The fields that need not be sent any more.
        is_held: Whether the record holds them now. If not, its link forgets the values of its row,
            so that the row is compared with Apollo when it comes again.
        updated_at: Apollo's time of the write, if nobody else has changed the record before it.
    """

    pending: PendingFields
    names: frozenset[str]
    is_held: bool
    updated_at: str | None = None


class WaitingField(msgspec.Struct, frozen=True, gc=False):
    """The values of one field that are still to be sent to records of a stream.

    Attributes:
        since: When the oldest of them was left to be sent.
    """

    object: str
    stream: str
    field: str
    values: int
    since: datetime


def has_any(database: Connection) -> bool:
    """Whether any record of any team has such values."""
    return database.execute(select(_pending.apollo_id).limit(1)).first() is not None


def count(database: Connection, connection: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Count: object and stream -> number of records, and of their values."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    wanted = select(_pending.object, _pending.stream, _pending.body).where(
        _pending.connection == connection
    )
    for kind, stream, body in database.execute(wanted):
        records, values = found.get((kind, stream), (0, 0))
        found[kind, stream] = (records + 1, values + len(_body_of(body)))
    return found


def find_waiting(database: Connection, connection: str) -> list[WaitingField]:
    """Count a team's values that are still to be sent, by object, stream and field."""
    found: dict[tuple[str, str, str], tuple[int, datetime]] = {}
    wanted = select(_pending.object, _pending.stream, _pending.body, _pending.since).where(
        _pending.connection == connection
    )
    for kind, stream, body, since in database.execute(wanted):
        began = moment_of(since, "a value that is to be sent")
        for field in _body_of(body):
            values, oldest = found.get((kind, stream, field), (0, began))
            found[kind, stream, field] = (values + 1, min(oldest, began))
    return [WaitingField(*which, *rest) for which, rest in sorted(found.items())]


def find_oldest(
    database: Connection,
    connection: str,
    limit: int,
    after: tuple[datetime | None, str] | None,
) -> list[PendingFields]:
    """Find the oldest of a team's records with such values that are younger than ``after``."""
    wanted = (
        select(apollo_pending_fields)
        .where(_pending.connection == connection)
        .order_by(_pending.since, _pending.apollo_id)
        .limit(limit)
    )
    if after is not None:
        wanted = wanted.where(tuple_(_pending.since, _pending.apollo_id) > tuple_(*after))
    return [_read(row) for row in database.execute(wanted)]


def change(
    database: Connection,
    place: Place,
    superseded: Mapping[str, Collection[str]],
    added: Iterable[PendingFields],
) -> None:
    """Delete values that got newer ones, and add values to be sent.

    Args:
        superseded: Apollo id -> names of fields of which the record gets, or has, newer values.
        added: Values to be sent; they take the place of older ones of the same fields.
    """
    coming = {one.apollo_id: one for one in added}
    known: dict[str, PendingFields] = {}
    if has_any(database):
        known = _of_records(database, place, {*superseded, *coming})
    emptied: list[str] = []
    to_save: list[PendingFields] = []
    for apollo_id in {**known, **coming}:
        former, newer = known.get(apollo_id), coming.get(apollo_id)
        left = former.without(superseded.get(apollo_id, ())) if former is not None else None
        whole = newer if left is None else left if newer is None else left.followed_by(newer)
        if whole is not None and whole.body:
            if whole != former:
                to_save.append(whole)
        elif former is not None:
            emptied.append(apollo_id)
    _overwrite_deleted(database)
    _save(database, to_save)
    forget(database, place, emptied)


def settle(database: Connection, settled: Sequence[SettledFields]) -> None:
    """Delete values that were sent or that Apollo does not take, and note that in their links."""
    _overwrite_deleted(database)
    left: dict[tuple[Place, str], PendingFields] = {}
    for one in settled:
        of_record = (one.pending.place, one.pending.apollo_id)
        left[of_record] = one.pending.without(one.names)
        _note_in_link(database, one)
    _save(database, [pending for pending in left.values() if pending.body])
    for pending in left.values():
        if not pending.body:
            forget(database, pending.place, [pending.apollo_id])


def forget(database: Connection, place: Place, apollo_ids: Collection[str]) -> None:
    """Delete all values that were to be sent to records of a place's team and kind."""
    of_kind = delete(apollo_pending_fields).where(
        _pending.connection == place.connection, _pending.object == place.object
    )
    for some in chunks(apollo_ids):
        database.execute(of_kind.where(_pending.apollo_id.in_(some)))


def _overwrite_deleted(database: Connection) -> None:
    """Lets no deleted value stay in unused parts of a SQLite file."""
    if database.dialect.name == "sqlite":
        database.exec_driver_sql("PRAGMA secure_delete = ON")


def _note_in_link(database: Connection, settled: SettledFields) -> None:
    pending = settled.pending
    is_own = _is_link_of(database, pending)
    if is_own is None:
        return
    if not settled.is_held:
        changed: dict[str, Any] = {"payload_hash": None}
    else:
        held = database.scalar(select(_links.single_hashes).where(*is_own))
        digests = [
            *(
                part
                for part in (held or "").split(";")
                if part.partition("=")[0] not in settled.names
            ),
            *(f"{name}={one}" for name, one in pending.digests.items() if name in settled.names),
        ]
        changed = {"single_hashes": ";".join(sorted(filter(None, digests))) or None}
        if settled.updated_at is not None:
            changed["apollo_updated_at"] = pack(settled.updated_at)
    # A link without a payload hash was left open by a later write, of which nothing is known here.
    is_known = _links.payload_hash.is_not(None)
    database.execute(update(apollo_row_links).where(*is_own, is_known).values(**changed))


def times_of_records(
    database: Connection, pending: Sequence[PendingFields]
) -> dict[str, str | None]:
    """Apollo id -> Apollo's time of the last write of the row, by its link."""
    found: dict[str, str | None] = {}
    for one in pending:
        is_own = _is_link_of(database, one)
        updated_at = None
        if is_own is not None:
            updated_at = database.scalar(select(_links.apollo_updated_at).where(*is_own))
        found[one.apollo_id] = unpacked_or_none(updated_at)
    return found


def _is_link_of(
    database: Connection, pending: PendingFields
) -> tuple[ColumnElement[bool], ...] | None:
    """The condition for the link of the row, if it has the record; ``None`` without any link."""
    scope = find_scope(database, pending.place)
    if scope is None:
        return None
    return (
        _links.scope == scope,
        _links.source_key == pack(pending.source_key),
        _links.apollo_id == pack(pending.apollo_id),
    )


def _of_records(
    database: Connection, place: Place, apollo_ids: Collection[str]
) -> dict[str, PendingFields]:
    wanted = select(apollo_pending_fields).where(
        _pending.connection == place.connection, _pending.object == place.object
    )
    return {
        row.apollo_id: _read(row)
        for some in chunks(apollo_ids)
        for row in database.execute(wanted.where(_pending.apollo_id.in_(some)))
    }


def _save(database: Connection, pending: Sequence[PendingFields]) -> None:
    if not pending:
        return
    now = datetime.now(timezone.utc)
    rows = [
        {
            "connection": one.place.connection,
            "object": one.place.object,
            "apollo_id": one.apollo_id,
            "stream": one.place.stream,
            "source": one.place.source,
            "source_key": one.source_key,
            "body": dict(one.body),
            "guarded": list(one.guarded),
            "digests": ";".join(f"{name}={digest}" for name, digest in one.digests.items()) or None,
            "since": one.since or now,
        }
        for one in pending
    ]
    new: Any = insert_into(apollo_pending_fields, database.dialect.name)
    key = list(apollo_pending_fields.primary_key)
    to_set = {
        name: new.excluded[name]
        for name in ("stream", "source", "source_key", "body", "guarded", "digests")
    }
    database.execute(new.on_conflict_do_update(index_elements=key, set_=to_set), rows)


def _read(row: Any) -> PendingFields:
    what = "a value that is to be sent"
    digests = (part.partition("=") for part in (row.digests or "").split(";"))
    return PendingFields(
        Place(
            text_of(row.connection, what),
            text_of(row.object, what),
            text_of(row.stream, what),
            text_of(row.source, what),
        ),
        text_of(row.source_key, what),
        text_of(row.apollo_id, what),
        _body_of(row.body),
        tuple(row.guarded) if isinstance(row.guarded, list) else (),
        {name: digest for name, sign, digest in digests if sign},
        moment_of(row.since, what),
    )


def _body_of(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise UnreadableValue("the values that are to be sent are none")
    return body
