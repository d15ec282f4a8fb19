"""Finds the records in Apollo that have a row's keys, if neither ledger nor run knows them.

Apollo has no search for an exact address, id or profile, so every record that a search shows is
compared. A search needs one request, and so does a page of a hundred records. For many rows all
records are read once, if that needs fewer requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from target_apollo.apollo import ApolloError, EndpointForbidden, RecordPage
from target_apollo.apollo.endpoints import MOST_PAGES, PER_PAGE
from target_apollo.ledger import match_hash
from target_apollo.model.match_keys import is_address, keys, keys_of_record, kind_of
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.run import SyncRun

#: Rows that are searched one by one before the number of pages is requested.
_MOST_SEARCHES = 20
#: Most records that are kept in memory, and not their ids alone, after all records were read.
_MOST_RECORDS = 2_000


@dataclass
class FoundRecords:
    """The records that have the keys of rows.

    Attributes:
        ids: Row number -> ids of the records with the first of the row's keys that any record has.
        keys: Row number -> that key; missing if no record was found.
        records: Row number -> the record as Apollo showed it, if there is one and it was kept.
        unsearchable: Numbers of rows without words for a search; they have no ids.
        whole: Numbers of rows whose record holds all their values, according to the ledger.
        forbidden: Apollo's answer if the API key may not search; then no record is known.
        failure: The error that ends the run. Rows that were not searched before it are in no list.
    """

    ids: dict[int, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    records: dict[int, Json] = field(default_factory=dict)
    unsearchable: set[int] = field(default_factory=set)
    whole: set[int] = field(default_factory=set)
    forbidden: EndpointForbidden | None = None
    failure: ApolloError | None = None

    def is_by_first_key(self, row: Row) -> bool:
        """Whether the record that was found has the first of the row's keys."""
        return self.keys.get(row.number) == row.match_key

    def add(self, other: FoundRecords) -> None:
        """Adds what was found of other rows."""
        self.ids |= other.ids
        self.keys |= other.keys
        self.records |= other.records
        self.unsearchable |= other.unsearchable
        self.forbidden = self.forbidden or other.forbidden
        self.failure = self.failure or other.failure

    def take(self, row: Row, key: str, records: Sequence[Json]) -> None:
        """Notes the records that have a key of a row."""
        self.ids[row.number] = tuple(dict.fromkeys(str(record["id"]) for record in records))
        self.keys[row.number] = key
        if len(self.ids[row.number]) == 1 and len(records[0]) > 1:
            self.records[row.number] = records[0]


