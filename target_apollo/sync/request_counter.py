"""Counts the requests that a run plans, and says before a round where they have to wait."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from target_apollo.apollo import WindowState
from target_apollo.apollo.rate_windows import schedule


class RequestCounter:
    """Sums the requests that the rounds of a run plan; for one thread.

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
        """Requests planned so far, by endpoint."""
        return dict(self._requests)

    def plan_requests(self, requests: Mapping[str, int]) -> None:
        """Adds the requests of a round that is about to be sent, by endpoint."""
        for endpoint, count in requests.items():
            if count:
                self._requests[endpoint] += count
                self._announce_wait(endpoint, count)

    def _announce_wait(self, endpoint: str, count: int) -> None:
        if self._logger is None:
            return
        planned = schedule(count, self._states(endpoint))
        if planned.fits[0] or not math.isfinite(planned.seconds):
            return
        done_at = datetime.now(timezone.utc) + timedelta(seconds=planned.seconds)
        self._logger.info(
            "%d requests to %s are due and this minute takes %d more: they will be sent by "
            "%s UTC, in %.0f s",
            count,
            endpoint,
            planned.left[0],
            done_at.strftime("%Y-%m-%d %H:%M:%S"),
            planned.seconds,
            extra={"endpoint": endpoint, "requests": count, "seconds": round(planned.seconds, 1)},
        )
