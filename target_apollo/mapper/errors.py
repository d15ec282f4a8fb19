"""The errors that end a run of the mapper, and the mapper's clock.

::

    LeadsError
    ├── SettingsError   a setting is wrong, or does not fit the stream   exit code 2
    └── InputError      a message of the tap, or a file, is wrong        exit code 1

Each message is a sentence for the user. No message holds a value of a record; it may name a stream,
a property or a rule.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from target_apollo.model.times import moment


class LeadsError(Exception):
    """The run can't go on; the message says why and what to do."""

    exit_code = 1


class SettingsError(LeadsError):
    """A setting is wrong, or does not fit the stream that it is applied to."""

    exit_code = 2


class InputError(LeadsError):
    """A message of the tap, or a file that the mapper needs, can't be used."""


CLOCK_VARIABLE = "MAP_APOLLO_LEADS_NOW"
"""Environment variable with a timestamp at which the mapper's clock stops. It is for tests only,
which would otherwise have to wait until a held lead passes."""

#: Gives the current time, aware and in UTC.
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class FixedClock:
    """A clock that always gives the same time."""

    at: datetime

    def __call__(self) -> datetime:
        """The fixed time."""
        return self.at


def clock_from_environment() -> Clock:
    """The machine's clock, or a `FixedClock` at the time in the variable `CLOCK_VARIABLE`.

    Raises:
        SettingsError: The variable holds no timestamp.
    """
    written = os.environ.get(CLOCK_VARIABLE)
    if not written:
        return _machine_time
    at = moment(written)
    if at is None:
        raise SettingsError(
            f"The environment variable {CLOCK_VARIABLE} must be a timestamp such as "
            "2026-01-31T12:00:00Z. It is for tests only: unset it to use the machine's clock."
        )
    return FixedClock(at)


def _machine_time() -> datetime:
    return datetime.now(timezone.utc)
