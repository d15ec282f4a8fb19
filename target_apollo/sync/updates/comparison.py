"""Compares rows with their existing records, reads these where it must, and plans the updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import AnotherRecord, ApolloError, RequestRefused
from target_apollo.model.compare import shows
from target_apollo.model.match_keys import is_address
from target_apollo.model.objects.registry import Compare, Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import FieldPolicy, Policies, apply_policies, needs_the_record
from target_apollo.model.rows import Row
from target_apollo.sync.creates.recovery import OwnRecordCheck
from target_apollo.sync.links.not_given import kept_from
from target_apollo.sync.links.recall import NO_HISTORY, RowHistory
from target_apollo.sync.run import SyncRun
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.sync.updates.changes import changes
from target_apollo.sync.updates.record_pages import Age, age_of
from target_apollo.sync.updates.single_values import SingleValues
from target_apollo.sync.updates.update_plan import PlannedUpdate


@dataclass(frozen=True)
class MatchedRecord:
    """A row and the existing record for it.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
    """

    row: Row
    apollo_id: str
    answer: Json | None

    @classmethod
    def of(cls, row: Row, record: Json) -> MatchedRecord:
        """A row and the record that Apollo has answered for it."""
        return cls(row, str(record["id"]), record)


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
            if self._needs_to_be_read(record.row, record.answer)
            or (
                record.answer is None
                and self._must_be_seen(histories.get(record.row.number, NO_HISTORY))
            )
        ]
        read: dict[int, Json | Exception] = {}
        read.update(self._on_pages(to_read, matched, histories))
        to_read = [record for record in to_read if record.row.number not in read]
        ask = partial(self.run.client.read, self.object_type.endpoints)
        answers = self.run.pool.run([partial(ask, record.apollo_id) for record in to_read])
        read.update(zip([record.row.number for record in to_read], answers, strict=True))
        return [read.get(record.row.number, record.answer) for record in matched]

    def _on_pages(
        self,
        to_read: Sequence[MatchedRecord],
        matched: Sequence[MatchedRecord],
        histories: Mapping[int, RowHistory],
    ) -> dict[int, Json]:
        """Row number -> record, for records that pages of a search show as they are now.

        Pages also show what an answer has left out, so that it need not be sent.

        Args:
            to_read: The records that are read one by one otherwise.
        """
        asked = {
            record.row.number: record
            for record in (*to_read, *filter(self._may_hold_unshown, matched))
            # What an interrupted run has made is told from what it has found: not by a search.
            if not self._must_be_seen(histories.get(record.row.number, NO_HISTORY))
        }
        pages = self.run.record_pages[self.object_type.kind]
        found = pages.find({record.apollo_id for record in asked.values()}) if asked else {}
        now = datetime.now(timezone.utc)
        shown: dict[int, Json] = {}
        for number, record in asked.items():
            answer = found.get(record.apollo_id)
            if answer is None:
                continue
            link = histories.get(number, NO_HISTORY).link
            age = age_of(self.object_type, answer, record.answer, link, now)
            if age is Age.BEHIND:
                pages.close()
                return {}
            if age is Age.PRESENT and not self._needs_to_be_read(record.row, answer):
                shown[number] = answer
        return shown

    def _needs_to_be_read(self, row: Row, answer: Json | None) -> bool:
        return needs_the_record(self.policies, self.object_type, row, answer)

    def _may_hold_unshown(self, matched: MatchedRecord) -> bool:
        """Whether a record may hold all values that need a request of their own.

        Without a look they would be sent, since the answer does not show them.
        """
        row, answer = matched.row, matched.answer
        if answer is None:
            return False
        kept_out = (FieldPolicy.CREATE_ONLY, FieldPolicy.NEVER)
        unshown = [
            place
            for name in self.single_values.names.intersection(row.values)
            if not shows(place := self.object_type.fields[name], answer)
            and self.policies.of(name) not in kept_out
        ]
        return bool(unshown) and all(place.compare is not Compare.BLIND for place in unshown)
