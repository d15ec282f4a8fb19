"""An update of an existing record: what it is to be, and what of it is still to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from target_apollo.changes import Changes
from target_apollo.objects import Json
from target_apollo.outcomes import Outcome, Rejection
from target_apollo.rows import Row
from target_apollo.update_parts import Parts


@dataclass(frozen=True)
class Update:
    """What one existing record is to get.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
        outcome: What the row has come to when all is carried out.
        refused: Why the row is rejected all the same, after its other parts are written.
    """

    row: Row
    apollo_id: str
    answer: Json | None
    changes: Changes
    outcome: Outcome
    refused: Rejection | None = None


@dataclass
class Pending:
    """An update under way.

    Attributes:
        parts: What is still to be sent.
        answer: What Apollo has answered on the record since the first part was sent.
        over: Whether it was refused or rejected.
    """

    update: Update
    parts: Parts
    answer: Json | None = None
    over: bool = False

    def take(self, answer: Json) -> None:
        """Adds an answer, which may be a short form, to what is known since the first part."""
        self.answer = {**(self.answer or {}), **answer}
