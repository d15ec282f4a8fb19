"""``Ledger``: what the sinks, the mapper and the command line ask of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from types import TracebackType

from sqlalchemy import Connection, Engine

from target_apollo.ledger import companies, queries, runs
from target_apollo.ledger.companies import Walk
from target_apollo.ledger.database import WRITES, Address
from target_apollo.ledger.errors import LedgerError
from target_apollo.ledger.links import Intent, Link, LinkOutcome, Place
from target_apollo.ledger.locks import Locks, StreamLock
from target_apollo.ledger.runs import Run
from target_apollo.ledger.tables import VERSION, bring_up_to_date, refuse_newer, version_of


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
        self._database = database
        self._locks = Locks(engine)
        self._run_starts: dict[str, datetime] = {}
        self._connections: dict[tuple[str, str], list[str]] = {}

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Open the ledger of the setting ``ledger_url``; create or upgrade its tables.

        A SQLite file gets mode 0600, a folder that has to be made 0700. Raises ``LedgerError``
        for a URL that names no ledger, a database that can't be used, or a newer ledger.
        """
        address = Address.of(url)
        with address.errors_as_sentences("Opening"):
            address.make_private_file()
            engine = address.engine()
            database = engine.connect()
            try:
                with database.begin():
                    version = version_of(database)
                refuse_newer(version)
                if version != VERSION:
                    with _writing(database):
                        bring_up_to_date(database)
            except BaseException:
                database.close()
                raise
        return cls(address, engine, database)

    @classmethod
    def open_existing(cls, url: str) -> Ledger | None:
        """Open a ledger to read it only; ``None`` when there is none yet.

        One of an older version is upgraded first. Raises ``LedgerError`` as ``open`` does.
        """
        address = Address.of(url)
        if not address.exists():
            return None
        with address.errors_as_sentences("Opening"):
            engine = address.engine(read_only=True)
            database = engine.connect()
            try:
                with database.begin():
                    version = version_of(database)
                refuse_newer(version)
            except BaseException:
                database.close()
                raise
        if version == VERSION:
            return cls(address, engine, database)
        database.close()
        if version is None:
            return None
        cls.open(url).close()
        return cls.open_existing(url)

    def close(self) -> None:
        """Release the locks and close the connection; a second call does nothing."""
        if not self._database.closed:
            for lock in self._locks.all_held():
                # A database that fails now need not be told: the lock ends with the process.
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

    def links(
        self,
        place: Place,
        keys: Collection[str],
    ) -> dict[str, Link]:
        """Look source keys up; those without a link are left out.

        Beside the links of the place's source these are links without a source, of which the
        caller tells whether they are its own (then `adopt` them), and where the place has no
        source, links of the only source that has the key. `Link.source` says which it is.
        """
        with self._reading("Reading") as database:
            return queries.find_links(database, place, keys)

    def links_of_stream(
        self,
        place: Place,
    ) -> Iterator[Link]:
        """Give all links of a stream of one source.

        Nothing may be written until the last was taken.
        """
        with self._reading("Reading") as database:
            yield from queries.stream_links(database, place)

    def links_by_apollo_id(
        self,
        place: Place,
        apollo_ids: Collection[str],
    ) -> dict[str, list[Link]]:
        """Find the links, of any stream, to Apollo records of a place's team and kind.

        More than one where rows share a record.
        """
        with self._reading("Reading") as database:
            return queries.find_links_by_apollo_id(database, place, apollo_ids)

    def links_by_match(self, place: Place, hashes: Collection[str]) -> dict[str, list[Link]]:
        """Find the links, of any stream and source, that have one of these match hashes.

        They are of a place's team and kind, in lists by their hash; those of gone records too.
        """
        with self._reading("Reading") as database:
            return queries.find_links_by_match(database, place, hashes)

    def adopt(self, place: Place, keys: Collection[str]) -> None:
        """Give links without a source that of the place, instead of links that have it already.

        Keys without such a link keep none. Raises ``LockLost`` too.
        """
        with self._changing(place) as database:
            queries.adopt(database, place, keys)

    def forget_unsourced(self, place: Place, keys: Collection[str]) -> None:
        """Forget links without a source, whose rows have links of a source now.

        Raises ``LockLost`` too.
        """
        with self._changing(place) as database:
            queries.forget_unsourced(database, place, keys)

    def company_ids(self, connection: str, hashes: Collection[str]) -> dict[str, str]:
        """Say which accounts Apollo answered for the hashes of domains, as `save_companies` had it.

        Unknown hashes are left out.
        """
        with self._reading("Reading") as database:
            return companies.find_companies(database, connection, hashes)

    def account_ids_by_match(self, connection: str, hashes: Collection[str]) -> dict[str, str]:
        """Say which accounts rows of any stream and source gave the domains of these hashes.

        Unknown hashes are left out, and so are accounts that are gone.
        """
        with self._reading("Reading") as database:
            return companies.find_linked_accounts(database, connection, hashes)

    def save_companies(self, connection: str, ids: Mapping[str, str]) -> None:
        """Keep the ids of accounts by the hash of their domain; a newer id replaces an older."""
        with self._writing("Writing") as database:
            companies.save_companies(database, connection, ids)

    def walk(self, connection: str) -> Walk | None:
        """Say how far a team's accounts were read; ``None`` where they never were."""
        with self._reading("Reading") as database:
            return companies.find_walk(database, connection)

    def save_walk(self, connection: str, walk: Walk) -> None:
        """Keep how far a team's accounts were read; the present is noted as its time."""
        with self._writing("Writing") as database:
            companies.save_walk(database, connection, walk)

    def synced_at(
        self,
        stream: str,
        keys: Collection[str],
        *,
        connection: str | None = None,
        source: str = "",
    ) -> dict[str, datetime]:
        """Say up to which moment (aware, UTC) source keys of a source are known to be in Apollo.

        Keys that never were, and keys whose last write is pending or failed, are left out, and so
        are keys of other sources and of none, whose rows may be other people. Without
        a connection a key counts if it is synced to *every* connection that the stream has links
        to, at the earliest of their moments: a trial with one team hides no lead from the next.
        """
        with self._reading("Reading") as database:
            if connection is not None:
                known = [connection]
            else:
                if (stream, source) not in self._connections:
                    found = queries.connections_of(database, stream, source)
                    self._connections[stream, source] = found
                known = self._connections[stream, source]
            return queries.find_synced_at(database, stream, keys, known, source)

    def record_intents(
        self,
        place: Place,
        run_id: str,
        intents: Sequence[Intent],
    ) -> None:
        """Mark links as pending before their requests go out. Raises ``LockLost`` too."""
        with self._changing(place) as database:
            queries.save_intents(database, place, run_id, intents)

    def record_outcomes(
        self,
        place: Place,
        run_id: str,
        outcomes: Sequence[LinkOutcome],
    ) -> None:
        """Write what became of a flush's rows. Raises ``LockLost`` too."""
        started = self._run_starts.get(run_id) or datetime.now(timezone.utc)
        with self._changing(place) as database:
            queries.save_outcomes(database, place, run_id, outcomes, started)

    def drop_links(
        self,
        place: Place,
        apollo_ids: Collection[str],
    ) -> int:
        """Forget the links, of any stream, to Apollo records that are gone; give their number.

        The stream of ``place`` does not matter.
        """
        with self._writing("Writing") as database:
            return queries.delete_links(database, place, apollo_ids)

    def begin_run(
        self,
        run_id: str,
        connection: str,
        streams: Sequence[str],
        mode: str,
        started_at: datetime,
    ) -> None:
        """Write the row of a run that begins; call again when it meets more streams."""
        run = Run(run_id, connection, tuple(streams), mode, started_at, None, {}, None, None)
        with self._writing("Writing") as database:
            runs.save_start(database, run)
        self._run_starts[run_id] = started_at

    def finish_run(
        self, run_id: str, counts: Mapping[str, int], exit_code: int, reason: str | None = None
    ) -> None:
        """Write a run's counts and why it ended into its row."""
        with self._writing("Writing") as database:
            runs.save_end(database, run_id, counts, exit_code, reason, datetime.now(timezone.utc))

    def runs(self, limit: int) -> list[Run]:
        """Give the latest runs, the newest first."""
        with self._reading("Reading") as database:
            return list(runs.latest(database, limit))

    def lock(self, connection: str, stream: str, run_id: str) -> StreamLock:
        """Make sure that no other run writes this stream to this connection.

        Gives the lock, to be released or used as a context manager; asked again for a lock that
        this ledger holds, it gives the same. Raises ``AnotherRunActive`` when another run has it.
        """
        held = self._locks.held(connection, stream)
        if held is not None:
            return held

        def give_back() -> None:
            if self._locks.forget(connection, stream):
                with self._writing("Writing") as database:
                    self._locks.erase(database, connection, stream)

        with self._writing("Writing") as database:
            self._locks.acquire(database, connection, stream, run_id)
        lock = StreamLock(connection, stream, run_id, give_back)
        self._locks.hold(lock)
        return lock

    @contextmanager
    def _reading(self, action: str) -> Iterator[Connection]:
        with self._address.errors_as_sentences(action), self._database.begin():
            yield self._database

    @contextmanager
    def _writing(self, action: str) -> Iterator[Connection]:
        with self._address.errors_as_sentences(action), _writing(self._database) as database:
            yield database

    @contextmanager
    def _changing(self, place: Place) -> Iterator[Connection]:
        with self._writing("Writing") as database:
            self._locks.make_sure(database, place.connection, place.stream)
            yield database


@contextmanager
def _writing(database: Connection) -> Iterator[Connection]:
    database.execution_options(**{WRITES: True})
    try:
        with database.begin():
            yield database
    finally:
        database.execution_options(**{WRITES: False})
