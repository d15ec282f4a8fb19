"""The link of a source key to an Apollo record: what it says, and how a batch finds and saves it.

A batch finds the links of its rows, saves an intent before a request, asks whether other rows have
the records of its answer, and saves the outcomes: all in sets, and within the caller's transaction.
Other look-ups and changes are in `queries`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec
from sqlalchemy import Connection

from target_apollo.ledger import pending_fields, statements
from target_apollo.ledger.database import chunks
from target_apollo.ledger.database_errors import UnreadableValue
from target_apollo.ledger.found_ids import forget_companies
from target_apollo.ledger.link_status import (
    CONFIRMED,
    DELETED,
    HOLDING_VALUES,
    STATUS_NUMBERS,
    STATUSES,
    LinkStatus,
)
from target_apollo.ledger.scopes import Place, Scopes
from target_apollo.ledger.values import (
    moment_of_number,
    number_of_moment,
    pack,
    packed_or_none,
    unpack,
    unpacked_run,
    without_addresses,
)


class Link(msgspec.Struct, frozen=True, gc=False):
    """What the ledger knows about one source key."""

    source_key: str
    apollo_id: str | None
    #: Hash of the values that Apollo is known to hold; ``None`` where they are not known.
    payload_hash: str | None
    status: LinkStatus
    #: Aware, UTC. ``None`` until Apollo has confirmed a write.
    first_synced_at: datetime | None
    #: Aware, UTC: Apollo has the source's changes up to this moment; see ``LinkOutcome``.
    last_synced_at: datetime | None
    error: str | None
    run_id: str | None
    #: Hash of the e-mail or domain that the record has, as far as this row gave it or saw it there;
    #: of a create that is not confirmed, the one that was sent.
    match_hash: str | None = None
    #: Apollo's `updated_at` of the record, as it answered the last write.
    apollo_updated_at: str | None = None
    stream: str = ""
    #: As in ``Place``.
    source: str = ""
    #: Hash of the row's own e-mail or domain where the record was not given it; ``None`` where the
    #: record has it.
    row_hash: str | None = None
    #: Digests of values that the record is known to hold and that need a request of their own.
    single_hashes: str | None = None

    @property
    def address_of_row(self) -> str | None:
        """Hash of the e-mail or domain that the row had when it was last written."""
        return self.row_hash or self.match_hash

    @property
    def row(self) -> tuple[str, str, str]:
        """The row: source, stream and source key. Rows of two streams may have the same key."""
        return (self.source, self.stream, self.source_key)

    @property
    def holds_nothing(self) -> bool:
        """Whether the row was rejected before anything was sent for it."""
        return self.status is LinkStatus.ERROR and not self.apollo_id and not self.match_hash

    def is_left_alone(self, match_hash: str | None) -> bool:
        """Whether the record was deleted in Apollo and the row's e-mail or domain has not changed.

        Args:
            match_hash: Of the row's present e-mail or domain.
        """
        return self.status is LinkStatus.GONE and self.match_hash == match_hash

    @property
    def is_gone(self) -> bool:
        """Whether somebody deleted the record in Apollo."""
        return self.status is LinkStatus.GONE

    @property
    def is_deleted(self) -> bool:
        """Whether the row was deleted at its source."""
        return (self.payload_hash or "").startswith(DELETED)

    @property
    def holds_something(self) -> bool:
        """Whether the link has the hash of values that Apollo is known to hold."""
        return self.payload_hash is not None and self.status in HOLDING_VALUES

    def holds(self, payload_hash: str) -> bool:
        """Whether Apollo is known to hold exactly this payload, so that it need not be sent."""
        return (
            self.payload_hash == payload_hash
            and self.apollo_id is not None
            and self.status in HOLDING_VALUES
        )


class Intent(msgspec.Struct, frozen=True, gc=False):
    """A write that is about to go out for a source key."""

    source_key: str
    #: The record to be updated; ``None`` keeps the id that the link has.
    apollo_id: str | None = None
    #: Hash of the e-mail or domain that the record has, whether or not the write arrives, or by
    #: which a created record can be found; ``None`` for one that gets another address.
    match_hash: str | None = None
    #: As in ``Link``, of the values that the record holds whether or not the write arrives.
    single_hashes: str | None = None


class LinkOutcome(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a source key's row. Raises ``ValueError`` where the fields contradict.

    A confirmed status needs ``apollo_id``; ``GONE`` needs the id of the deleted record; with
    ``ERROR``, ``None`` keeps the link's id. ``EXISTING`` has no ``payload_hash``; that of
    ``ERROR`` is a mark, and says nothing about what Apollo holds.
    """

    source_key: str
    status: LinkStatus
    apollo_id: str | None = None
    payload_hash: str | None = None
    #: Why the row was rejected; e-mail addresses in it are withheld.
    error: str | None = None
    #: Aware: when the row was read from its source. If unknown, the start of the run, else the
    #: present. It must not be later than the reading: the row may have changed since then, and the
    #: mapper would take that change for synced and never send it.
    synced_at: datetime | None = None
    #: Hash of the e-mail or domain that the record now has; ``None`` where that is not known.
    match_hash: str | None = None
    #: Apollo's `updated_at` in its answer to the write, where there was one.
    apollo_updated_at: str | None = None
    #: Whether this write changed the record's e-mail or domain.
    is_readdressed: bool = False
    #: Hash of the row's e-mail or domain where the record was not given it.
    row_hash: str | None = None
    #: As in ``Link``.
    single_hashes: str | None = None
    #: Whether Apollo has the row's changes up to `synced_at`. A row that is still to be written has
    #: no such moment, or the mapper would take it for synced.
    is_synced: bool = True

    def __post_init__(self) -> None:
        status = self.status
        if status is LinkStatus.PENDING:
            raise ValueError("pending is an intent, not an outcome")
        if self.apollo_id is None and (status in CONFIRMED or status is LinkStatus.GONE):
            raise ValueError(f"the outcome {status.value} needs the Apollo id")
        if self.payload_hash is not None and status is LinkStatus.EXISTING:
            raise ValueError(f"the outcome {status.value} has no payload hash")


