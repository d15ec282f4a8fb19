"""Requests go out in their turn, and what comes of each corrects the pace of the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_apollo.apollo.http import Lost
from target_apollo.apollo.quota import Quota, Windows, read_windows
from target_apollo.apollo.retry_after import asked_wait

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from target_apollo.apollo.counters import Counters
    from target_apollo.apollo.http import Exchange, Reply
    from target_apollo.apollo.pacer import Pacer
    from target_apollo.apollo.throttle import Course, Turns


class PacedExchange:
    """Single requests to one API, each counted and within the quota. Thread-safe; no retries."""

    def __init__(
        self, exchange: Exchange, *, turns: Turns, pacer: Pacer, counters: Counters, quota: Quota
    ) -> None:
        self._exchange = exchange
        self._turns = turns
        self._pacer = pacer
        self._counters = counters
        self._quota = quota

    def send(
        self,
        course: Course,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        content: bytes | None,
    ) -> Reply:
        """Send when there is a slot for it, and read the whole answer, whatever its status.

        Raises `Lost`; RunStopped and QuotaExhausted where the turn does not come.
        """
        endpoint = course.endpoint
        slot = self._turns.take(course)
        course.tries += 1
        self._counters.sent(endpoint)
        try:
            reply = self._exchange.send(method, path, params=params, content=content)
        except Lost as lost:
            if lost.maybe_written:
                self._pacer.answered(endpoint, slot, Windows())
            else:
                self._pacer.not_sent(endpoint, slot)
            raise
        except BaseException:
            # Before it was on its way: there is no token, or it is no request that can be sent.
            self._pacer.not_sent(endpoint, slot)
            raise
        said = read_windows(reply.headers)
        self._counters.answered(reply.status)
        self._quota.note(endpoint, said)
        if reply.status == 429:
            self._pacer.refused(endpoint, slot, said, asked_wait(reply.headers))
        else:
            self._pacer.answered(endpoint, slot, said)
        return reply

    def close(self) -> None:
        """Close the connections that are kept open between requests."""
        self._exchange.close()
