"""The ledger of a dry run: it reads the run's ledger and writes to a temporary one.

What a run would record goes into a ledger in a temporary folder, where later rows of the dry run
find it. The run's ledger is only read and not locked, so a dry run and a run can go on at the same
time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec.structs import replace as with_values

from target_apollo.ledger import (
    DELETED,
    Intent,
    Ledger,
    Link,
    LinkOutcome,
    LinkStatus,
    PendingFields,
    Place,
    SettledFields,
    StreamLock,
    TakeOver,
    Walk,
)
from target_apollo.ledger.runs import Run
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sync.dry_run.simulated_apollo import SimulatedApollo


class LedgerOverlay:
    """A temporary ledger over a run's ledger, which is only read. For the thread that made it.

    Its methods are those of `Ledger` that a run calls.
    """

    def __init__(self, ledger_url: str, apollo: SimulatedApollo) -> None:
        """Opens the ledger of the setting `ledger_url` for reading; it need not exist.

        A ledger of an older version is upgraded, as by every reader.

        Args:
            apollo: Told which records exist, by the links in the ledger.

        Raises:
            LedgerError: It can't be opened.
        """
        self._below = Ledger.open_existing(ledger_url)
        # tempfile makes folders that only their owner can read.
        self._folder = tempfile.TemporaryDirectory(prefix="target-apollo-")
        self._own = Ledger.open(f"sqlite:///{self._folder.name}/ledger.db")
        self._apollo = apollo
        #: Source keys of the latest call of `links`.
        self._asked: frozenset[str] = frozenset()
        #: Connection, object and Apollo id of links that were dropped.
        self._dropped: set[tuple[str, str, str | None]] = set()
        #: Source keys whose links in the run's ledger are ignored.
        self._forgotten: set[tuple[Place, str]] = set()
        #: Connection, object and Apollo id of records that were given back to rows.
        self._given_back: set[tuple[str, str, str | None]] = set()
        #: Connection, object and Apollo id of records that are gone from Apollo; their links stay.
        self._gone: set[tuple[str, str, str | None]] = set()
        #: Connection -> the one whose rows in the run's ledger a run would give it.
        self._former: dict[str, str] = {}
        #: Object and Apollo id -> fields to which the dry run has given other values.
        self._superseded: dict[tuple[str, str], set[str]] = {}

    # --- read from both ledgers

    def links(self, place: Place, keys: Collection[str]) -> dict[str, Link]:
        """As in `Ledger`; the links of the dry run win over those of the run's ledger."""
        self._asked = frozenset(keys)
        links = self._own.links(place, keys)
        if self._below is not None:
            missing = [key for key in keys if key not in links]
            below = self._below.links(self._there(place), missing)
            links |= {key: link for key, link in below.items() if self._counts(place, link)}
        self._trust(place, (link.apollo_id for link in links.values()))
        return links

    def links_of_stream(self, place: Place) -> Iterator[Link]:
        """As in `Ledger`."""
        own = set()
        for link in self._own.links_of_stream(place):
            own.add(link.source_key)
            yield link
        if self._below is not None:
            for link in self._below.links_of_stream(self._there(place)):
                if link.source_key not in own and self._counts(place, link):
                    yield link

    def links_by_apollo_id(
        self, place: Place, apollo_ids: Collection[str]
    ) -> dict[str, list[Link]]:
        """As in `Ledger`."""
        links_of = self._own.links_by_apollo_id(place, apollo_ids)
        if self._below is None:
            return links_of
        below = self._below.links_by_apollo_id(self._there(place), apollo_ids)
        for apollo_id, links in below.items():
            if self._is_dropped(place, apollo_id):
                continue
            own = links_of.get(apollo_id, [])
            counting = [self._seen(place, link) for link in links if self._counts(place, link)]
            if own or counting:
                links_of[apollo_id] = _merged(own, counting)
        return links_of

    def links_by_match(self, place: Place, hashes: Collection[str]) -> dict[str, list[Link]]:
        """As in `Ledger`.

        A row that the dry run has written is found only by its new hash, not by an earlier one.
        """
        links_of = self._own.links_by_match(place, hashes)
        if self._below is None:
            return links_of
        for match_hash, links in self._below.links_by_match(self._there(place), hashes).items():
            left = [
                link
                for link in links
                if self._counts(place, link)
                and link.source_key
                not in self._own.links(_place_of(place, link), [link.source_key])
            ]
            if left:
                links_of[match_hash] = [*links_of.get(match_hash, []), *left]
        return links_of

    def company_ids(self, connection: str, hashes: Collection[str]) -> dict[str, str]:
        """As in `Ledger`; the accounts of the dry run win over those of the run's ledger."""
        own = self._own.company_ids(connection, hashes)
        below = (
            {}
            if self._below is None
            else self._below.company_ids(self._former.get(connection, connection), hashes)
        )
        return self._without_dropped(connection, below) | own

    def account_ids_by_match(self, connection: str, hashes: Collection[str]) -> dict[str, str]:
        """As in `Ledger`; the links of the dry run win over those of the run's ledger."""
        own = self._own.account_ids_by_match(connection, hashes)
        below = (
            {}
            if self._below is None
            else self._below.account_ids_by_match(self._former.get(connection, connection), hashes)
        )
        return self._without_dropped(connection, below) | own

    def walk(self, connection: str) -> Walk | None:
        """As in `Ledger`; the walk of the dry run, once it has begun one."""
        own = self._own.walk(connection)
        if own is not None or self._below is None:
            return own
        return self._below.walk(self._former.get(connection, connection))

    def routes(self, connection: str) -> dict[str, str]:
        """As in `Ledger`: those of the run's ledger."""
        if self._below is None:
            return {}
        return self._below.routes(self._former.get(connection, connection))

    def has_pending_fields(self) -> bool:
        """As in `Ledger`: of the run's ledger."""
        return self._below is not None and self._below.has_pending_fields()

    def count_pending_fields(self, connection: str) -> dict[tuple[str, str], tuple[int, int]]:
        """As in `Ledger`: those of the run's ledger, whatever the dry run would do with them."""
        if self._below is None:
            return {}
        return self._below.count_pending_fields(self._former.get(connection, connection))

    def pending_fields(
        self,
        connection: str,
        limit: int,
        after: tuple[datetime | None, str] | None = None,
    ) -> list[PendingFields]:
        """As in `Ledger`, without the values that rows of the dry run have replaced."""
        if self._below is None:
            return []
        there = self._former.get(connection, connection)
        found = self._below.pending_fields(there, limit, after)
        for one in found:
            self._trust(one.place, [one.apollo_id])
        return [
            one.without(self._superseded.get((one.place.object, one.apollo_id), ()))
            for one in found
        ]

    def times_of_records(self, pending: Sequence[PendingFields]) -> dict[str, str | None]:
        """As in `Ledger`."""
        return {} if self._below is None else self._below.times_of_records(pending)

    def runs(self, limit: int) -> list[Run]:
        """The latest runs of the run's ledger, without the dry run."""
        return [] if self._below is None else self._below.runs(limit)

    # --- written to the temporary ledger

    def lock(self, connection: str, stream: str, run_id: str) -> StreamLock:
        """As in `Ledger`, in the temporary ledger."""
        return self._own.lock(connection, stream, run_id)

    def adopt(self, place: Place, keys: Collection[str]) -> None:
        """Does nothing, since the run's ledger is only read; it gives the same links again."""

    def forget(self, place: Place, keys: Collection[str]) -> None:
        """As in `Ledger`; the run's ledger keeps the links, but the dry run ignores them."""
        self._forgotten |= {(place, key) for key in keys}
        self._own.forget(place, keys)

    def forget_moves(self, place: Place, apollo_ids: Collection[str]) -> None:
        """As in `Ledger`; the run's ledger keeps what it notes, but the dry run ignores it."""
        self._given_back |= {(place.connection, place.object, one) for one in apollo_ids}
        self._own.forget_moves(place, apollo_ids)

    def save_companies(self, connection: str, ids: Mapping[str, str]) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.save_companies(connection, ids)

    def save_route(self, connection: str, kind: str, endpoint: str) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.save_route(connection, kind, endpoint)

    def save_walk(self, connection: str, walk: Walk) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.save_walk(connection, walk)

    def record_intents(self, place: Place, run_id: str, intents: Sequence[Intent]) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.record_intents(place, run_id, intents)
        # `links` has already trusted the records of its rows; these are other records.
        moved = [intent.apollo_id for intent in intents if intent.source_key not in self._asked]
        if any(moved):
            self._trust(place, moved)

    def record_outcomes(
        self,
        place: Place,
        run_id: str,
        outcomes: Sequence[LinkOutcome],
    ) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.record_outcomes(place, run_id, outcomes)
        self._gone |= {
            (place.connection, place.object, outcome.apollo_id)
            for outcome in outcomes
            if outcome.status is LinkStatus.GONE
        }

    def change_pending_fields(
        self,
        place: Place,
        superseded: Mapping[str, Collection[str]],
        added: Sequence[PendingFields],  # noqa: ARG002 - a dry run leaves nothing to be sent
    ) -> None:
        """As in `Ledger`; the run's ledger keeps the values, but the dry run ignores them."""
        for apollo_id, names in superseded.items():
            self._superseded.setdefault((place.object, apollo_id), set()).update(names)

    def settle_pending_fields(self, settled: Sequence[SettledFields]) -> None:
        """Does nothing, since the run's ledger is only read."""

    def drop_links(self, place: Place, apollo_ids: Collection[str]) -> int:
        """As in `Ledger`; the run's ledger keeps the links, but the dry run ignores them."""
        self._dropped |= {(place.connection, place.object, apollo_id) for apollo_id in apollo_ids}
        return self._own.drop_links(place, apollo_ids)

    def take_over(self, former: str, connection: str) -> TakeOver:
        """As in `Ledger`; the run's ledger is only read, so its rows keep their connection."""
        if self._below is None:
            return TakeOver.NOTHING_ELSE
        found = self._below.would_take_over(former, connection)
        if found is TakeOver.TAKEN_OVER:
            self._former = {connection: former}
        return found

    def begin_run(
        self,
        run_id: str,
        connection: str,
        streams: Sequence[str],
        mode: str,
        started_at: datetime,
    ) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.begin_run(run_id, connection, streams, mode, started_at)

    def finish_run(
        self, run_id: str, counts: Mapping[str, int], exit_code: int, reason: str | None = None
    ) -> None:
        """As in `Ledger`, in the temporary ledger."""
        self._own.finish_run(run_id, counts, exit_code, reason)

    def close(self) -> None:
        """Closes both ledgers and deletes the temporary one."""
        self._own.close()
        if self._below is not None:
            self._below.close()
        self._folder.cleanup()

    def _there(self, place: Place) -> Place:
        """A place as the run's ledger names it."""
        return place._replace(connection=self._former.get(place.connection, place.connection))

    def _counts(self, place: Place, link: Link) -> bool:
        """Whether a link of the run's ledger was neither dropped nor forgotten."""
        row = (_place_of(place, link), link.source_key)
        return row not in self._forgotten and not self._is_dropped(place, link.apollo_id)

    def _seen(self, place: Place, link: Link) -> Link:
        """A link of the run's ledger, without the move of its record if that was given back."""
        is_back = (place.connection, place.object, link.apollo_id) in self._given_back
        return with_values(link, payload_hash=DELETED) if is_back and link.is_deleted else link

    def _is_dropped(self, place: Place, apollo_id: str | None) -> bool:
        return (place.connection, place.object, apollo_id) in self._dropped

    def _without_dropped(self, connection: str, ids: Mapping[str, str]) -> dict[str, str]:
        away = self._dropped | self._gone
        return {key: one for key, one in ids.items() if (connection, "account", one) not in away}

    def _trust(self, place: Place, apollo_ids: Iterable[str | None]) -> None:
        linked = frozenset(apollo_id for apollo_id in apollo_ids if apollo_id)
        with suppress(ValueError):  # only of contacts and accounts there are simulated records
            self._apollo.trust(ObjectKind(f"{place.object}s"), linked)


def _merged(own: Sequence[Link], below: Iterable[Link]) -> list[Link]:
    # A link without a source may belong to a row that now has a link with a source.
    rows = {link.row for link in own} | {("", *link.row[1:]) for link in own}
    return [*own, *(link for link in below if link.row not in rows)]


def _place_of(place: Place, link: Link) -> Place:
    return place._replace(stream=link.stream, source=link.source)


#: The ledger of a run, or of a dry run.
RunLedger = Ledger | LedgerOverlay
