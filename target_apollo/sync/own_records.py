"""Which records the rows of a flush have made themselves, by tries whose answers were lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from target_apollo.model.moments import moment
from target_apollo.model.objects import Json
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.match import Matched
from target_apollo.sync.memory import Memory
from target_apollo.sync.recovery import CLOCKS_DIFFER_BY


class OwnRecords:
    """What earlier tries have left of the rows of one stream, flush by flush.

    Attributes:
        is_anothers: Whether an Apollo id is known as that of another source key.
        memory: What earlier runs left to say about the rows of the flush.
        strays: By number, records that earlier runs made of rows under another match key.
    """

    def __init__(
        self, mode: Mode, run_started: datetime, is_anothers: Callable[[Row, str], bool]
    ) -> None:
        self._mode = mode
        self._run_started = run_started
        self.is_anothers = is_anothers
        self.memory = Memory()
        self.strays: Mapping[int, Json] = {}

    def begin(self, memory: Memory, strays: Mapping[int, Json]) -> None:
        """Turns to the rows of the next flush."""
        self.memory = memory
        self.strays = strays

    def was_made_by(self, matched: Matched, answer: Json) -> bool:
        """Whether a row finds a record that it made itself by a try whose answer was lost.

        Such a record lacks what bulk_create does not carry. One that was there before is older
        than the try.
        """
        if self._mode is Mode.INSERT and matched.row.number in self.memory.own:
            return not self.is_anothers(matched.row, str(answer["id"]))
        since = self.memory.unfinished.get(matched.row.number)
        if since is None and matched.sent_before:
            since = self._run_started
        if since is None:
            return False
        created_at = moment(answer.get("created_at"))
        return (
            created_at is not None
            and created_at >= since - CLOCKS_DIFFER_BY
            and not self.is_anothers(matched.row, str(answer["id"]))
        )
