"""Existing records: what each of them needs to hold what its row says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, RequestRefused
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import FieldPolicy, Policies, apply_policies, needs_the_record
from target_apollo.model.rows import Row
from target_apollo.sync.plan import changes
from target_apollo.sync.protected_stages import StageGuard
from target_apollo.sync.recall import NO_HISTORY, RowHistory
from target_apollo.sync.recovery import OwnRecordCheck
from target_apollo.sync.run import SyncRun
from target_apollo.sync.update_plan import PlannedUpdate


@dataclass(frozen=True)
class MatchedRecord:
    """A row and the existing record that it is to be written to.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
    """

    row: Row
    apollo_id: str
    answer: Json | None


@dataclass
class Comparison:
    """What the records need; and those that can't be read, with why.

    Attributes:
        failure: What ends the run; its records are in neither list.
    """

    updates: list[PlannedUpdate] = field(default_factory=list)
    refused: list[tuple[Row, str, RequestRefused]] = field(default_factory=list)
    failure: ApolloError | None = None


@dataclass(frozen=True)
class RecordComparer:
    """Compares the rows of one stream with their records, under its policies."""

    run: SyncRun
    object_type: ObjectType
    policies: Policies
    own_records: OwnRecordCheck
    stages: StageGuard

    def compare(
        self, matched: Sequence[MatchedRecord], histories: Mapping[int, RowHistory]
    ) -> Comparison:
        """What each record needs; records are read where a policy has to see more of them.

        Args:
            histories: What the ledger remembers of rows, by number.
        """
        comparison = Comparison()
        answers = self._answers(matched, histories)
        if self.policies.of(self.stages.field) not in (FieldPolicy.CREATE_ONLY, FieldPolicy.NEVER):
            self.stages.look_up(
                (record.row, record.apollo_id, answer)
                for record, answer in zip(matched, answers, strict=True)
                if not isinstance(answer, Exception)
            )
        for record, answer in zip(matched, answers, strict=True):
            history = histories.get(record.row.number, NO_HISTORY)
            if isinstance(answer, RequestRefused):
                comparison.refused.append((record.row, record.apollo_id, answer))
            elif isinstance(answer, ApolloError):
                comparison.failure = comparison.failure or answer
            elif isinstance(answer, Exception):
                raise answer
            else:
                read = replace(record, answer=answer)
                comparison.updates.append(self._compare_one(read, history))
        return comparison

    def compare_whole(self, matched: MatchedRecord) -> PlannedUpdate:
        """What a record needs that the row itself has made: no policy keeps anything from it."""
        self.stages.look_up([(matched.row, matched.apollo_id, matched.answer)])
        return self._update(matched, Policies(), None)

    def _compare_one(self, matched: MatchedRecord, history: RowHistory) -> PlannedUpdate:
        answer = matched.answer
        if answer and self._may_be_own(history) and self.own_records.made(answer, history):
            return self.compare_whole(matched)
        if answer is None and history.keeps_match:
            matched = self._without_match(matched)
        return self._update(matched, self.policies, history.updated_at)

    def _may_be_own(self, history: RowHistory) -> bool:
        """Whether it counts that an interrupted run may have made the record.

        No policy keeps anything from that one.
        """
        return bool(self.policies.protect) and history.sent_at is not None

    def _without_match(self, matched: MatchedRecord) -> MatchedRecord:
        """The same without e-mail or domain, which no update need carry as long as it stands.

        What somebody mended in Apollo stays, and an account's other values fit a bulk request.
        """
        return self._without(matched, self.object_type.match_field)

    def _without(self, matched: MatchedRecord, field_name: str) -> MatchedRecord:
        row = matched.row
        values = {name: value for name, value in row.values.items() if name != field_name}
        return replace(matched, row=with_values(row, values=values))

    def _update(
        self, matched: MatchedRecord, policies: Policies, last_written_at: str | None
    ) -> PlannedUpdate:
        """The update of one record.

        Args:
            last_written_at: Apollo's `updated_at` of the record as the last write left it.
        """
        kept: tuple[str, ...] = ()
        if self.stages.keeps(matched.row, matched.apollo_id, matched.answer):
            kept = (self.stages.field,)
            matched = self._without(matched, self.stages.field)
        result = apply_policies(
            policies, self.object_type, matched.row, matched.answer, last_written_at
        )
        row, kind = result.row, self.object_type.kind
        list_ids = self.run.directory.list_ids(kind) if row.lists and matched.answer else {}
        needed = changes(self.object_type, row, matched.answer, list_ids)
        outcome = Outcome.UPDATED
        if kept or result.protected:
            self.run.counts.count_protected(kind.value, (*kept, *result.protected))
            if not needed:
                outcome = Outcome.SKIPPED
        return PlannedUpdate(
            row, matched.apollo_id, matched.answer, needed, outcome, is_older=result.is_older
        )

    def _answers(
        self, matched: Sequence[MatchedRecord], histories: Mapping[int, RowHistory]
    ) -> list[Json | Exception | None]:
        """The records, read where that is needed; None where only the id has to be known."""
        to_read = [
            record
            for record in matched
            if needs_the_record(self.policies, self.object_type, record.row, record.answer)
            or (
                record.answer is None
                and self._may_be_own(histories.get(record.row.number, NO_HISTORY))
            )
        ]
        ask = partial(self.run.client.read, self.object_type.endpoints)
        answers = self.run.pool.run([partial(ask, record.apollo_id) for record in to_read])
        read = dict(zip([record.row.number for record in to_read], answers, strict=True))
        return [read.get(record.row.number, record.answer) for record in matched]
