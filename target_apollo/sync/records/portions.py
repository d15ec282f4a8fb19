"""Which rows go first where a rate window has too little left for all of them. Pure.

STATE passes the rows of a flush up to the first one without an outcome. So the requests that are
left are given to the oldest rows, each row with all that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

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
