"""Finds out whose record each row of a batch is, before anything is written: all checks, in order.

Each check is made only if a row of the batch needs it: most rows have the address that their record
was last given. A batch of new rows needs none, unless bulk_create can't recognise their records.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from target_apollo.apollo import AnotherRecord
from target_apollo.model.match_keys import is_known_to_create
from target_apollo.model.objects.registry import Json
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.creates.recovery import find_interrupted_creates, read_own_records
from target_apollo.sync.identity.changed_addresses import Decision, IdentityCheck
from target_apollo.sync.identity.dead_links import DeadLinks
from target_apollo.sync.identity.finder import RecordFinder
from target_apollo.sync.identity.match_check import MatchCheck
from target_apollo.sync.identity.named_ids import NamedIdCheck
from target_apollo.sync.identity.recognition import RecordRecognition
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.updates.update_steps import left_out


class RecordDecision:
    """Decides which records the rows of one stream have; used by one thread, a batch at a time."""

    def __init__(self, stream: RecordStream) -> None:
        self._stream = stream
        self._run = stream.run
        self._object_type = stream.object_type
        self._mode = stream.mode
        self.finder = RecordFinder(stream.run, stream.object_type, stream.match_on)

    @cached_property
    def hidden_kinds(self) -> frozenset[str]:
        """Kinds of the rows' keys by which bulk_create finds no record.

        These are all kinds where a probe has seen that it recognises nothing.
        """
        is_blind = self._object_type.kind in self._run.doubled
        return frozenset(
            kind
            for kind in self._stream.match_on
            if is_blind or not is_known_to_create(self._object_type, kind)
        )

    @cached_property
    def looks_up_new_rows(self) -> bool:
        """Whether rows without a link may have records that bulk_create would not find."""
        return self._mode is Mode.UPDATE or bool(self.hidden_kinds)

    @cached_property
    def matches(self) -> MatchCheck:
        """Checks the records that bulk_create answers."""
        return MatchCheck(self._object_type, self._stream.links, self.finder)

    @cached_property
    def dead_links(self) -> DeadLinks:
        """Matches rows again after their record is gone."""
        return DeadLinks(self._stream, self.finder)

    @cached_property
    def _check(self) -> IdentityCheck:
        return IdentityCheck(self._stream, self.finder)

    @cached_property
    def _named_ids(self) -> NamedIdCheck:
        return NamedIdCheck(self._stream, self.finder)

    @cached_property
    def _recognition(self) -> RecordRecognition:
        return RecordRecognition(self._stream, self.matches, self.finder, self.hidden_kinds)

    def decide(self, batch: Batch, rows: Sequence[Row], left: Sequence[Row]) -> Decision:
        """The rows that are to be written, with the ids of their records; others are finished.

        Args:
            rows: All rows of the batch.
            left: The rows without an outcome.

        Raises:
            RunError: Too many keys now mean somebody else, so nothing is written.
            ApolloError, LedgerError: The run can't go on.
        """
        decision = Decision(list(left))
        histories = batch.histories
        if any(history.has_other_address for history in histories.values()):
            decision = self._check.decide(batch, rows, decision.rows)
        if any(row.apollo_id for row in decision.rows):
            decision = decision.then(self._named_ids.decide(batch, decision.rows))
        if any(history.sent_under for history in histories.values()):
            batch.recovered = self._interrupted(batch, rows)
        if self._mode is Mode.INSERT and any(one.made_record for one in histories.values()):
            decision.rows = self._recover(batch, decision.rows)
        if self.looks_up_new_rows:
            decision = decision.then(self._recognition.recognise(batch, decision.rows))
        return decision

    def _recover(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """Finds the records of rows that were rejected after these were created.

        Returns:
            The rows without those that are rejected, since Apollo answers with another record.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        made = read_own_records(self._run, self._object_type, rows, batch.histories)
        unread = {number for number, one in made.items() if isinstance(one, AnotherRecord)}
        found = {number: one for number, one in made.items() if not isinstance(one, AnotherRecord)}
        batch.recovered = {**batch.recovered, **found}
        for row in rows:
            if row.number in unread:
                why = left_out(self._object_type.endpoints.read)
                batch.finish(row, Outcome.REJECTED, rejection=why)
        return [row for row in rows if row.number not in unread]

    def _interrupted(self, batch: Batch, rows: Sequence[Row]) -> dict[int, Json]:
        """Row number -> record of an unanswered create, for rows that now have another address.

        If another record has the new address, that one is the row's, and bulk_create finds it.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        made = find_interrupted_creates(self._run.client, self._object_type, rows, batch.histories)
        found = self.finder.find([row for row in rows if row.number in made])
        if found.failure is not None:
            raise found.failure
        return {
            number: record
            for number, record in made.items()
            if set(found.ids.get(number, ())) <= {str(record["id"])}
        }
