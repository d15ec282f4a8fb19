"""Reckons the requests of a run before each round, and says when they have to wait."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from target_apollo.apollo import Standing
from target_apollo.apollo.rate_windows import schedule

#: Told how many requests a round sends, by endpoint.
Reckon = Callable[[Mapping[str, int]], None]


class Reckoner:
    """Sums what was reckoned in a run; for one thread.

    Args:
        standings: Tells how the windows of an endpoint stand, shortest first.
        logger: Gets a line where a round does not fit what is left of the minute; None in a dry
            run, which does not wait.
    """

    def __init__(
        self, standings: Callable[[str], Sequence[Standing]], logger: logging.Logger | None
    ) -> None:
        self._standings = standings
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
        found = schedule(count, self._standings(endpoint))
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
