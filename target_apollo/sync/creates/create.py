"""Creates the new rows of a batch, and gives them their outcome by Apollo's answers.

`bulk_create` sends the requests, side by side. Their answers are handled in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError
from target_apollo.ledger import match_hash
from target_apollo.model.match_keys import (
    address_of,
    addresses,
    identity_of,
    keys,
    keys_of_record,
    kind_of,
)
from target_apollo.model.objects.registry import Json
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, OnIdentityConflict, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.creates.bulk_create import BulkCreate, CreateResult
from target_apollo.sync.creates.dedupe_check import DedupeCheck
from target_apollo.sync.creates.match import (
    Match,
    RowMatch,
    has_address,
    taken_by_another,
    updated_at,
    why_unmatched,
)
from target_apollo.sync.exit import RunError
from target_apollo.sync.identity.decide import RecordDecision
from target_apollo.sync.identity.match_check import CheckedMatches
from target_apollo.sync.links.not_given import ALL_GIVEN, NotGiven, of_existing, of_made_before
from target_apollo.sync.links.recall import time_of_record
from target_apollo.sync.records.plan import CreateRequest, create_requests
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.refusals import CUSTOM_FIELD_ERRORS, custom_field_rejection, rejection
from target_apollo.sync.updates.changes import NOTHING, left_to_write
from target_apollo.sync.updates.comparison import MatchedRecord
from target_apollo.sync.updates.update_plan import PlannedUpdate


@dataclass
class FollowUp:
    """The work that is left for rows after their requests.

    Attributes:
        updates: Updates of created records, for values that bulk_create does not take.
        existing: Rows for which Apollo answered an existing record.
        failure: The error that ends the run; the rows of its request have no outcome.
        taken: Id of a record that was created, or shows its row's address -> the row.
    """

    updates: list[PlannedUpdate] = field(default_factory=list)
    existing: list[MatchedRecord] = field(default_factory=list)
    failure: ApolloError | RunError | None = None
    taken: dict[str, Row] = field(default_factory=dict)


class RecordCreator:
    """Creates the records of one stream."""

    def __init__(self, stream: RecordStream, identity: RecordDecision) -> None:
        self._run = stream.run
        self._object_type = stream.object_type
        self._mode = stream.mode
        self._links = stream.links
        self._comparer = stream.comparer
        self._own_records = stream.own_records
        self._matches = identity.matches
        self._finder = identity.finder
        self._hidden_kinds = identity.hidden_kinds

    @property
    def _in_two_steps(self) -> bool:
        return self._object_type.kind in self._run.in_two_steps

    def create(self, batch: Batch, rows: Sequence[Row]) -> Steps[FollowUp]:
        """Sends rows to be created; rows that need no further request get their outcome.

        Pauses while requests are unanswered. If a request fails, the rows of the other requests are
        still handled.
        """
        requests = create_requests(
            self._object_type,
            rows,
            self._run.settings.batch_size,
            spare_existing=self._mode is Mode.INSERT or self._run.owner_reaches_existing,
            identity_only=self._in_two_steps,
        )
        if self._in_two_steps and self._mode is Mode.INSERT and self._links is None:
            self._run.notices.may_stay_incomplete()
        self._run.request_counter.plan_requests({self._object_type.endpoints.create: len(requests)})
        follow_up = FollowUp()
        check = self._run.dedupe_checks[self._object_type.kind]
        left = requests
        while left:
            if check.answered and not check.is_settled:
                try:
                    self._look_for_duplicates(batch, check)
                except (ApolloError, RunError) as failure:
                    follow_up.failure = follow_up.failure or failure
                    break
            # Until it is known that Apollo recognises what exists, requests go out one by one.
            size = len(left) if check.is_settled else 1
            yield from self._send(batch, left[:size], follow_up)
            left = left[size:]
        return follow_up

    def _look_for_duplicates(self, batch: Batch, check: DedupeCheck) -> None:
        answered, check.answered = check.answered, ()
        check.note(answered, self._known(batch, answered))
        if not check.is_due:
            return
        search = self._object_type.endpoints.search
        self._run.request_counter.plan_requests({search: 1})
        check.look(self._run.room(search))

    def _send(
        self, batch: Batch, requests: Sequence[CreateRequest], follow_up: FollowUp
    ) -> Steps[None]:
        """Sends requests side by side, and adds what their answers leave to do."""
        bulk = BulkCreate(
            self._run.client,
            self._object_type,
            creates_namesakes=(
                self._run.settings.on_identity_conflict is OnIdentityConflict.CREATE
            ),
            may_resend=self._object_type.kind not in self._run.doubled,
            hidden_kinds=self._hidden_kinds,
        )
        send = bulk.send if batch.cache.has_later_rows else bulk.send_and_shorten
        sends = [partial(send, request) for request in requests]
        with self._run.pool.start(sends) as results:
            yield
            # Rows get their outcome while later requests are still unanswered.
            for request, result in zip(requests, results, strict=True):
                if isinstance(result, ApolloError):
                    follow_up.failure = follow_up.failure or result
                elif isinstance(result, Exception):
                    raise result
                else:
                    self._take_result(batch, request, result, follow_up)

    def _take_result(
        self, batch: Batch, request: CreateRequest, result: CreateResult, follow_up: FollowUp
    ) -> None:
        check = self._run.dedupe_checks[self._object_type.kind]
        if not check.is_settled:
            # They are looked at before the next request, if there is one.
            check.answered = tuple(result.matched)
        taken = self._taken(batch, result, follow_up)
        if taken:
            result.matched = [one for one in result.matched if one.row.number not in taken]
        checked = self._check_matches(batch, result)
        follow_up.failure = follow_up.failure or checked.failure
        for matched in result.matched:
            row, answer = matched.row, matched.answer
            if answer is None or matched.match in (Match.CONFLICT, Match.ALTERED):
                why = why_unmatched(self._object_type, matched)
                # A record that Apollo created with another address still belongs to the row:
                # without its id in the ledger, each run would create one more.
                is_made = answer is not None and matched.match is Match.ALTERED
                made_id = str(answer["id"]) if answer is not None and is_made else None
                batch.finish(row, Outcome.REJECTED, made_id, rejection=why)
                continue
            if row.number in checked.unchecked:
                continue
            if row.number in checked.conflicts:
                why = checked.conflicts[row.number]
                batch.finish(row, Outcome.REJECTED, rejection=why)
                continue
            if self._hidden_kinds:
                self._learn(row, str(answer["id"]))
            if matched.match is Match.CREATED:
                follow_up.updates += self._complete(batch, request, row, answer)
                continue
            batch.cache.remember(row, answer)
            if self._mode is Mode.INSERT:
                follow_up.updates += self.leave_or_complete(batch, matched, answer)
            else:
                record = MatchedRecord(row, str(answer["id"]), answer)
                if self._is_own(batch, matched, answer):
                    follow_up.updates.append(self._comparer.compare_whole(record))
                else:
                    follow_up.existing.append(record)
        for row, refusal in result.refused:
            why = rejection(self._object_type, None, refusal)
            batch.finish(row, Outcome.REJECTED, rejection=why)

    def _known(self, batch: Batch, answered: Sequence[RowMatch]) -> set[int]:
        """Numbers of created rows that a record was known for, or may have been created before."""
        created = [one for one in answered if one.match is Match.CREATED]
        found = {
            one.row.number
            for one in created
            if one.sent_before or batch.history_of(one.row).sent_at is not None
        }
        links = self._links
        if links is None:
            return found
        hashes = {
            match_hash(address): one.row.number
            for one in created
            if (address := address_of(self._object_type, one.row))
        }
        held = links.of_addresses(hashes)
        return found | {number for hashed, number in hashes.items() if held.get(hashed)}

    def _taken(self, batch: Batch, result: CreateResult, follow_up: FollowUp) -> set[int]:
        """Rejects rows that were answered with the record of another row; returns their numbers.

        An existing record may be of several rows. It contradicts an earlier answer if it does not
        show the address of that answer's row.
        """
        created = [one for one in result.matched if one.match is Match.CREATED]
        taken = self._of_other_rows(batch, created)
        for one in result.matched if follow_up.taken else ():
            record_id = str((one.answer or {}).get("id"))
            if record_id not in follow_up.taken:
                continue
            address = address_of(self._object_type, follow_up.taken[record_id])
            if one.match is Match.CREATED or (
                one.match is Match.EXISTING
                and address is not None
                and address not in addresses(self._object_type, one.answer or {})
            ):
                taken.add(one.row.number)
        for one in result.matched:
            if one.row.number in taken:
                why = taken_by_another(self._object_type, one)
                batch.finish(one.row, Outcome.REJECTED, rejection=why)
        for one in result.matched:
            if one.answer is not None and one.row.number not in taken and self._names(one):
                follow_up.taken.setdefault(str(one.answer["id"]), one.row)
        return taken

    def _names(self, matched: RowMatch) -> bool:
        """Whether the answer was created for the row, or shows its address."""
        if matched.match is not Match.EXISTING:
            return matched.match is Match.CREATED
        return has_address(self._object_type, matched)

    def _of_other_rows(self, batch: Batch, created: Sequence[RowMatch]) -> set[int]:
        """Numbers of rows with a new record that the ledger knows as another row's.

        What was created just now can't be there already: such an answer contradicts itself.
        """
        links = self._links
        if links is None or not created:
            return set()
        ids = {one.row.number: str((one.answer or {}).get("id")) for one in created}
        owners = links.of_records(ids.values())
        return {
            one.row.number
            for one in (created if owners else ())
            for owner in owners.get(ids[one.row.number], ())
            if not links.is_of(owner, batch.history_of(one.row).source_key)
        }

    def _learn(self, row: Row, apollo_id: str) -> None:
        """Notes a record by the keys that bulk_create can't match, for rows of later batches."""
        hidden = [key for key in keys(row) if kind_of(self._object_type, key) in self._hidden_kinds]
        self._finder.learn(hidden, apollo_id)

    def _check_matches(self, batch: Batch, result: CreateResult) -> CheckedMatches:
        if self._mode is Mode.INSERT:
            # Existing records are not written to, so there is nothing to check.
            return CheckedMatches()
        existing = [one for one in result.matched if one.match is Match.EXISTING]
        if not existing:
            return CheckedMatches()
        return self._matches.check(batch, existing)

    def leave_or_complete(
        self, batch: Batch, matched: RowMatch, answer: Json
    ) -> list[PlannedUpdate]:
        """Mode insert: an existing record is only updated if this row has created it."""
        row = matched.row
        is_recovered = row.number in batch.recovered
        was_rejected = is_recovered and batch.history_of(row).made_record
        if was_rejected and set(keys(row)).isdisjoint(keys_of_record(self._object_type, answer)):
            why = why_unmatched(self._object_type, with_values(matched, match=Match.ALTERED))
            batch.finish(row, Outcome.REJECTED, str(answer["id"]), rejection=why)
            return []
        if is_recovered or self._is_own(batch, matched, answer):
            batch.cache.remember(row, answer)
            request = CreateRequest((row,), identity_only=self._in_two_steps)
            sent = identity_of(self._object_type, row) if request.identity_only else row
            made = of_made_before(self._object_type, sent, answer)
            return self._complete(batch, request, row, answer, made)
        batch.finish(
            row,
            Outcome.EXISTING,
            str(answer["id"]),
            updated_at=time_of_record(batch.history_of(row), str(answer["id"])),
            not_given=of_existing(self._object_type, row, answer),
        )
        return []

    def _is_own(self, batch: Batch, matched: RowMatch, answer: Json) -> bool:
        history = batch.history_of(matched.row)
        return self._own_records.made(answer, history, sent_before=matched.sent_before)

    def _complete(
        self,
        batch: Batch,
        request: CreateRequest,
        row: Row,
        answer: Json,
        not_given: NotGiven = ALL_GIVEN,
    ) -> list[PlannedUpdate]:
        """Plans the update with values that bulk_create does not take; without any, finishes."""
        self._run.limits.created += 1
        behind = NOTHING
        if not request.has_all_values(self._object_type, row):
            behind = left_to_write(self._object_type, request, row)
        refused = None
        if answer.get(CUSTOM_FIELD_ERRORS):
            endpoint = self._object_type.endpoints.create
            refused = custom_field_rejection(self._object_type, answer, endpoint)
        apollo_id = str(answer["id"])
        if refused or behind is not NOTHING:
            batch.cache.remember(row, answer)
            created = Outcome.CREATED
            return [
                PlannedUpdate(row, apollo_id, answer, behind, created, refused, not_given=not_given)
            ]
        if batch.cache.has_later_rows:
            batch.cache.remember(row, answer)
        elif self._object_type.is_named_by_others:
            batch.cache.remember_id(row, apollo_id)
        batch.finish(
            row,
            Outcome.CREATED,
            apollo_id,
            updated_at=updated_at(answer),
            not_given=not_given,
        )
        return []
