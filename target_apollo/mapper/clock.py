"""The mapper's clock. This is the only place that asks for the time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.values import instant

VARIABLE = "MAP_APOLLO_LEADS_NOW"
"""Environment variable with a timestamp at which the clock stands still. For tests only: without
it, no test could move a lead from held to passed but by waiting."""

Clock = Callable[[], datetime]
"""Gives the current time, aware and in UTC."""


@dataclass(frozen=True)
class Standing:
    """A clock that stands still."""

    at: datetime

    def __call__(self) -> datetime:
        """The time at which it stands."""
        return self.at


def clock_from_environment() -> Clock:
    """The machine's clock, or one that stands at the time in `VARIABLE`.

    Raises:
        SettingsError: The variable holds no timestamp.
    """
    written = os.environ.get(VARIABLE)
    if not written:
        return _machine_time
    moment = instant(written)
    if moment is None:
        raise SettingsError(
            f"The environment variable {VARIABLE} must be a timestamp such as "
            "2026-01-31T12:00:00Z. It is for tests only: unset it to use the machine's clock."
        )
    return Standing(moment)


def _machine_time() -> datetime:
    return datetime.now(timezone.utc)
