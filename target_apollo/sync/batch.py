"""Gives each row its outcome, by what Apollo answered on its record or why it refused it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from target_apollo.apollo import RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.pending_updates import Update
from target_apollo.sync.refusals import is_gone, rejection

Settle = Callable[[Row, Outcome, "str | None", "Rejection | None", "str | None"], None]
#: A row that made a record, the record's Apollo id, and Apollo's `updated_at` of it.
Made = tuple[Row, str, "str | None"]


@dataclass(frozen=True)
class Settling:
    """Gives the rows of one stream their outcomes.

    Attributes:
        settle: Called once for each row with outcome, Apollo id, why where it is rejected, and
            Apollo's `updated_at` of the record where its answer told.
        settle_created: Called instead for rows that made a record, with those of a request.
        note_unwritable: Told the names of fields that can't be written to an existing record.
    """

    target: ObjectType
    mode: Mode
    settle: Settle
    settle_created: Callable[[Sequence[Made]], None]
    note_unwritable: Callable[[Sequence[str]], None]

    def finish(self, update: Update, answer: Json | None) -> None:
        """Settles the row of an update whose parts are all carried out.

        Args:
            answer: What Apollo answered on the record, if something was sent.
        """
        if update.refused is not None:
            self.reject_record(update.row, update.apollo_id, update.refused)
            return
        outcome = update.outcome
        if not update.changes and outcome is Outcome.UPDATED:
            outcome = Outcome.UNCHANGED
        if update.changes.unwritable:
            self.note_unwritable(update.changes.unwritable)
        # A row older than its record stays so: this write has not made their times the same.
        when = None if update.is_older else updated_at(answer)
        self.settle(update.row, outcome, update.apollo_id, None, when)

    def leave(self, row: Row, outcome: Outcome, answer: Json) -> None:
        """Settles a row whose record, as Apollo answered it, needs nothing more."""
        self.settle(row, outcome, str(answer.get("id")), None, updated_at(answer))

    def skip(self, row: Row) -> None:
        """Settles a deleted row that there is no record to be moved of."""
        self.settle(row, Outcome.SKIPPED, None, None, None)

    def reject(self, row: Row, why: Rejection) -> None:
        """Rejects a row of which no record is known."""
        self.settle(row, Outcome.REJECTED, None, why, None)

    def reject_record(self, row: Row, apollo_id: str, why: Rejection) -> None:
        """Rejects a row that was to be written to a record."""
        # The record stays the row's own, or a changed e-mail would make a second one.
        is_there = why.reason not in (Reason.GONE, Reason.DELETED)
        self.settle(row, Outcome.REJECTED, apollo_id if is_there else None, why, None)

    def take_refusal(
        self, row: Row, apollo_id: str, refusal: RequestRefused, gone: list[Row]
    ) -> None:
        """Settles a row whose record Apollo refused.

        Args:
            gone: Gets the row instead if the record is gone and may be created again.
        """
        can_recreate = (
            self.mode is Mode.UPSERT
            and row.match_key is not None
            and row.apollo_id is not None
            and not row.deleted
            and not refusal.deleted_ids
            and is_gone(apollo_id, refusal)
        )
        if row.deleted and (refusal.deleted_ids or is_gone(apollo_id, refusal)):
            self.skip(row)
        elif can_recreate:
            gone.append(row)
        else:
            self.reject_record(row, apollo_id, rejection(self.target, apollo_id, refusal))


def updated_at(answer: Json | None) -> str | None:
    """Apollo's time of a record's last change, where its answer tells."""
    told = (answer or {}).get("updated_at")
    return told if isinstance(told, str) else None
