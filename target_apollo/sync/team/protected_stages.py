"""Stages that no sync moves a record out of, such as "Do Not Contact" (setting `protected_stages`).

Most answers show the stage of a record. If only the record's id is known, all records in protected
stages are searched, a hundred per request; or the record is read, if that needs fewer requests.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property, partial

from target_apollo.apollo import AnotherRecord, EndpointForbidden, RequestRefused
from target_apollo.apollo.endpoints import MOST_PAGES
from target_apollo.model.objects.registry import OBJECTS, Json, ObjectType
from target_apollo.model.policies import PROTECTED_STAGES
from target_apollo.model.rows import Row
from target_apollo.sync.exit import RunError
from target_apollo.sync.run import SyncRun

#: Seconds after which the records in protected stages are searched again.
_KNOWN_FOR = 300.0
#: Times that a search of them begins again before each record is read.
_MOST_AGAIN = 2

#: A row, the id of its record, and the record as it was answered.
Existing = tuple[Row, str, "Json | None"]


class StageGuard:
    """Knows which records of one object are in a protected stage; for one thread."""

    def __init__(self, run: SyncRun, object_type: ObjectType) -> None:
        self._run = run
        self._object_type = object_type
        self._kept: set[str] = set()
        self._free: set[str] = set()
        #: Whether all records in protected stages are known.
        self._knows_all = False
        self._asked_at = 0.0

    @property
    def field(self) -> str:
        """The field with a record's stage."""
        return self._object_type.endpoints.stage_key

    @cached_property
    def _stages(self) -> frozenset[str]:
        """Ids of the protected stages that the team has.

        Raises:
            RunError: The setting names a stage that Apollo does not have.
            ApolloError: Apollo could not be asked.
        """
        directory, names = self._run.directory, self._run.settings.protected_stages
        found = directory.stage_ids(self._object_type, names)
        others = [one for one in OBJECTS.values() if one is not self._object_type]
        for name in names:
            if name in found or name in PROTECTED_STAGES:
                continue
            if not any(directory.stage_ids(one, [name]) for one in others):
                meant = directory.stage_meant((self._object_type, *others), name)
                raise RunError(
                    f"The setting 'protected_stages' names '{name}', and no stage of contacts or "
                    f"accounts is called that{meant}, so nothing would be protected: correct the "
                    "name.",
                    exit_code=2,
                )
        return frozenset(found.values())

    def look_up(self, records: Iterable[Existing]) -> None:
        """Asks Apollo for the stages of records whose stage is unknown and would change.

        Raises:
            ApolloError: Apollo could not be asked.
            RunError: The setting is wrong.
        """
        self.kept_among(
            {
                apollo_id
                for row, apollo_id, answer in records
                if self._moves(row) and not (self.field in (answer or {}) and self._tells(answer))
            }
        )

    def keeps(self, row: Row, apollo_id: str, answer: Json | None) -> bool:
        """Whether a record must stay in its stage although the row has another; after `look_up`."""
        if not self._moves(row):
            return False
        if answer is not None and self.field in answer and self._tells(answer):
            return self.protects(answer[self.field])
        return apollo_id in self._kept

    def kept_among(self, ids: Collection[str]) -> set[str]:
        """The ids among these of records that are in a protected stage.

        Raises:
            ApolloError: Apollo could not be asked.
            RunError: The setting is wrong.
        """
        if not ids or not self.has_stages:
            return set()
        if time.monotonic() - self._asked_at > _KNOWN_FOR:
            self._kept, self._free, self._knows_all = set(), set(), False
        unknown = [] if self._knows_all else sorted({*ids} - self._kept - self._free)
        if unknown:
            if not self._kept and not self._free:
                self._asked_at = time.monotonic()
            if len(unknown) == 1 or not self._search(len(unknown)):
                self._read(unknown)
        return self._kept & {*ids}

    def note(self, records: Mapping[str, Json]) -> None:
        """Takes over the stages of records that were just read, so that nobody asks for them.

        Args:
            records: Apollo id -> record.
        """
        if not records or not self.has_stages:
            return
        if time.monotonic() - self._asked_at > _KNOWN_FOR:
            self._kept, self._free, self._knows_all = set(), set(), False
            self._asked_at = time.monotonic()
        for apollo_id, record in records.items():
            if not self._tells(record):
                continue
            is_kept = self.protects(record.get(self.field))
            (self._kept if is_kept else self._free).add(apollo_id)
            (self._free if is_kept else self._kept).discard(apollo_id)

    @property
    def has_stages(self) -> bool:
        """Whether there is a protected stage at all."""
        return bool(self._run.settings.protected_stages) and bool(self._stages)

    def protects(self, stage_id: object) -> bool:
        """Whether a stage is itself protected, so that records in any stage may be moved to it."""
        return self.has_stages and isinstance(stage_id, str) and stage_id in self._stages

    def _tells(self, record: Json | None) -> bool:
        """Whether a stage in an answer, if there is one, is an id."""
        return isinstance((record or {}).get(self.field), (str, type(None)))

    def _moves(self, row: Row) -> bool:
        if self.field not in row.values or not self.has_stages:
            return False
        return row.values[self.field] not in self._stages

    def _search(self, most_pages: int) -> bool:
        """Searches all records in a protected stage; False if reading needs fewer requests.

        A record that comes into such a stage or leaves it between two pages moves others to pages
        that were read. The total of the answers shows it, and the search begins again.
        """
        of, page, again = self._object_type.endpoints, 1, 0
        total: int | None = None
        found = set[str]()
        while True:
            try:
                answer = self._run.client.in_stages(of, sorted(self._stages), page)
            except EndpointForbidden:
                return False
            if answer.pages > min(most_pages, MOST_PAGES):
                return False
            if total not in (None, answer.total):
                if again == _MOST_AGAIN:
                    return False
                again += 1
                page, total, found = 1, None, set()
                continue
            total = answer.total
            found.update(
                str(record["id"])
                for record in answer.records
                if not self._tells(record) or self.protects(record.get(self.field))
            )
            if page >= answer.pages:
                break
            page += 1
        self._kept |= found
        self._knows_all = True
        return True

    def _read(self, ids: list[str]) -> None:
        ask = partial(self._run.client.read, self._object_type.endpoints)
        answers = self._run.pool.run([partial(ask, one) for one in ids])
        for apollo_id, answer in zip(ids, answers, strict=True):
            if isinstance(answer, RequestRefused):
                # The record is gone, or its update will fail with the reason.
                self._free.add(apollo_id)
            elif isinstance(answer, (EndpointForbidden, AnotherRecord)):
                # Its stage can't be known, so it must stay.
                self._kept.add(apollo_id)
            elif isinstance(answer, Exception):
                raise answer
            elif not self._tells(answer) or self.protects(answer.get(self.field)):
                self._kept.add(apollo_id)
            else:
                self._free.add(apollo_id)
