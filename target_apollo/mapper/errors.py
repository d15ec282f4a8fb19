"""What can end a run of the mapper, by whom it must be mended.

::

    LeadsError
    ├── SettingsError   a setting, or a setting that does not fit the stream   exit code 2
    └── InputError      the tap's messages, or a file                         exit code 1

Each message is a sentence for that person. None holds a record or a value of one, except the name
of a stream, a property or a rule.

The mapper's clock. This is the only place that asks for the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from target_apollo.model.values import moment


class LeadsError(Exception):
    """The run can't go on; the message says why and what to do."""

    exit_code = 1


class SettingsError(LeadsError):
    """A setting is wrong, or does not fit the stream that it is applied to."""

    exit_code = 2


class InputError(LeadsError):
    """What the tap wrote, or a file that the mapper needs, can't be used."""


VARIABLE = "MAP_APOLLO_LEADS_NOW"

"""Environment variable with a timestamp at which the clock stands still. For tests only: without
it, no test could move a lead from held to passed but by waiting."""

#: Gives the current time, aware and in UTC.
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class FixedClock:
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
    at = moment(written)
    if at is None:
        raise SettingsError(
            f"The environment variable {VARIABLE} must be a timestamp such as "
            "2026-01-31T12:00:00Z. It is for tests only: unset it to use the machine's clock."
        )
    return FixedClock(at)


def _machine_time() -> datetime:
    return datetime.now(timezone.utc)
