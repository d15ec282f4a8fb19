"""Syncs the rows of one stream, batch by batch: recall, match, create, compare, update, commit.

A batch is written in waves in which no Apollo record occurs twice. In each wave existing records
are updated first, since an update may free an e-mail or domain that a new row carries; then rows
without a known record are created, and what Apollo had already is compared and updated.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError
from target_apollo.config.settings import Settings, StreamSettings
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import (
    FieldPolicy,
    Policies,
    clashes,
    policies_of,
    unknown_names,
    unknown_policy,
)
from target_apollo.model.row_parser import UPDATE_NEEDS_ID
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps, run_to_end
from target_apollo.sync.create import RecordCreator
from target_apollo.sync.directory import find_record
from target_apollo.sync.duplicates import collapse, waves
from target_apollo.sync.existing import MatchedRecord, RecordComparer
from target_apollo.sync.exit import RunError
from target_apollo.sync.match import Match, Matched
from target_apollo.sync.names import NameResolver
from target_apollo.sync.protected_stages import StageGuard
from target_apollo.sync.recovery import OwnRecordCheck, find_interrupted_creates
from target_apollo.sync.run import SyncRun
from target_apollo.sync.stream_links import StreamLinks
from target_apollo.sync.update import UpdateRounds, rounds
from target_apollo.sync.update_plan import PlannedUpdate

Failure = ApolloError | RunError


class StreamSync:
    """Writes the batches of one stream; used by one thread, one batch at a time.

    Args:
        own: The settings of this stream.
        properties: Properties of the stream's schema.
    """

    def __init__(
        self,
        run: SyncRun,
        object_type: ObjectType,
        stream: str,
        own: StreamSettings,
        properties: Container[str],
    ) -> None:
        self.run = run
        self.object_type = object_type
        self.stream = stream
        self.mode = own.mode
        self._properties = properties
        self._rounds = UpdateRounds(run, object_type, stream, own)
        #: Rows as they came, by number; an update's row lacks what a policy keeps from it.
        self._rows: Mapping[int, Row] = {}

    # --- loaded with the first batch, since loading takes requests or opens the ledger

    @cached_property
    def policies(self) -> Policies:
        """The policies for the rows of the stream.

        Raises:
            RunError: A policy is for a field that there is not, or can't be followed.
            ApolloError: Apollo could not be asked for its custom fields.
        """
        settings, directory = self.run.settings, self.run.directory
        named = settings.field_policy
        if not named:
            return Policies()
        unknown = unknown_names(named, directory.custom_field_by_name)
        if unknown:
            raise RunError(unknown_policy(unknown), exit_code=2)
        for sentence in clashes(named, directory.custom_field_by_name):
            raise RunError(sentence, exit_code=2)
        field = updated_at_field(settings)
        if field is not None and field not in self._properties:
            raise RunError(
                f"Stream '{self.stream}' has no property '{field}' (setting updated_at_field), "
                "and the policy 'newest' asks when a row changed: add it to the stream, name "
                "another, or choose another policy.",
                exit_code=2,
            )
        return policies_of(named, self.object_type, directory.custom_field_by_name)

    @cached_property
    def links(self) -> StreamLinks | None:
        """What the ledger knows of the stream, if there is one; it keeps a second run out.

        Raises:
            RunError, LedgerError: The ledger can't be opened, or another run writes the stream.
        """
        run = self.run
        if run.ledger is None:
            return None
        return StreamLinks(
            run.ledger,
            self.object_type,
            self.stream,
            connection=run.connection,
            source=run.settings.source,
            run_id=run.run_id,
            mode=self.mode,
            full_resync=run.settings.full_resync,
            policies=self.policies,
        )

    @cached_property
    def _names(self) -> NameResolver:
        policies = self.policies if self.policies.protect else None
        return NameResolver(self.run, self.stream, self.mode, policies)

    @cached_property
    def _own_records(self) -> OwnRecordCheck:
        return OwnRecordCheck(self.mode, self.run.counts.started_at, self.links)

    @cached_property
    def _comparer(self) -> RecordComparer:
        stages = StageGuard(self.run, self.object_type)
        return RecordComparer(self.run, self.object_type, self.policies, self._own_records, stages)

    @cached_property
    def _creator(self) -> RecordCreator:
        return RecordCreator(
            self.run, self.object_type, self.mode, self._comparer, self._own_records
        )

    # --- a batch

    def write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Writes the rows of a batch; all of its records have their outcome at the end.

        Pauses while records are being created.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on. Rows that were confirmed until
                then have their outcome, the others have none.
        """
        try:
            yield from self._recall_and_write(batch, collapse(rows))
            batch.check_complete()
        finally:
            batch.count()
        if self.run.counts.rejected:
            self.run.check_limits()

    def _recall_and_write(self, batch: Batch, rows: list[Row]) -> Steps[None]:
        if self.links is None:
            yield from self._write(batch, self._names.resolve(batch, self._writable(batch, rows)))
            return
        histories = self.links.recall(rows, batch.formers)
        batch.use_ledger(self.links, histories)
        try:
            left = self._finish_known(batch, rows)
            if left:
                left = self._names.resolve(batch, self._writable(batch, left))
                if any(history.sent_under for history in histories.values()):
                    batch.recovered = find_interrupted_creates(
                        self.run.client, self.object_type, histories
                    )
                yield from self._write(batch, left)
        finally:
            # A rejected row must be in its file before the ledger says that it has its outcome.
            if self.run.rejects.has_unsaved:
                self.run.rejects.keep()
            self.links.commit()

    def _finish_known(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """Finishes rows that need no request; returns the others, with the ids of their records."""
        left: list[Row] = []
        for row in rows:
            history = batch.history_of(row)
            apollo_id = row.apollo_id or history.apollo_id
            if history.is_held:
                batch.finish(row, Outcome.SKIPPED, apollo_id)
            elif history.outcome is not None:
                batch.finish(row, history.outcome, apollo_id)
                if self.object_type.is_named_by_others and history.outcome is not Outcome.SKIPPED:
                    batch.cache.remember_id(row, apollo_id)
            elif apollo_id == row.apollo_id or self.mode is Mode.INSERT:
                left.append(row)
            else:
                left.append(with_values(row, apollo_id=apollo_id))
        return left

    def _writable(self, batch: Batch, rows: list[Row]) -> list[Row]:
        """Rejects what mode update can't write, since nothing tells its Apollo id."""
        if self.mode is not Mode.UPDATE:
            return rows
        writable: list[Row] = []
        for row in rows:
            if row.apollo_id is None and not row.deleted:
                batch.finish(row, Outcome.REJECTED, rejection=UPDATE_NEEDS_ID)
            else:
                writable.append(row)
        return writable

    def _write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        self._rows = {row.number: row for row in rows}
        groups = waves(self.object_type, rows)
        for place, wave in enumerate(groups, start=1):
            batch.cache.has_later_rows = place < len(groups)
            yield from self._write_wave(batch, wave)

    def _write_wave(self, batch: Batch, wave: Sequence[Row]) -> Steps[None]:
        new, existing, updates = self._match(batch, wave)
        failure = self._compare(batch, existing, updates)
        # On disk before anything goes out, so that a killed run is put right by the next.
        self._intend(batch, [*self._to_change(updates), *new])
        self._update(batch, updates, failure)
        updates, failure_of_creates = yield from self._create(batch, new)
        # Whose record it is must be known once it is written to: the row's address may change.
        self._intend(batch, self._to_change(updates))
        self._update(batch, updates, failure_of_creates)

    # --- which record a row has

    def _match(
        self, batch: Batch, wave: Sequence[Row]
    ) -> tuple[list[Row], list[MatchedRecord], list[PlannedUpdate]]:
        """The rows without a record, those to be compared with theirs, and updates as they are."""
        new: list[Row] = []
        existing: list[MatchedRecord] = []
        updates: list[PlannedUpdate] = []
        deleted = [(row, row.apollo_id, None) for row in wave if row.deleted and row.apollo_id]
        if deleted and self.mode is not Mode.INSERT:
            self._comparer.stages.look_up(deleted)
        for row in wave:
            recovered = batch.recovered.get(row.number)
            record = recovered or batch.cache.find(row.match_key)
            if row.deleted:
                moved = self._deleted_record(batch, row)
                if moved is None:
                    batch.finish(row, Outcome.SKIPPED)
                else:
                    updates.append(self._comparer.compare_whole(moved))
            elif self.mode is Mode.INSERT and record is not None:
                matched = Matched(row, Match.EXISTING, record)
                updates += self._creator.leave_or_complete(batch, matched, record)
            elif row.apollo_id and self.mode is not Mode.INSERT:
                existing.append(MatchedRecord(row, row.apollo_id, None))
            elif record is None:
                new.append(row)
            elif recovered is not None:
                updates.append(self._comparer.compare_whole(_matched(row, record)))
            else:
                existing.append(_matched(row, record))
        return new, existing, updates

    def _deleted_record(self, batch: Batch, row: Row) -> MatchedRecord | None:
        """The record of a deleted row, which is moved; None where there is none to be moved."""
        if self.mode is Mode.INSERT:
            return None
        if row.apollo_id:
            return MatchedRecord(row, row.apollo_id, None)
        recovered = batch.recovered.get(row.number)
        if recovered is not None:
            return _matched(row, recovered)
        if batch.cache.find(row.match_key) is not None:
            # Another row of the batch has just been written to it.
            return None
        if not row.match_key or self.mode is not Mode.UPSERT:
            return None
        record = find_record(self.run.client, self.object_type, row.match_key)
        if record is None or self._own_records.is_of_another_row(record, batch.history_of(row)):
            return None
        return _matched(row, record)

    # --- what it needs

    def _compare(
        self, batch: Batch, existing: Sequence[MatchedRecord], updates: list[PlannedUpdate]
    ) -> ApolloError | None:
        """Adds what existing records need to `updates`; returns a failure that ends the run."""
        if not existing:
            return None
        compared = self._comparer.compare(existing, batch.histories)
        updates += compared.updates
        gone: list[Row] = []
        for row, apollo_id, refusal in compared.refused:
            gone += self._rounds.finish_refused(batch, row, apollo_id, refusal)
        if compared.failure is None:
            self._create_anew(batch, gone)
        return compared.failure

    def _compare_again(
        self, batch: Batch, updates: Sequence[PlannedUpdate]
    ) -> tuple[list[PlannedUpdate], ApolloError | None]:
        """Updates after other rows of the same Apollo records have been written."""
        again = [
            MatchedRecord(
                self._rows[update.row.number],
                update.apollo_id,
                batch.cache.find(update.apollo_id),
            )
            for update in updates
            if update.answer is not None
        ]
        compared = [update for update in updates if update.answer is None]
        failure = self._compare(batch, again, compared)
        return compared, failure

    # --- writing it

    def _intend(self, batch: Batch, rows: Iterable[Row]) -> None:
        if self.links is not None:
            self.links.intend(rows, batch.histories)

    def _to_change(self, updates: Sequence[PlannedUpdate]) -> list[Row]:
        """Rows of which the ledger is to note that they change the record of this id.

        None in mode insert, which completes what it made itself: that is found again by what it was
        sent under.
        """
        if self.mode is Mode.INSERT:
            return []
        return [
            with_values(update.row, apollo_id=update.apollo_id)
            for update in updates
            if update.changes
        ]

    def _update(
        self, batch: Batch, updates: Sequence[PlannedUpdate], failure: Failure | None
    ) -> None:
        """Carries updates out, as far as the run goes on.

        Args:
            failure: What ends the run already; only rows that need no request are finished then.

        Raises:
            ApolloError, RunError: The failure, or the run can't go on.
        """
        gone: list[Row] = []
        for number, members in enumerate(rounds(updates) if updates else ()):
            if number and failure is None:
                members, failure = self._compare_again(batch, members)
            to_send = self._rounds.finish_idle(batch, members)
            if failure is None:
                gone_now, failure = self._rounds.carry_out(batch, to_send)
                gone += gone_now
        if failure is not None:
            raise failure
        self._create_anew(batch, gone)

    def _create(
        self, batch: Batch, rows: Sequence[Row]
    ) -> Steps[tuple[list[PlannedUpdate], Failure | None]]:
        """Creates rows, no more than the limit allows; returns what then needs an update.

        The failure is the one that ends the run, if there was one.
        """
        updates: list[PlannedUpdate] = []
        left = list(rows)
        while left:
            try:
                allowed = self.run.limits.creates_allowed(len(left))
            except RunError as reached:
                return updates, reached
            after = yield from self._creator.create(batch, left[:allowed])
            updates += after.updates
            failure = self._compare(batch, after.existing, updates) or after.failure
            if failure is not None:
                return updates, failure
            # Rows that Apollo had already do not count against the limit.
            left = left[allowed:]
        return updates, None

    def _create_anew(self, batch: Batch, gone: Sequence[Row]) -> None:
        """Writes rows whose record is gone from Apollo, without its id."""
        if gone:
            rows = [with_values(self._rows[row.number], apollo_id=None) for row in gone]
            run_to_end(self._write_wave(batch, rows))


def _matched(row: Row, record: Json) -> MatchedRecord:
    return MatchedRecord(row, str(record["id"]), record)


def updated_at_field(settings: Settings) -> str | None:
    """The property that tells when a row changed, where a policy asks for it."""
    asked_for = FieldPolicy.NEWEST in settings.field_policy.values()
    return settings.updated_at_field if asked_for else None
