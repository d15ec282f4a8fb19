"""How many records a run may create and update: the last guard against a mistake upstream. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from target_apollo.sync.exit import RunError


@dataclass
class WriteLimits:
    """Counts what all sinks of a run write against `max_creates` and `max_updates`.

    Attributes:
        max_creates: None for no limit; so is max_updates.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    created: int = 0
    updated: int = 0

    def creates_allowed(self, wanted: int) -> int:
        """How many of `wanted` rows may be sent to be created.

        Raises:
            RunError: None, since the limit is reached.
        """
        return _allowed("max_creates", self.max_creates, self.created, wanted)

    def updates_allowed(self, wanted: int) -> int:
        """How many of `wanted` records may be updated.

        Raises:
            RunError: None, since the limit is reached.
        """
        return _allowed("max_updates", self.max_updates, self.updated, wanted)


def _allowed(setting: str, limit: int | None, used: int, wanted: int) -> int:
    if limit is None or wanted == 0:
        return wanted
    if used >= limit:
        what = setting.removeprefix("max_").removesuffix("s")
        raise RunError(
            f"The run has come to {setting} ({limit}) and would {what} more records, so it stopped "
            f"before that. Look at why so many rows are there, or raise {setting}."
        )
    return min(wanted, limit - used)