class RecordFinder:
    """Looks records of one object up by their keys; for one thread, for the length of a run.

    Args:
        match_on: Kinds of keys by which the rows of the stream are recognised.
    """

    def __init__(self, run: SyncRun, object_type: ObjectType, match_on: Sequence[str] = ()) -> None:
        self._run = run
        self._object_type = object_type
        self._kinds = frozenset((object_type.match_field, *match_on))
        self._forbidden: EndpointForbidden | None = None
        #: Hash of a key -> ids of its records, after all records were read.
        self._all: dict[str, list[str]] | None = None
        #: Number of pages of all records, after one was read.
        self._pages: int | None = None
        #: Key -> id of the record that this run has created with it; a search may not show it yet.
        self._made: dict[str, str] = {}

    def learn(self, made_keys: Iterable[str], apollo_id: str) -> None:
        """Notes the keys of a record that this run has written."""
        self._made.update(dict.fromkeys(made_keys, apollo_id))

    def find(self, rows: Sequence[Row]) -> FoundRecords:
        """The records that have the rows' match keys; rows without one are left out.

        Raises:
            Exception: A defect; what Apollo answers is in the result.
        """
        wanted = [row for row in rows if row.match_key]
        found = FoundRecords()
        if self._made:
            self._take_made(wanted, found)
            wanted = [row for row in wanted if row.number not in found.ids]
        if not wanted:
            return found
        if self._forbidden is not None:
            found.forbidden = self._forbidden
            return found
        records: dict[str, Json] = {}
        try:
            if self._all is None and (first := self._first_page(wanted)) is not None:
                self._all = self._read_all(first, wanted, records)
        except EndpointForbidden as refusal:
            self._forbidden = found.forbidden = refusal
            return found
        except ApolloError as failure:
            found.failure = failure
            return found
        if self._all is not None:
            self._take_read(wanted, self._all, records, found)
        else:
            self._search(wanted, found)
        return found

    def _take_made(self, rows: Sequence[Row], found: FoundRecords) -> None:
        for row in rows:
            key = next((key for key in keys(row) if key in self._made), None)
            if key is not None:
                found.take(row, key, [{"id": self._made[key]}])

    def _take_read(
        self,
        rows: Sequence[Row],
        held: dict[str, list[str]],
        records: dict[str, Json],
        found: FoundRecords,
    ) -> None:
        for row in rows:
            found.ids[row.number] = ()
            for key in keys(row):
                ids = held.get(match_hash(key))
                if ids:
                    found.take(row, key, [records.get(one, {"id": one}) for one in ids])
                    break

    def _search(self, rows: Sequence[Row], found: FoundRecords) -> None:
        found.unsearchable = {row.number for row in rows if not self._words(row)}
        found.ids.update(dict.fromkeys(found.unsearchable, ()))
        rows = [row for row in rows if row.number not in found.unsearchable]
        self._plan(len(rows))
        answers = self._run.pool.run([partial(self._search_one, row) for row in rows])
        for row, answer in zip(rows, answers, strict=True):
            if isinstance(answer, EndpointForbidden):
                self._forbidden = found.forbidden = answer
            elif isinstance(answer, ApolloError):
                found.failure = found.failure or answer
            elif isinstance(answer, Exception):
                raise answer
            elif answer is None:
                found.ids[row.number] = ()
            else:
                found.take(row, *answer)

    def _search_one(self, row: Row) -> tuple[str, list[Json]] | None:
        """The first of the row's keys that any record has, and the records that have it."""
        wanted = keys(row)
        held: dict[str, list[Json]] = {}
        for words in self._words(row):
            for hit in self._run.client.search(self._object_type.endpoints, words):
                for key in keys_of_record(self._object_type, hit):
                    held.setdefault(key, []).append(hit)
            if wanted[0] in held:
                break
        return next(((key, held[key]) for key in wanted if key in held), None)

    def _words(self, row: Row) -> list[str]:
        """The texts to search for, one after another; Apollo can't search ids or profiles.

        There are none where a probe has seen that a search finds nothing.
        """
        if self._run.finds_no_words and not self._object_type.is_matched_by_domain:
            return []
        address = next(filter(is_address, keys(row)), None)
        if self._object_type.is_matched_by_domain:
            # Apollo finds accounts by a part of their name only.
            words = [row.values.get("name"), (address or "").split(".", 1)[0]]
        else:
            names = (row.values.get("first_name"), row.values.get("last_name"))
            has_others = not all(map(is_address, keys(row)))
            name = " ".join(filter(None, names)) or row.values.get("organization_name")
            words = [address, name if has_others else None]
        return list(dict.fromkeys(word for word in words if word))

    def _first_page(self, rows: Sequence[Row]) -> RecordPage | None:
        """The first page of all records, if reading all needs fewer requests than searches."""
        # A row of accounts needs two searches, and may then still have another record.
        by_name_only = self._object_type.is_matched_by_domain
        wordless = sum(not self._words(row) for row in rows)
        if len(rows) <= _MOST_SEARCHES and not by_name_only and not wordless:
            return None
        worth = 2 * len(rows) if by_name_only else len(rows)
        most = min(max(worth, _MOST_SEARCHES * wordless), MOST_PAGES)
        if self._pages is not None and self._pages > most:
            return None
        self._plan(1)
        first = self._run.client.page(self._object_type.endpoints, 1)
        self._pages = first.pages
        if first.pages > most:
            return None
        # If Apollo's limits end the reading, nothing is known, and the next run has to start again.
        # Records that single searches find are written at once, so the next run knows them.
        left = self._run.update_routes.requests_left(self._object_type.endpoints.search)
        fits = left is None or first.pages - 1 <= left
        return first if fits or by_name_only or wordless else None

    def _read_all(
        self, first: RecordPage, rows: Sequence[Row], records: dict[str, Json]
    ) -> dict[str, list[str]]:
        """Hash of a key -> ids of its records; those of the rows are added to `records`."""
        held: dict[str, list[str]] = {}
        wanted = {key for row in rows for key in keys(row)}
        self._plan(first.pages - 1)
        answer, page, total = first, 1, first.total
        while True:
            for record in answer.records:
                for key in keys_of_record(self._object_type, record):
                    if kind_of(self._object_type, key) not in self._kinds:
                        continue
                    ids = held.setdefault(match_hash(key), [])
                    if str(record["id"]) not in ids:
                        ids.append(str(record["id"]))
                    if key in wanted and len(records) < _MOST_RECORDS:
                        records[str(record["id"])] = record
            page += 1
            if page > min(answer.pages, MOST_PAGES):
                return held
            answer = self._run.client.page(self._object_type.endpoints, page)
            deleted, total = total - answer.total, answer.total
            if deleted > 0:
                # As many records have moved to pages that were read: these are read once more.
                page = max(0, page - 1 - math.ceil(deleted / PER_PAGE))

    def _plan(self, requests: int) -> None:
        self._run.request_counter.plan_requests({self._object_type.endpoints.search: requests})