def find_links(
    database: Connection, known: Scopes, place: Place, keys: Collection[str]
) -> dict[str, Link]:
    """Find the links of a stream's source keys; keys without a link are left out.

    A link with the place's source wins over one without a source, unless it holds nothing. Where
    the place has no source, a key gets a link with a source if only one source has that key.
    """
    scopes = known.of_stream.get(place) or known.find_of_stream(place)
    if not scopes:
        return {}
    links = [
        link
        for some in chunks(map(pack, keys))
        for scope in scopes
        for link in links_of(statements.FIND.find(database, (scope,), some), scopes)
    ]
    own = {link.source_key: link for link in links if link.source == place.source}
    if len(own) == len(links):
        return own
    others: dict[str, list[Link]] = {}
    for link in links:
        key = link.source_key
        is_visible = link.source != place.source and not (place.source and link.source)
        if is_visible and (key not in own or own[key].holds_nothing):
            others.setdefault(key, []).append(link)
    return own | {key: found[0] for key, found in others.items() if len(found) == 1}


def find_links_by_apollo_id(
    database: Connection, known: Scopes, place: Place, apollo_ids: Collection[str]
) -> dict[str, list[Link]]:
    """Find the links to Apollo records, of any stream; several rows may share a record."""
    found: dict[str, list[Link]] = {}
    for some in chunks(map(pack, apollo_ids)):
        rows = statements.FIND_BY_APOLLO_ID.find(database, (), some)
        for link in links_of_kind(rows, known, place) if rows else ():
            found.setdefault(link.apollo_id or "", []).append(link)
    return found


def save_intents(
    database: Connection,
    known: Scopes,
    place: Place,
    run_id: str,
    intents: Sequence[Intent],
) -> None:
    """Mark links as pending and delete their payload hash, since Apollo's values become unknown."""
    scope = known.numbers.get(place) or known.find_for_writing(place)
    plain = [intent for intent in intents if intent.single_hashes is None]
    statements.INTENT.execute_at_once(database, _intent_rows(scope, run_id, plain))
    if len(plain) < len(intents):
        holding = [intent for intent in intents if intent.single_hashes is not None]
        rows = _intent_rows(scope, run_id, holding)
        full = [(*row, intent.single_hashes) for row, intent in zip(rows, holding, strict=True)]
        statements.INTENT_IN_FULL.execute_at_once(database, full)


def _intent_rows(scope: int, run_id: str, intents: Sequence[Intent]) -> list[tuple[Any, ...]]:
    now = number_of_moment(datetime.now(timezone.utc))
    run = pack(run_id)
    status = STATUS_NUMBERS[LinkStatus.PENDING]
    return [
        (
            scope,
            pack(intent.source_key),
            packed_or_none(intent.apollo_id),
            status,
            run,
            packed_or_none(intent.match_hash),
            now,
        )
        for intent in intents
    ]


def save_outcomes(
    database: Connection,
    known: Scopes,
    place: Place,
    run_id: str,
    outcomes: Sequence[LinkOutcome],
    synced_at: datetime,
) -> None:
    """Upsert outcomes; of several outcomes of one key the last one is kept.

    ``synced_at`` is for confirmed outcomes without a moment of their own. Where a record was
    updated, the links of other source keys to it that this run has not written yet lose their
    payload hash: the record no longer holds their values. If the record's e-mail or domain changed,
    their match hash changes with it.
    """
    scope = known.numbers.get(place) or known.find_for_writing(place)
    run, now = pack(run_id), number_of_moment(datetime.now(timezone.utc))
    # Only updated records: no other row can have written to a record that was just created.
    changed = [
        pack(o.apollo_id) for o in outcomes if o.status is LinkStatus.UPDATED and o.apollo_id
    ]
    for some in chunks(changed):
        statements.FORGET_SINGLE_HASHES.change(database, (place.connection, place.object), some)
    _save_confirmed(database, scope, run, now, outcomes, synced_at)
    gone = [o.apollo_id for o in outcomes if o.status is LinkStatus.GONE and o.apollo_id]
    if gone:
        forget_companies(database, place, gone)
        pending_fields.forget(database, place, gone)
    _save_rejected(database, scope, run, now, outcomes)
    by_others = (place.connection, place.object, run, pack(DELETED))
    for some in chunks(changed):
        statements.FORGET_HASHES.change(database, by_others, some)
    readdressed = [
        (pack(o.match_hash), place.connection, place.object, packed_or_none(o.apollo_id), run)
        for o in outcomes
        if o.is_readdressed and o.match_hash
    ]
    statements.GIVE_ADDRESS.execute(database, readdressed)


