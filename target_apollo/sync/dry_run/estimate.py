"""What the requests of a dry run need of Apollo's rate limits, and how long they take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from target_apollo.apollo import Quota, Windows, WindowState, window_states_of
from target_apollo.apollo.endpoints import READING
from target_apollo.apollo.quota import WINDOW_SECONDS
from target_apollo.apollo.rate_windows import WINDOWS, forecast
from target_apollo.sync.dry_run.transport import DryRunLimits

#: Where the limits are known from; the value stands in the summary.
STATISTICS, LOOKUPS, UNKNOWN, NOT_ASKED = "statistics", "look-ups", "unknown", "not asked"


@dataclass(frozen=True)
class Terms:
    """What the time depends on.

    Attributes:
        seconds_per_request: From a request to its answer.
    """

    quota_share: float
    max_wait_seconds: float
    parallel_requests: int
    seconds_per_request: float


def estimate(
    requests: Mapping[str, int], limits: DryRunLimits, quota: Quota, terms: Terms
) -> dict[str, Any]:
    """What the summary of a dry run says under ``estimate``.

    Args:
        quota: What the answers to look-ups said.
    """
    said, source = _limits(requests, limits, quota)
    states: dict[str, tuple[WindowState, ...]] = {
        endpoint: window_states_of(windows, WINDOW_SECONDS, terms.quota_share)
        for endpoint, windows in said.items()
    }
    found = forecast(
        requests,
        states,
        max_wait_seconds=terms.max_wait_seconds,
        seconds_per_request=terms.seconds_per_request,
        parallel_requests=terms.parallel_requests,
    )
    known = math.isfinite(found.seconds) and source != UNKNOWN
    done_at = datetime.now(timezone.utc) + timedelta(seconds=found.seconds) if known else None
    return {
        "requests": dict(requests),
        "limits_from": source,
        "endpoints": {
            endpoint: {
                "requests": one.requests,
                **{
                    name: {"left": left, "fits": fits}
                    for name, left, fits in zip(WINDOWS, one.left, one.fits, strict=False)
                },
                "seconds": round(one.seconds, 1) if math.isfinite(one.seconds) else None,
            }
            for endpoint, one in found.schedules.items()
        },
        "seconds": round(found.seconds, 1) if known else None,
        "done_at": done_at.isoformat(timespec="seconds") if done_at else None,
        "takes_several_runs": found.stops,
    }


def _limits(
    requests: Mapping[str, int], limits: DryRunLimits, quota: Quota
) -> tuple[Mapping[str, Windows], str]:
    if READING.issuperset(requests):
        # Nothing is to be written, or the run came to no request that writes.
        return {}, NOT_ASKED
    if any(limits.said[endpoint].known for endpoint in requests if endpoint in limits.said):
        return limits.said, STATISTICS
    seen = [quota.of(endpoint) for endpoint in quota.snapshot()]
    seen = [windows for windows in seen if windows.minute.limit]
    if not seen:
        return {}, UNKNOWN
    # Apollo's plans have one set of limits for the endpoints that sync; it is not known here what
    # is used up of the others.
    tightest = min(seen, key=lambda windows: [w.limit or math.inf for w in windows.each()])
    unused = Windows(*[replace(window, usage=0, left=window.limit) for window in tightest.each()])
    return {
        endpoint: quota.of(endpoint) if quota.of(endpoint).known else unused
        for endpoint in requests
    }, LOOKUPS
