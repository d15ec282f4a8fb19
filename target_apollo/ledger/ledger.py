"""``Ledger``: the ledger as the sinks, the mapper and the command line use it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from types import TracebackType

from sqlalchemy import Connection, Engine

from target_apollo.ledger import found_ids, pending_fields, queries, runs, teams
from target_apollo.ledger.database import Address, writing
from target_apollo.ledger.errors import LedgerError
from target_apollo.ledger.found_ids import Walk
from target_apollo.ledger.links import (
    Intent,
    Link,
    LinkOutcome,
    find_links,
    find_links_by_apollo_id,
    save_intents,
    save_outcomes,
)
from target_apollo.ledger.locks import Locks, StreamLock
from target_apollo.ledger.pending_fields import PendingFields, SettledFields, WaitingField
from target_apollo.ledger.runs import Run
from target_apollo.ledger.scopes import Place, Scopes
from target_apollo.ledger.tables import VERSION
from target_apollo.ledger.teams import TakeOver
from target_apollo.ledger.upgrade import connect_up_to_date, refuse_newer, version_of
from target_apollo.ledger.windows import SharedWindows


class Ledger:
    """An open ledger: one database connection, for the thread that opened it.

    The only other thread is the heartbeat of the locks, which has a connection of its own. Every
    method that writes is one transaction, on disk when the method returns. Every method raises
    ``LedgerError`` when the database fails.

    Keys are texts made by ``source_key``.
    """

    def __init__(self, address: Address, engine: Engine, database: Connection) -> None:
        """Use ``open`` or ``open_existing`` instead."""
        self._address = address
        self._engine = engine
        self._database = database
        self._locks = Locks(engine)
        self._scopes = Scopes(database)
        self._run_starts: dict[str, datetime] = {}
        self._connections: dict[tuple[str, str], list[str]] = {}

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Open the ledger of the setting ``ledger_url``; create or upgrade its tables.

        A new SQLite file gets mode 0600, a new folder 0700. Raises ``LedgerError`` for a URL that
        can't be a ledger's, a database that can't be used, or a ledger of a newer version. Raises
        ``AnotherRunActive`` for one of an older version to which a run is writing.
        """
        address = Address.of(url)
        with address.errors_as_sentences("Opening"):
            return cls(address, *connect_up_to_date(address))

    @classmethod
    def open_existing(cls, url: str) -> Ledger | None:
        """Open a ledger read-only; ``None`` when there is none yet.

        A ledger of an older version is upgraded first. Raises ``LedgerError`` as ``open`` does.
        """
        version = cls.version_at(url)
        if version is None:
            return None
        if version != VERSION:
            cls.open(url).close()
        address = Address.of(url)
        with address.errors_as_sentences("Opening"):
            engine = address.engine(read_only=True)
            return cls(address, engine, engine.connect())

    @classmethod
    def version_at(cls, url: str) -> int | None:
        """Read a ledger's version and change nothing; ``None`` when there is no ledger yet.

        Raises ``LedgerError`` as ``open`` does.
        """
        address = Address.of(url)
        if not address.exists():
            return None
        with address.errors_as_sentences("Opening"):
            with address.engine(read_only=True).connect() as database, database.begin():
                version = version_of(database)
            refuse_newer(version)
        return version

    def close(self) -> None:
        """Release the locks and close the connection; a second call does nothing."""
        if not self._database.closed:
            for lock in self._locks.all_held():
                # No error to report here: the lock ends with the process anyway.
                with suppress(LedgerError):
                    lock.release()
            self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def links(self, place: Place, keys: Collection[str]) -> dict[str, Link]:
        """Look source keys up; those without a link are left out.

        Gives links of the place's source, and links without a source: the caller decides whether
        such a link is its row's, and then calls `adopt`. Where the place has no source, a key that
        only one source has gives the link of that source. `Link.source` says whose link it is.
        """
        with self._reading() as database:
            return find_links(database, self._scopes, place, keys)

    def links_of_stream(self, place: Place) -> Iterator[Link]:
        """Give all links of a stream of one source.

        Nothing may be written to the ledger before the iterator has ended.
        """
        with self._reading() as database:
            yield from queries.stream_links(database, place)

    def links_by_apollo_id(
        self, place: Place, apollo_ids: Collection[str]
    ) -> dict[str, list[Link]]:
        """Find the links, of any stream, to Apollo records of a place's team and kind.

        A record has several where rows share it.
        """
        with self._reading() as database:
            return find_links_by_apollo_id(database, self._scopes, place, apollo_ids)

    def links_by_match(self, place: Place, hashes: Collection[str]) -> dict[str, list[Link]]:
        """Find the links, of any stream and source, that have one of these match hashes.

        Gives match hash -> links of the place's team and kind, also those of deleted records.
        """
        with self._reading() as database:
            return queries.find_links_by_match(database, self._scopes, place, hashes)

    def adopt(self, place: Place, keys: Collection[str]) -> None:
        """Set the place's source in the links of these keys that have no source.

        A link that a key already has with that source is replaced. Keys without such a link are
        ignored. Raises ``LockLost`` too.
        """
        with self._changing(place) as database:
            queries.adopt(database, self._scopes, place, keys)

    def forget(self, place: Place, keys: Collection[str]) -> None:
        """Delete the links of source keys whose rows are no longer those of the linked records.

        Only links with the place's own source are deleted. Raises ``LockLost`` too.
        """
        with self._changing(place) as database:
            queries.forget(database, place, keys)

    def forget_moves(self, place: Place, apollo_ids: Collection[str]) -> None:
        """Note that records which were moved for deleted rows are where they were before.

        Links of all streams are changed, not only of the place's. Raises ``LockLost`` too.
        """
        with self._changing(place) as database:
            queries.forget_moves(database, place, apollo_ids)

    def company_ids(self, connection: str, hashes: Collection[str]) -> dict[str, str]:
        """Give domain hash -> account id, as `save_companies` saved them.

        Unknown hashes are left out.
        """
        with self._reading() as database:
            return found_ids.find_companies(database, connection, hashes)

    def account_ids_by_match(self, connection: str, hashes: Collection[str]) -> dict[str, str]:
        """Give domain hash -> id of the account that a row of any stream or source is linked to.

        Unknown hashes are left out, and so are accounts that were deleted in Apollo.
        """
        with self._reading() as database:
            return found_ids.find_linked_accounts(database, connection, hashes)

    def save_companies(self, connection: str, ids: Mapping[str, str]) -> None:
        """Save the ids of accounts by the hash of their domain; a newer id replaces an older.

        Raises ``LockLost`` too.
        """
        with self._writing() as database:
            self._locks.check_all_held(database)
            found_ids.save_companies(database, connection, ids)

    def walk(self, connection: str) -> Walk | None:
        """Give how far a team's accounts were read; ``None`` where they never were."""
        with self._reading() as database:
            return found_ids.find_walk(database, connection)

    def save_walk(self, connection: str, walk: Walk) -> None:
        """Save how far a team's accounts were read, with the present as its `changed_at`.

        Raises ``LockLost`` too.
        """
        with self._writing() as database:
            self._locks.check_all_held(database)
            found_ids.save_walk(database, connection, walk)

    def routes(self, connection: str) -> dict[str, str]:
        """Give object -> label of the update endpoint that an earlier run has found to be taken."""
        with self._reading() as database:
            return teams.find_routes(database, connection)

    def save_route(self, connection: str, kind: str, endpoint: str) -> None:
        """Save which update endpoint a team's Apollo takes for an object."""
        with self._writing() as database:
            teams.save_route(database, connection, kind, endpoint)

    def synced_at(
        self,
        stream: str,
        keys: Collection[str],
        *,
        connection: str | None = None,
        source: str = "",
    ) -> dict[str, datetime]:
        """Give source key -> moment (aware, UTC) up to which its row is known to be in Apollo.

        Left out are keys that were never written, keys whose last write is pending or failed, and
        keys of other sources or of none, whose rows may be other people. Without a connection, a
        key must be synced to *every* connection that the stream has links to, and gets the earliest
        of their moments: so a trial with one team hides no lead from another team.
        """
        with self._reading() as database:
            known = self._connections_for(database, stream, connection, source)
            return queries.find_synced_at(database, stream, keys, known, source)

    def records_of_keys(
        self,
        stream: str,
        keys: Collection[str],
        *,
        connection: str | None = None,
        source: str = "",
    ) -> dict[str, frozenset[str]]:
        """Give source key -> ids of its records, for keys that have a record in Apollo.

        A key whose last write failed is among them, since its record is there all the same. Sources
        and connections count as in ``synced_at``; with several there are several ids.
        """
        with self._reading() as database:
            known = self._connections_for(database, stream, connection, source)
            return queries.find_records_of_keys(database, stream, keys, known, source)

    def has_links(self, stream: str, source: str | None = None) -> bool:
        """Whether a stream has links, of one source or of any."""
        with self._reading() as database:
            return queries.has_links(database, stream, source)

    def _connections_for(
        self, database: Connection, stream: str, connection: str | None, source: str
    ) -> list[str]:
        """The connection, or all that the stream has links to."""
        if connection is not None:
            return [connection]
        if (stream, source) not in self._connections:
            found = queries.connections_of(database, stream, source)
            self._connections[stream, source] = found
        return self._connections[stream, source]

    def record_intents(self, place: Place, run_id: str, intents: Sequence[Intent]) -> None:
        """Mark links as pending before their requests go out. Raises ``LockLost`` too."""
        with self._changing(place) as database:
            save_intents(database, self._scopes, place, run_id, intents)

    def record_outcomes(self, place: Place, run_id: str, outcomes: Sequence[LinkOutcome]) -> None:
        """Write the outcomes of a batch's rows. Raises ``LockLost`` too."""
        started = self._run_starts.get(run_id) or datetime.now(timezone.utc)
        with self._changing(place) as database:
            save_outcomes(database, self._scopes, place, run_id, outcomes, started)

    def has_pending_fields(self) -> bool:
        """Whether any record, of any team, has values that are still to be sent."""
        with self._reading() as database:
            return pending_fields.has_any(database)

    def count_pending_fields(self, connection: str) -> dict[tuple[str, str], tuple[int, int]]:
        """Give object and stream -> number of records with values to be sent, and of the values."""
        with self._reading() as database:
            return pending_fields.count(database, connection)

    def waiting_fields(self, connection: str) -> list[WaitingField]:
        """Give a team's values that are still to be sent, counted by object, stream and field."""
        with self._reading() as database:
            return pending_fields.find_waiting(database, connection)

    def pending_fields(
        self, connection: str, limit: int, after: tuple[datetime | None, str] | None = None
    ) -> list[PendingFields]:
        """Give values of a team's records that are still to be sent, those that wait longest first.

        Args:
            after: `PendingFields.age` of the last one of the page before.
        """
        with self._reading() as database:
            return pending_fields.find_oldest(database, connection, limit, after)

    def times_of_records(self, pending: Sequence[PendingFields]) -> dict[str, str | None]:
        """Give Apollo id -> Apollo's time of the last write of the row that has these values."""
        with self._reading() as database:
            return pending_fields.times_of_records(database, pending)

    def change_pending_fields(
        self,
        place: Place,
        superseded: Mapping[str, Collection[str]],
        added: Sequence[PendingFields],
    ) -> None:
        """Delete values that get newer ones, and add values that are still to be sent.

        Args:
            place: Of the rows that have the newer values. Raises ``LockLost`` too.
            superseded: Apollo id -> names of the fields.
        """
        if added or (superseded and self.has_pending_fields()):
            with self._changing(place) as database:
                pending_fields.change(database, place, superseded, added)

    def settle_pending_fields(self, settled: Sequence[SettledFields]) -> None:
        """Note which values were sent, or are not to be sent any more. Raises ``LockLost`` too."""
        with self._writing() as database:
            self._locks.check_all_held(database)
            pending_fields.settle(database, settled)

    def drop_links(self, place: Place, apollo_ids: Collection[str]) -> int:
        """Delete the links to Apollo records that are gone; give their number.

        Links of all streams are deleted, not only of the place's. Raises ``LockLost`` too.
        """
        with self._changing(place) as database:
            return queries.delete_links(database, place, apollo_ids)

    def take_over(self, former: str, connection: str) -> TakeOver:
        """Give a connection the rows of ``former``, if it is the first to ask and has none.

        ``connection`` begins with ``former`` and a hyphen, as do all that may ask. Raises
        ``AnotherRunActive`` if a run writes these rows.
        """
        with self._writing() as database:
            found = teams.take_over_of(database, former, connection)
            if found is TakeOver.TAKEN_OVER:
                self._locks.check_free(database, former)
                teams.rename(database, former, connection)
                self._scopes.forget()
            return found

    def would_take_over(self, former: str, connection: str) -> TakeOver:
        """What `take_over` would find; changes nothing."""
        with self._reading() as database:
            return teams.take_over_of(database, former, connection)

    def begin_run(
        self,
        run_id: str,
        connection: str,
        streams: Sequence[str],
        mode: str,
        started_at: datetime,
    ) -> None:
        """Write the row of a run that begins; call again when the run has more streams."""
        run = Run(run_id, connection, tuple(streams), mode, started_at, None, {}, None, None)
        with self._writing() as database:
            runs.save_start(database, run)
        self._run_starts[run_id] = started_at

    def finish_run(
        self, run_id: str, counts: Mapping[str, int], exit_code: int, reason: str | None = None
    ) -> None:
        """Write a run's counts and why it ended into its row."""
        with self._writing() as database:
            runs.save_end(database, run_id, counts, exit_code, reason, datetime.now(timezone.utc))

    def runs(self, limit: int) -> list[Run]:
        """Give the latest runs, the newest first."""
        with self._reading() as database:
            return list(runs.latest(database, limit))

    def shared_windows(self, connection: str) -> SharedWindows:
        """Give what the processes of a team tell each other of Apollo's rate windows.

        It connects to the database by itself, when it is used. Close it.
        """
        return SharedWindows(self._address, self._engine, connection)

    def lock(self, connection: str, stream: str, run_id: str) -> StreamLock:
        """Take the lock, so that no other run writes this stream to this connection.

        Release the lock, or use it as a context manager. A second call for a lock that this ledger
        holds gives the same lock. Raises ``AnotherRunActive`` when another run holds it.
        """
        held = self._locks.held(connection, stream)
        if held is not None:
            return held

        def give_back() -> None:
            if self._locks.forget(connection, stream):
                self._scopes.release(connection, stream)
                with self._writing() as database:
                    self._locks.erase(database, connection, stream)

        with self._writing() as database:
            self._locks.acquire(database, connection, stream, run_id)
        self._scopes.lock(connection, stream)
        lock = StreamLock(connection, stream, run_id, give_back)
        self._locks.hold(lock)
        return lock

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._address.errors_as_sentences("Reading"), self._database.begin():
            yield self._database

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._address.errors_as_sentences("Writing"), writing(self._database):
            yield self._database

    @contextmanager
    def _changing(self, place: Place) -> Iterator[Connection]:
        with self._writing() as database:
            self._locks.check_held(database, place.connection, place.stream)
            yield database
