"""Compares rows with their existing records, and plans the updates that these need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import AnotherRecord, ApolloError, RequestRefused
from target_apollo.model.match_keys import is_address
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import FieldPolicy, Policies, apply_policies, needs_the_record
from target_apollo.model.rows import Row
from target_apollo.sync.not_given import kept_from
from target_apollo.sync.plan import changes
from target_apollo.sync.protected_stages import StageGuard
from target_apollo.sync.recall import NO_HISTORY, RowHistory
from target_apollo.sync.recovery import OwnRecordCheck
from target_apollo.sync.run import SyncRun
from target_apollo.sync.single_values import SingleValues
from target_apollo.sync.update_plan import PlannedUpdate


@dataclass(frozen=True)
class MatchedRecord:
    """A row and the existing record for it.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
    """

    row: Row
    apollo_id: str
    answer: Json | None


@dataclass
class Comparison:
    """The updates of the records; and records that could not be read, with Apollo's refusal.

    Attributes:
        unread: Rows, with the ids of their records, to which Apollo answered with another record.
        failure: The error that ends the run; records that it affects are in neither list.
    """

    updates: list[PlannedUpdate] = field(default_factory=list)
    refused: list[tuple[Row, str, RequestRefused]] = field(default_factory=list)
    unread: list[tuple[Row, str]] = field(default_factory=list)
    failure: ApolloError | None = None


@dataclass(frozen=True)
class RecordComparer:
    """Compares the rows of one stream with their records, under its policies."""

    run: SyncRun
    object_type: ObjectType
    policies: Policies
    own_records: OwnRecordCheck
    stages: StageGuard
    single_values: SingleValues

    def compare(
        self, matched: Sequence[MatchedRecord], histories: Mapping[int, RowHistory]
    ) -> Comparison:
        """Plans the update of each record; reads records if a policy needs their present values.

        Args:
            histories: Row number -> what the ledger knows about the row.
        """
        comparison = Comparison()
        matched = [self._without_held(record, histories) for record in matched]
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
            elif isinstance(answer, AnotherRecord):
                comparison.unread.append((record.row, record.apollo_id))
            elif isinstance(answer, ApolloError):
                comparison.failure = comparison.failure or answer
            elif isinstance(answer, Exception):
                raise answer
            else:
                read = replace(record, answer=answer)
                comparison.updates.append(self._compare_one(read, history))
        return comparison

    def _without_held(
        self, matched: MatchedRecord, histories: Mapping[int, RowHistory]
    ) -> MatchedRecord:
        """The row without values that cost a request and that its record holds, by the ledger.

        If the record is known, it shows itself which values it holds.
        """
        history = histories.get(matched.row.number, NO_HISTORY)
        held = history.held_of(matched.apollo_id)
        if not held or matched.answer is not None or self._must_be_seen(history):
            return matched
        return replace(matched, row=self.single_values.without(matched.row, held))

    def compare_whole(self, matched: MatchedRecord) -> PlannedUpdate:
        """Plans the update of a record that the row itself has created, without field policies."""
        self.stages.look_up([(matched.row, matched.apollo_id, matched.answer)])
        return self._update(matched, Policies(), NO_HISTORY)

    def _compare_one(self, matched: MatchedRecord, history: RowHistory) -> PlannedUpdate:
        answer = matched.answer
        if answer and self._may_be_own(history) and self.own_records.made(answer, history):
            return self.compare_whole(matched)
        if answer is None and history.keeps_match:
            matched = self._without_match(matched)
        return self._update(matched, self.policies, history)

    def _must_be_seen(self, history: RowHistory) -> bool:
        """Whether the record must be read to know which values its row still has to write.

        If the row was rejected after its creation, the value that Apollo refused may still differ.
        """
        return history.made_record or self._may_be_own(history)

    def _may_be_own(self, history: RowHistory) -> bool:
        """Whether to check if an interrupted run has created the record for this row.

        Field policies do not apply to such a record.
        """
        return bool(self.policies.protect) and history.sent_at is not None

    def _without_match(self, matched: MatchedRecord) -> MatchedRecord:
        """The row without its e-mail or domain, which the record was already given.

        So a correction of it in Apollo is kept, and an account's update can be part of a bulk
        request.
        """
        if matched.row.match_key and not is_address(matched.row.match_key):
            # The row was recognised by another key, so its e-mail or domain may be new.
            return matched
        return self._without(matched, self.object_type.match_field)

    def _without(self, matched: MatchedRecord, field_name: str) -> MatchedRecord:
        row = matched.row
        values = {name: value for name, value in row.values.items() if name != field_name}
        return replace(matched, row=with_values(row, values=values))

    def _update(
        self, matched: MatchedRecord, policies: Policies, history: RowHistory
    ) -> PlannedUpdate:
        """The update of one record under the policies."""
        kept: tuple[str, ...] = ()
        if self.stages.keeps(matched.row, matched.apollo_id, matched.answer):
            kept = (self.stages.field,)
            matched = self._without(matched, self.stages.field)
        result = apply_policies(
            policies, self.object_type, matched.row, matched.answer, history.updated_at
        )
        row, kind = result.row, self.object_type.kind
        list_ids = self.run.directory.list_ids(kind) if row.lists and matched.answer else {}
        needed = changes(self.object_type, row, matched.answer, list_ids)
        outcome = Outcome.UPDATED
        if kept or result.protected:
            self.run.counts.count_protected(kind.value, (*kept, *result.protected))
            if not needed:
                outcome = Outcome.SKIPPED
        not_given = kept_from(
            self.object_type,
            matched.row,
            row,
            matched.apollo_id,
            matched.answer,
            history,
            stage=bool(kept),
        )
        return PlannedUpdate(
            row,
            matched.apollo_id,
            matched.answer,
            needed,
            outcome,
            keeps_values=bool(kept or result.protected),
            not_given=not_given,
        )

    def _answers(
        self, matched: Sequence[MatchedRecord], histories: Mapping[int, RowHistory]
    ) -> list[Json | Exception | None]:
        """The records, read if necessary; None for records of which the id is enough."""
        to_read = [
            record
            for record in matched
            if needs_the_record(self.policies, self.object_type, record.row, record.answer)
            or (
                record.answer is None
                and self._must_be_seen(histories.get(record.row.number, NO_HISTORY))
            )
        ]
        ask = partial(self.run.client.read, self.object_type.endpoints)
        answers = self.run.pool.run([partial(ask, record.apollo_id) for record in to_read])
        read = dict(zip([record.row.number for record in to_read], answers, strict=True))
        return [read.get(record.row.number, record.answer) for record in matched]
