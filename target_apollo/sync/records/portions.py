"""Which rows go first where a rate window has too little left for all of them.

STATE passes the rows of a batch up to the first one without an outcome. So the requests that are
left are given to the oldest rows, each row with all that it needs: the batch is cut into portions,
and each is written to its end before the next one begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from target_apollo.apollo import MAX_BULK
from target_apollo.model.rows import Mode, Row, UpdateMethod
from target_apollo.sync.records.plan import create_requests, oldest_first, waves
from target_apollo.sync.records.record_stream import RecordStream

T = TypeVar("T")

#: Requests that an endpoint takes now; infinite where Apollo told no limit.
Room = Callable[[str], float]


def fits(needed: Mapping[str, int], room: Room) -> bool:
    """Whether requests can be sent without a wait; one request per endpoint always may be.

    Args:
        needed: Endpoint -> number of requests. The first request waits until its window opens, or
            ends the run.
    """
    return all(count <= 1 or count <= room(endpoint) for endpoint, count in needed.items())


def prefix(items: Sequence[T], is_small: Callable[[Sequence[T]], bool]) -> int:
    """The length of the longest beginning that is small enough; at least 1 unless it is empty.

    Args:
        is_small: Whether a beginning is; true of every beginning of one for which it is true.
    """
    if is_small(items):
        return len(items)
    low, high = 1, max(1, len(items) - 1)
    while low < high:
        middle = (low + high + 1) // 2
        if is_small(items[:middle]):
            low = middle
        else:
            high = middle - 1
    return low


class BatchPortions:
    """Cuts the batches of one stream."""

    def __init__(self, stream: RecordStream) -> None:
        self._run = stream.run
        self._object_type = stream.object_type
        self._mode = stream.mode
        self._method = stream.own.update_method

    def of(
        self, rows: Sequence[Row], whole: list[list[Row]]
    ) -> Iterator[tuple[list[list[Row]], bool]]:
        """The waves of each portion, and whether it is the last one.

        A portion is taken when the one before it is written, by what is left then. The oldest rows
        come first.

        Args:
            rows: The rows of the batch.
            whole: Their waves.
        """
        if self._fit(whole):
            yield whole, True
            return
        create = self._object_type.endpoints.create
        needed = sum(self._creates_needed(self._new(group)) for group in whole)
        self._run.request_counter.announce_wait(create, needed)
        left = oldest_first(self._object_type, rows)
        while left:
            size = prefix(left, lambda some: self._fit(waves(self._object_type, some)))
            yield waves(self._object_type, left[:size]), size == len(left)
            left = left[size:]

    def _fit(self, groups: Sequence[Sequence[Row]]) -> bool:
        """Whether waves need no more requests than may be sent now, by the cheapest endpoints."""
        create, size = self._object_type.endpoints.create, self._run.settings.batch_size
        new = [self._new(group) for group in groups]
        needed = self._updates_needed(groups)
        # Rows of several owners take twice as many requests at the most. Most batches are far from
        # the limit, so their requests need not be counted exactly.
        most = sum(2 * math.ceil(len(rows) / size) for rows in new)
        if most > 2 and most > self._run.asked_room(create):
            needed[create] = sum(map(self._creates_needed, new))
        return fits(needed, self._run.room)

    def _new(self, rows: Sequence[Row]) -> list[Row]:
        if self._mode is Mode.INSERT:
            return list(rows)
        return [row for row in rows if not row.apollo_id]

    def _creates_needed(self, rows: Sequence[Row]) -> int:
        size = self._run.settings.batch_size
        spare = self._mode is Mode.INSERT or self._run.owner_reaches_existing
        return len(
            create_requests(
                self._object_type,
                rows,
                size,
                spare_existing=spare,
                identity_only=self._object_type.kind in self._run.in_two_steps,
            )
        )

    def _updates_needed(self, groups: Sequence[Sequence[Row]]) -> dict[str, int]:
        if self._mode is Mode.INSERT:
            return {}
        of = self._object_type.endpoints
        known = [sum(bool(row.apollo_id) for row in group) for group in groups]
        is_open = self._run.update_routes.is_open(of.bulk_update)
        if self._method is UpdateMethod.INDIVIDUAL or not is_open:
            return {of.update: sum(known)}
        return {of.bulk_update: sum(math.ceil(count / MAX_BULK) for count in known)}
