"""Whether the requests of a dry run fit Apollo's rate limits, and how long they would take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from target_apollo.apollo import Quota, Windows, WindowState, window_states_of
from target_apollo.apollo.endpoints import READING
from target_apollo.apollo.forecast import WINDOWS, forecast
from target_apollo.apollo.quota import WINDOW_SECONDS
from target_apollo.sync.dry_run.transport import DryRunLimits

#: The source of the limits, as the summary has it.
STATISTICS, LOOKUPS, UNKNOWN, NOT_ASKED = "statistics", "look-ups", "unknown", "not asked"


@dataclass(frozen=True)
class Terms:
    """The settings and the speed that an estimate depends on.

    Attributes:
        max_wait_seconds: The longest wait of a run for a rate limit.
        seconds_per_request: Mean seconds from a request to its answer.
    """

    quota_share: float
    max_wait_seconds: float
    parallel_requests: int
    seconds_per_request: float


def estimate(
    requests: Mapping[str, int],
    limits: DryRunLimits,
    quota: Quota,
    terms: Terms,
    may_follow: Mapping[str, int],
) -> dict[str, Any]:
    """The part ``estimate`` in the summary of a dry run.

    Args:
        requests: Endpoint -> requests that the run would send.
        quota: The rate limits in the answers to look-ups.
        may_follow: How many of the requests later runs may send, as no row waits for them.
    """
    windows_of, source = _limits(requests, limits, quota)
    states: dict[str, tuple[WindowState, ...]] = {
        endpoint: window_states_of(windows, WINDOW_SECONDS, terms.quota_share)
        for endpoint, windows in windows_of.items()
    }
    expected = forecast(
        requests,
        states,
        max_wait_seconds=terms.max_wait_seconds,
        seconds_per_request=terms.seconds_per_request,
        parallel_requests=terms.parallel_requests,
    )
    waited_for = {one: count - may_follow.get(one, 0) for one, count in requests.items()}
    rows = forecast(
        {one: count for one, count in waited_for.items() if count > 0},
        states,
        max_wait_seconds=terms.max_wait_seconds,
        seconds_per_request=terms.seconds_per_request,
        parallel_requests=terms.parallel_requests,
    )
    is_known = math.isfinite(expected.seconds) and source != UNKNOWN
    done_at = datetime.now(timezone.utc) + timedelta(seconds=expected.seconds) if is_known else None
    return {
        "requests": dict(requests),
        "limits_from": source,
        "endpoints": {
            endpoint: {
                "requests": plan.requests,
                **{
                    name: {"left": left, "fits": fits}
                    for name, left, fits in zip(WINDOWS, plan.left, plan.fits, strict=False)
                },
                "seconds": round(plan.seconds, 1) if math.isfinite(plan.seconds) else None,
            }
            for endpoint, plan in expected.schedules.items()
        },
        "seconds": round(expected.seconds, 1) if is_known else None,
        "done_at": done_at.isoformat(timespec="seconds") if done_at else None,
        "takes_several_runs": rows.stops,
        "may_follow": dict(may_follow),
    }


def _limits(
    requests: Mapping[str, int], limits: DryRunLimits, quota: Quota
) -> tuple[Mapping[str, Windows], str]:
    if READING.issuperset(requests):
        # The run would send no request that writes.
        return {}, NOT_ASKED
    if any(limits.usage[endpoint].known for endpoint in requests if endpoint in limits.usage):
        return limits.usage, STATISTICS
    seen = [quota.of(endpoint) for endpoint in quota.snapshot()]
    seen = [windows for windows in seen if windows.minute.limit]
    if not seen:
        return {}, UNKNOWN
    # Apollo's plans have the same limits for all endpoints of a sync. The use of endpoints without
    # look-ups is unknown, so they count as unused.
    tightest = min(seen, key=lambda windows: [w.limit or math.inf for w in windows.each()])
    unused = Windows(*[replace(window, usage=0, left=window.limit) for window in tightest.each()])
    return {
        endpoint: quota.of(endpoint) if quota.of(endpoint).known else unused
        for endpoint in requests
    }, LOOKUPS
