"""An update of an existing record: what it is to be, and what of it is still to be sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from target_apollo.model.objects import Json
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.changes import Changes
from target_apollo.sync.update_plan import Parts


@dataclass(frozen=True)
class Update:
    """What one existing record is to get.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
        outcome: What the row has come to when all is carried out.
        refused: Why the row is rejected all the same, after its other parts are written.
        is_older: Whether a value of the record stays since it changed after the row.
    """

    row: Row
    apollo_id: str
    answer: Json | None
    changes: Changes
    outcome: Outcome
    refused: Rejection | None = None
    is_older: bool = False


@dataclass
class Pending:
    """An update under way.

    Attributes:
        parts: What is still to be sent.
        answer: What Apollo has answered on the record since the first part was sent.
        problem: Why the row is rejected when the other parts are written.
        over: Whether nothing of it is to be sent any more.
    """

    update: Update
    parts: Parts
    answer: Json | None = None
    problem: Rejection | None = None
    over: bool = False

    def take(self, answer: Json, sent: Collection[str]) -> None:
        """Adds an answer, which may be a short form, to what is known since the first part.

        Args:
            sent: Fields that were written, of which an earlier answer is out of date.
        """
        known = {name: value for name, value in (self.answer or {}).items() if name not in sent}
        self.answer = {**known, **answer}
