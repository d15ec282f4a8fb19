"""How existing records are updated: one by one, or a hundred a request. Pure."""

from __future__ import annotations

import enum

from target_apollo.apollo.quota import Windows

#: Updates of one flush from which `auto` goes in bulk, whatever the quota.
MANY = 20


class UpdateMethod(enum.Enum):
    """The setting `update_method`."""

    INDIVIDUAL = "individual"
    BULK = "bulk"
    AUTO = "auto"


def goes_in_bulk(method: UpdateMethod, updates: int, left: int | None) -> bool:
    """Whether a flush's updates go a hundred a request.

    Args:
        updates: How many requests they would be one by one.
        left: Requests that the endpoint of single updates still takes; None where that is unknown.
    """
    if method is UpdateMethod.AUTO:
        return updates >= MANY or (left is not None and updates > left)
    return method is UpdateMethod.BULK


def requests_left(windows: Windows, share: float) -> int | None:
    """Requests that an endpoint still takes this hour and this day; None where Apollo said nothing.

    The minute does not count: it is waited for.

    Args:
        share: The setting `quota_share`, the part of each window that a run may use.
    """
    counts: list[int] = []
    for window in (windows.hour, windows.day):
        if window.left is not None:
            counts.append(window.left)
        if window.limit is not None and window.spent is not None:
            counts.append(int(window.limit * share) - window.spent)
    return max(0, min(counts)) if counts else None
