"""The paces of all endpoints, shared by the threads of a transport."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from target_apollo.apollo.endpoints import access_to
from target_apollo.apollo.rate_windows import EndpointPace, Slot, Standing, Until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_apollo.apollo.quota import Windows

# How long a thread looks away while it waits for others' answers; a stop is seen that late.
_LOOK_EVERY_SECONDS = 0.1


class Pacer:
    """Hands out slots for requests; each comes back as `answered`, `refused` or `not_sent`.

    `share` and `window_seconds` are those of `EndpointPace`. Labels that Apollo counts together
    (PUT and PATCH of one thing) share a pace.
    """

    def __init__(self, share: float, window_seconds: Sequence[float]) -> None:
        self._share = share
        self._window_seconds = tuple(window_seconds)
        self._changed = threading.Condition()
        self._paces: dict[str, EndpointPace] = {}
        self._told: dict[str, float] = {}

    def take(self, endpoint: str) -> Slot | Until | None:
        """Take a slot, or return until when (`time.monotonic`) there is none.

        None: it depends on answers that are outstanding. Look again, a moment was spent waiting.
        """
        with self._changed:
            taken = self._pace(endpoint).take(time.monotonic())
            if taken is None:
                self._changed.wait(_LOOK_EVERY_SECONDS)
            return taken

    def answered(self, endpoint: str, slot: Slot, said: Windows) -> None:
        """Bring back the slot of a request that Apollo may have counted, and what it said."""
        with self._changed:
            self._pace(endpoint).answered(slot, time.monotonic(), said)
            self._changed.notify_all()

    def refused(self, endpoint: str, slot: Slot, said: Windows, retry_after: float | None) -> None:
        """Bring back the slot of a request that was answered with 429."""
        with self._changed:
            self._pace(endpoint).refused(slot, time.monotonic(), said, retry_after)
            self._changed.notify_all()

    def not_sent(self, endpoint: str, slot: Slot) -> None:
        """Bring back the slot of a request that did not reach Apollo."""
        with self._changed:
            self._pace(endpoint).not_sent(slot)
            self._changed.notify_all()

    def learn(self, usage: Mapping[str, Windows], asked_at: float) -> None:
        """Take over Apollo's statistics, by endpoint label, for endpoints not yet called."""
        with self._changed:
            now = time.monotonic()
            for endpoint, said in usage.items():
                self._pace(endpoint).learn(said, asked_at, now)

    def standings(self, endpoint: str) -> tuple[Standing, ...]:
        """Tell how the windows of an endpoint stand, shortest first."""
        with self._changed:
            return self._pace(endpoint).standings(time.monotonic())

    def first_to_wait(self, endpoint: str, until: Until) -> bool:
        """Return True to the first caller per moment: it tells of the wait, the others wait."""
        counted_as = _counted_as(endpoint)
        with self._changed:
            if self._told.get(counted_as) == until.moment:
                return False
            self._told[counted_as] = until.moment
            return True

    def _pace(self, endpoint: str) -> EndpointPace:
        counted_as = _counted_as(endpoint)
        pace = self._paces.get(counted_as)
        if pace is None:
            pace = self._paces[counted_as] = EndpointPace(self._window_seconds, self._share)
        return pace


def _counted_as(endpoint: str) -> str:
    return access_to(endpoint).key_entry or endpoint