def _save_confirmed(
    database: Connection,
    scope: int,
    run: bytes,
    now: int,
    outcomes: Sequence[LinkOutcome],
    synced_at: datetime,
) -> None:
    written = Counter(outcome.apollo_id for outcome in outcomes)
    confirmed: list[tuple[Any, ...]] = []
    #: By source key: outcomes with values that most links lack.
    in_full: dict[str, tuple[Any, ...]] = {}
    for outcome in outcomes:
        if outcome.status is LinkStatus.ERROR:
            continue
        values = (
            scope,
            pack(outcome.source_key),
            packed_or_none(outcome.apollo_id),
            packed_or_none(outcome.payload_hash),
            STATUS_NUMBERS[outcome.status],
            number_of_moment(outcome.synced_at or synced_at) if outcome.is_synced else None,
            run,
            packed_or_none(outcome.match_hash),
            packed_or_none(outcome.apollo_updated_at),
            now,
        )
        # Of several rows with one record, each may have written over another.
        singles = outcome.single_hashes if written[outcome.apollo_id] < 2 else None
        if outcome.row_hash is not None or singles is not None:
            more = (packed_or_none(outcome.row_hash), singles)
            in_full[outcome.source_key] = (*values, *more)
            continue
        confirmed.append(values)
        if in_full:
            in_full.pop(outcome.source_key, None)
    statements.CONFIRMED_OUTCOME.execute_at_once(database, confirmed)
    statements.CONFIRMED_IN_FULL.execute_at_once(database, list(in_full.values()))


def _save_rejected(
    database: Connection, scope: int, run: bytes, now: int, outcomes: Sequence[LinkOutcome]
) -> None:
    latest = {outcome.source_key: outcome for outcome in outcomes}
    rejected = [
        (
            scope,
            pack(outcome.source_key),
            packed_or_none(outcome.apollo_id),
            packed_or_none(outcome.payload_hash),
            STATUS_NUMBERS[LinkStatus.ERROR],
            without_addresses(outcome.error or ""),
            run,
            now,
        )
        for outcome in latest.values()
        if outcome.status is LinkStatus.ERROR
    ]
    statements.REJECTED_OUTCOME.execute_at_once(database, rejected)


def links_of(rows: Iterable[Sequence[Any]], scopes: Mapping[int, Place]) -> list[Link]:
    """The links of rows of `LINK_COLUMNS`, without those of other scopes."""
    return [link_of(row, scopes[row[0]]) for row in rows if row[0] in scopes]


def link_of(row: Sequence[Any], place: Place) -> Link:
    """The link of a row of `LINK_COLUMNS`."""
    # All columns are spelled out: unpacking the rest of a row takes as long as making its link.
    (
        _,
        key,
        apollo_id,
        payload_hash,
        status,
        first,
        last,
        error,
        run_id,
        found_under,
        updated_at,
        row_hash,
        single_hashes,
    ) = row
    try:
        return Link(
            unpack(key),
            None if apollo_id is None else unpack(apollo_id),
            None if payload_hash is None else unpack(payload_hash),
            STATUSES[status],
            moment_of_number(last if first is None else first),
            moment_of_number(last),
            error,
            unpacked_run(run_id),
            None if found_under is None else unpack(found_under),
            None if updated_at is None else unpack(updated_at),
            place.stream,
            place.source,
            None if row_hash is None else unpack(row_hash),
            single_hashes,
        )
    except UnicodeDecodeError:
        raise UnreadableValue(
            f"an id or hash of a link of the stream {place.stream!r} is none"
        ) from None


def links_of_kind(rows: Sequence[Sequence[Any]], known: Scopes, place: Place) -> list[Link]:
    """The links of rows that are of a place's team and kind, in order."""
    if not known.places.keys() >= {row[0] for row in rows}:
        # A run of another stream may have written its first links meanwhile.
        known.find_all()
    wanted = (place.connection, place.object)
    links = [
        link_of(row, of_row)
        for row in rows
        if (of_row := known.places.get(row[0])) and of_row[:2] == wanted
    ]
    return sorted(links, key=lambda link: (link.stream, link.source_key, link.source))
