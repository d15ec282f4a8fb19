"""Cuts a flush into portions where a rate window has too little left for all of its rows.

Each portion is written to its end before the next one begins, as if the flush were smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from target_apollo.apollo import MAX_BULK
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.rows import Mode, Row, UpdateMethod
from target_apollo.sync.records.duplicates import oldest_first, waves
from target_apollo.sync.records.plan import create_requests
from target_apollo.sync.records.portions import fits, prefix
from target_apollo.sync.run import SyncRun


@dataclass(frozen=True)
class FlushPortions:
    """Cuts the flushes of one stream."""

    run: SyncRun
    object_type: ObjectType
    mode: Mode
    method: UpdateMethod

    def of(
        self, rows: Sequence[Row], whole: list[list[Row]]
    ) -> Iterator[tuple[list[list[Row]], bool]]:
        """The waves of each portion, and whether it is the last one.

        A portion is taken when the one before it is written, by what is left then. The oldest rows
        come first.

        Args:
            rows: The rows of the flush.
            whole: Their waves.
        """
        if self._fit(whole):
            yield whole, True
            return
        create = self.object_type.endpoints.create
        needed = sum(self._creates_needed(self._new(group)) for group in whole)
        self.run.request_counter.announce_wait(create, needed)
        left = oldest_first(self.object_type, rows)
        while left:
            size = prefix(left, lambda some: self._fit(waves(self.object_type, some)))
            yield waves(self.object_type, left[:size]), size == len(left)
            left = left[size:]

    def _fit(self, groups: Sequence[Sequence[Row]]) -> bool:
        """Whether waves need no more requests than may be sent now, by the cheapest endpoints."""
        create, size = self.object_type.endpoints.create, self.run.settings.batch_size
        new = [self._new(group) for group in groups]
        needed = self._updates_needed(groups)
        # Rows of several owners take twice as many requests at the most. Most flushes are far from
        # the limit, so their requests need not be counted exactly.
        most = sum(2 * math.ceil(len(rows) / size) for rows in new)
        if most > 2 and most > self.run.asked_room(create):
            needed[create] = sum(map(self._creates_needed, new))
        return fits(needed, self.run.room)

    def _new(self, rows: Sequence[Row]) -> list[Row]:
        if self.mode is Mode.INSERT:
            return list(rows)
        return [row for row in rows if not row.apollo_id]

    def _creates_needed(self, rows: Sequence[Row]) -> int:
        size = self.run.settings.batch_size
        spare = self.mode is Mode.INSERT or self.run.owner_reaches_existing
        return len(
            create_requests(
                self.object_type,
                rows,
                size,
                spare_existing=spare,
                identity_only=self.object_type.kind in self.run.in_two_steps,
            )
        )

    def _updates_needed(self, groups: Sequence[Sequence[Row]]) -> dict[str, int]:
        if self.mode is Mode.INSERT:
            return {}
        of = self.object_type.endpoints
        known = [sum(bool(row.apollo_id) for row in group) for group in groups]
        is_open = self.run.update_routes.is_open(of.bulk_update)
        if self.method is UpdateMethod.INDIVIDUAL or not is_open:
            return {of.update: sum(known)}
        return {of.bulk_update: sum(math.ceil(count / MAX_BULK) for count in known)}
