"""What the answers to created rows come to: settled, to be completed, to be compared, rejected."""

from __future__ import annotations

from dataclasses import dataclass

from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Made, Settling, updated_at
from target_apollo.sync.changes import NOTHING, left_to_write
from target_apollo.sync.creating import Created, why_unmatched
from target_apollo.sync.existing import Comparer, Known
from target_apollo.sync.latest_words import LatestWords
from target_apollo.sync.limits import WriteLimits
from target_apollo.sync.match import Match, Matched
from target_apollo.sync.own_records import OwnRecords
from target_apollo.sync.pending_updates import Update
from target_apollo.sync.plan import CreateRequest
from target_apollo.sync.refusals import custom_field_rejection, rejection


@dataclass(frozen=True)
class CreateAnswers:
    """Takes the answers to the created rows of one stream.

    Attributes:
        limits: Counts what was created.
        comparer: Says what a record needs that the row has made itself.
    """

    target: ObjectType
    mode: Mode
    limits: WriteLimits
    comparer: Comparer
    settling: Settling
    latest: LatestWords
    own: OwnRecords

    def take(
        self, request: CreateRequest, created: Created, updates: list[Update], known: list[Known]
    ) -> None:
        """Takes what became of a request.

        Args:
            updates: Gets what is to be written to records that their rows have made.
            known: Gets the rows that were found to have a record.
        """
        left: list[Matched] = []
        done: list[Made] = []
        for matched in created.matched:
            answer = matched.answer
            if answer is None or request.whole or not _is_done_with(matched, answer):
                left.append(matched)
            else:
                done.append((matched.row, str(answer.get("id")), updated_at(answer)))
        # Nothing is written to these again, so nobody will ask for what Apollo answered on them.
        self.limits.created += len(done)
        self.latest.know_ids((row, apollo_id) for row, apollo_id, _ in done)
        self.settling.settle_created(done)
        for matched in left:
            self._take_answer(request, matched, updates, known)
        for row, refusal in created.refused:
            self.settling.reject(row, rejection(self.target, None, refusal))

    def leave_or_complete(self, matched: Matched, answer: Json, updates: list[Update]) -> None:
        """Mode insert: what exists is left alone, unless the row itself has made it."""
        row = matched.row
        if row.number in self.own.strays or self.own.was_made_by(matched, answer):
            self.latest.know(row, answer)
            self._complete(CreateRequest((row,)), row, answer, updates)
        else:
            self.settling.leave(row, Outcome.EXISTING, answer)

    def _take_answer(
        self,
        request: CreateRequest,
        matched: Matched,
        updates: list[Update],
        known: list[Known],
    ) -> None:
        row, answer = matched.row, matched.answer
        if answer is None or matched.match in (Match.CONFLICT, Match.ALTERED):
            self.settling.reject(row, why_unmatched(self.target, matched))
            return
        self.latest.know(row, answer)
        if matched.match is Match.CREATED:
            self._complete(request, row, answer, updates)
        elif self.mode is Mode.INSERT:
            self.leave_or_complete(matched, answer, updates)
        elif self.own.was_made_by(matched, answer):
            updates.append(self.comparer.compare_whole(Known(row, str(answer["id"]), answer)))
        else:
            known.append(Known(row, str(answer["id"]), answer))

    def _complete(
        self, request: CreateRequest, row: Row, answer: Json, updates: list[Update]
    ) -> None:
        """Adds what bulk_create did not carry of a record that it made."""
        self.limits.created += 1
        # For a request that needed no whole records that was asked already.
        behind = left_to_write(self.target, request, row) if request.whole else NOTHING
        refused = custom_field_rejection(self.target, answer, self.target.create_endpoint)
        if refused or behind is not NOTHING:
            updates.append(Update(row, str(answer["id"]), answer, behind, Outcome.CREATED, refused))
        else:
            self.settling.leave(row, Outcome.CREATED, answer)


def _is_done_with(matched: Matched, answer: Json) -> bool:
    return matched.match is Match.CREATED and not answer.get("custom_field_errors")
