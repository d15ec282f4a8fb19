"""The usage statistics of POST /usage_stats/api_usage_stats, by endpoint.

Its keys are JSON arrays written as text, `["api/v1/contacts", "search"]`: controller and action,
which together are the entry of a key's list. The numbers of one window need not add up; each is
kept as said.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from target_apollo.apollo.endpoints import endpoints_of
from target_apollo.apollo.quota import Window, Windows

if TYPE_CHECKING:
    from target_apollo.apollo.bodies import JSON


def read_usage(body: JSON) -> dict[str, Windows]:
    """Return the windows per endpoint label, or per "controller/action" of others."""
    usage: dict[str, Windows] = {}
    for key, said in body.items():
        if isinstance(said, dict):
            entry = _entry(key)
            windows = Windows(
                minute=_window(said.get("minute")),
                hour=_window(said.get("hour")),
                day=_window(said.get("day")),
            )
            usage.update(dict.fromkeys(endpoints_of(entry) or (entry,), windows))
    return usage


def _entry(key: str) -> str:
    try:
        parts = json.loads(key)
    except ValueError:
        return key
    is_pair = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
    return "/".join(parts) if is_pair else key


def _window(said: object) -> Window:
    if not isinstance(said, dict):
        return Window()
    limit, usage, left = (said.get(name) for name in ("limit", "consumed", "left_over"))
    return Window(limit=_count(limit), usage=_count(usage), left=_count(left))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
