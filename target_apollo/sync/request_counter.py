"""Reckons the requests of a run before each round, and says when they have to wait."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from target_apollo.apollo import MAX_BULK, WindowState, endpoints
from target_apollo.apollo.rate_windows import schedule
from target_apollo.model.objects import ObjectType
from target_apollo.sync.update_plan import Parts

#: Told how many requests a round sends, by endpoint.
Reckon = Callable[[Mapping[str, int]], None]


def take_no_note(requests: Mapping[str, int]) -> None:
    """For rounds that nobody reckons."""


class Reckoner:
    """Sums what was reckoned in a run; for one thread.

    Args:
        states: Tells how the windows of an endpoint stand, shortest first.
        logger: Gets a line where a round does not fit what is left of the minute; None in a dry
            run, which does not wait.
    """

    def __init__(
        self, states: Callable[[str], Sequence[WindowState]], logger: logging.Logger | None
    ) -> None:
        self._states = states
        self._logger = logger
        self._requests: Counter[str] = Counter()

    @property
    def requests(self) -> dict[str, int]:
        """Requests so far, by endpoint."""
        return dict(self._requests)

    def reckon(self, requests: Mapping[str, int]) -> None:
        """Takes a round in that is about to be sent."""
        for endpoint, count in requests.items():
            if count:
                self._requests[endpoint] += count
                self._say(endpoint, count)

    def _say(self, endpoint: str, count: int) -> None:
        if self._logger is None:
            return
        found = schedule(count, self._states(endpoint))
        if found.fits[0] or not math.isfinite(found.seconds):
            return
        done_at = datetime.now(timezone.utc) + timedelta(seconds=found.seconds)
        self._logger.info(
            "%d requests to %s are due and this minute takes %d more: they will be sent by "
            "%s UTC, in %.0f s",
            count,
            endpoint,
            found.left[0],
            done_at.strftime("%Y-%m-%d %H:%M:%S"),
            found.seconds,
            extra={"endpoint": endpoint, "requests": count, "seconds": round(found.seconds, 1)},
        )


def update_requests(
    object_type: ObjectType, parts: Sequence[Parts], *, list_size: int
) -> dict[str, int]:
    """Requests that updates take, by endpoint; PATCH or PUT also where it may prove needless.

    Args:
        list_size: Records that go onto a list with one request.
    """
    found = {
        object_type.update_endpoint: sum(
            int(bool(one.single)) + int(bool(one.rest)) for one in parts
        ),
        object_type.bulk_endpoint: _requests([1 for one in parts if one.bulk], MAX_BULK),
        endpoints.UPDATE_CONTACT_STAGES: _requests((one.stage for one in parts), MAX_BULK),
        endpoints.UPDATE_CONTACT_OWNERS: _requests((one.owner for one in parts), MAX_BULK),
        endpoints.ADD_TO_LISTS: _requests((one.lists for one in parts), list_size),
    }
    return {endpoint: count for endpoint, count in found.items() if count}


def _requests(shared: Iterable[Hashable], size: int) -> int:
    """Requests for records that are grouped by what they share."""
    groups = Counter(one for one in shared if one)
    return sum(math.ceil(count / size) for count in groups.values())
