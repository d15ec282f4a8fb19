"""Syncs the rows of one stream, batch by batch: recall, match, create, compare, update, commit.

A batch is written in waves in which no Apollo record occurs twice. In each wave existing records
are updated first, since an update may free the e-mail or domain of a new row. Then rows without a
known record are created, or at the same time if no update frees anything. If Apollo answers a
create with an existing record, that is compared and updated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, QuotaExhausted
from target_apollo.config.settings import StreamSettings
from target_apollo.ledger import DELETED
from target_apollo.model.match_keys import is_address
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Mode, OnApolloDelete, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps, run_to_end
from target_apollo.sync.creates.create import RecordCreator
from target_apollo.sync.creates.match import Match, Matched
from target_apollo.sync.creates.recovery import OwnRecordCheck
from target_apollo.sync.deletions.marks import HELD, DeletionMark, digits_of
from target_apollo.sync.deletions.returns import RecordReturns
from target_apollo.sync.exit import RunError
from target_apollo.sync.identity.dead_links import GoneRecord
from target_apollo.sync.identity.decide import RecordDecision
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.records.duplicates import collapse
from target_apollo.sync.records.plan import age, waves
from target_apollo.sync.records.portions import BatchPortions
from target_apollo.sync.records.stream_settings import match_on_for, policies_for
from target_apollo.sync.rejects.refused_rows import rejection_before
from target_apollo.sync.run import SyncRun
from target_apollo.sync.team.directory import find_record
from target_apollo.sync.team.names import NameResolver
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.sync.team.record_stages import read_records
from target_apollo.sync.updates.existing import MatchedRecord, RecordComparer
from target_apollo.sync.updates.single_values import SingleValues
from target_apollo.sync.updates.update import UpdateRounds, rounds
from target_apollo.sync.updates.update_plan import PlannedUpdate, order_matters

T = TypeVar("T")

Failure = ApolloError | RunError


class StreamSync:
    """Writes the batches of one stream; used by one thread, one batch at a time.

    Args:
        own: The settings of this stream.
        properties: The properties of the stream's schema.
    """

    def __init__(
        self,
        run: SyncRun,
        object_type: ObjectType,
        stream: str,
        own: StreamSettings,
        properties: Collection[str],
    ) -> None:
        self.run = run
        self.object_type = object_type
        self.stream = stream
        self.mode = own.mode
        self._own = own
        self._properties = properties
        run.streams.add(stream)
        self._rounds = UpdateRounds(run, object_type, stream, own)
        #: Row number -> row with all values; policies remove some from the row of an update.
        self._rows: Mapping[int, Row] = {}

    # --- loaded at the first batch, since this takes requests or opens the ledger

    @cached_property
    def policies(self) -> Policies:
        """The policies for the rows of the stream.

        Raises:
            RunError: A policy is for an unknown field, or the field can't have it.
            ApolloError: Apollo could not be asked for its custom fields.
        """
        run = self.run
        return policies_for(
            run.settings, run.directory, self.object_type, self.stream, self._properties
        )

    @cached_property
    def match_on(self) -> tuple[str, ...]:
        """Kinds of keys by which the rows of the stream are recognised, from `match_on_for`."""
        return match_on_for(self._own, self.run.directory, self.object_type, self.stream)

    @cached_property
    def links(self) -> StreamLinks | None:
        """The stream's links in the ledger, with the stream's lock; None without a ledger.

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
            protected=run.settings.protected_stages,
            today=run.counts.started_at.date(),
            leaves_gone=(
                run.settings.on_apollo_delete is OnApolloDelete.LEAVE or self.mode is Mode.UPDATE
            ),
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
        return RecordComparer(
            self.run,
            self.object_type,
            self.policies,
            self._own_records,
            StageGuard(self.run, self.object_type),
            SingleValues(self.object_type, self.policies),
        )

    @cached_property
    def _returns(self) -> RecordReturns:
        stages = self._comparer.stages
        return RecordReturns(self.run, self.object_type, self.stream, self.links, stages)

    @cached_property
    def _identity(self) -> RecordDecision:
        return RecordDecision(
            self.run, self.object_type, self.stream, self.mode, self.match_on, self.links
        )

    @cached_property
    def _creator(self) -> RecordCreator:
        return RecordCreator(
            self.run,
            self.object_type,
            self.mode,
            self._comparer,
            self._own_records,
            self._identity.matches,
            self._identity.finder,
            self._identity.hidden_kinds,
        )

    # --- a batch

    def write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Writes the rows of a batch; all of its records have their outcome at the end.

        Pauses while records are being created.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on. Rows that were confirmed before
                have their outcome, the others have none.
        """
        try:
            if len({row.key for row in rows}) < len(rows):
                rows = collapse(self.object_type, rows, self.match_on)
            yield from self._recall_and_write(batch, rows)
            batch.check_complete()
        finally:
            batch.count()
            self.run.unwritten_addresses.update(batch.unwritten)
        if self.run.counts.rejected:
            try:
                self.run.check_limits()
            except RunError:
                # What is wrong is rather a setting than the rows: they are read again.
                batch.hold_back()
                raise

    def _recall_and_write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        left = rows
        if self.links is not None:
            histories = self.links.reader.recall(rows, batch.formers)
            batch.use_ledger(self.links, histories, rows)
        try:
            batch.reject_unread()
            if self.links is not None:
                left = self._finish_known(batch, rows)
            if left:
                yield from self._write_decided(batch, rows, left)
        finally:
            self._save(batch)

    def _save(self, batch: Batch) -> None:
        """Puts the outcomes so far on disk, so that STATE may pass behind their records."""
        # A rejected row must be in its file before the ledger has its outcome.
        if self.run.rejects.has_unsaved:
            self.run.rejects.keep()
        if self.links is not None and self.links.has_unsaved:
            self.links.commit()
        batch.note_saved()

    def _write_decided(self, batch: Batch, rows: Sequence[Row], left: Sequence[Row]) -> Steps[None]:
        """Decides which record each row has, and writes the rows.

        Args:
            rows: All rows of the batch.
            left: The rows without an outcome.
        """
        if any(row.names for row in left):
            left = self._names.resolve(batch, left)
        decision = self._identity.decide(batch, rows, left)
        yield from self._write(batch, decision.rows)
        if decision.failure is not None:
            raise decision.failure

    def _finish_known(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """Finishes rows that need no request; returns the others, with the ids of their records."""
        left: list[Row] = []
        doubted = {
            history.link.apollo_id
            for history in batch.histories.values()
            if history.has_other_address and history.link is not None
        }
        for row in rows:
            history = batch.history_of(row)
            apollo_id = row.apollo_id or history.apollo_id
            if history.is_held:
                batch.replace_history(row, with_values(history, payload_hash=HELD.text))
                batch.finish(row, Outcome.SKIPPED, apollo_id)
            elif history.outcome is Outcome.UNCHANGED and apollo_id in doubted and not row.names:
                # Another row with this record has a new address, so `identity` decides on both.
                left.append(with_values(row, apollo_id=apollo_id))
            elif history.outcome is Outcome.REJECTED and history.link is not None:
                why = rejection_before(history.link)
                batch.settle(row, Outcome.REJECTED, why)
            elif history.outcome is not None:
                batch.settle(row, history.outcome)
                if self.object_type.is_named_by_others and history.outcome is not Outcome.SKIPPED:
                    batch.cache.remember_id(row, apollo_id)
            elif apollo_id == row.apollo_id or self.mode is Mode.INSERT:
                left.append(row)
            else:
                left.append(with_values(row, apollo_id=apollo_id))
        return left

    def _write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        self._rows = {row.number: row for row in rows}
        whole = waves(self.object_type, rows)
        # Rows that share a request need no portions.
        is_small = len(whole) == 1 and len(rows) <= self.run.settings.batch_size
        portions = [(whole, True)] if is_small else self._portions.of(rows, whole)
        for groups, is_last in portions:
            for place, wave in enumerate(groups, start=1):
                batch.cache.has_later_rows = place < len(groups) or not is_last
                yield from self._write_wave(batch, wave)
            if not is_last:
                self._save(batch)

    @cached_property
    def _portions(self) -> BatchPortions:
        return BatchPortions(self.run, self.object_type, self.mode, self._own.update_method)

    def _write_wave(self, batch: Batch, wave: Sequence[Row]) -> Steps[None]:
        """Writes the rows of a wave.

        Where limits keep some rows from being written, older ones still get all their requests, as
        far as other endpoints take them: STATE passes up to the first row without an outcome.
        """
        new, existing, updates = self._match(batch, wave)
        failure_of_reads = self._compare(batch, existing, updates)
        # Intents are on disk before requests are sent, so that the next run can complete this one.
        self._intend(batch, [*self._to_change(updates), *new])
        self._note_moving(batch, updates)
        if new and updates and failure_of_reads is None and self._may_be_beside(new, updates):
            updates, failure_of_creates, failure = yield from self._write_beside(
                batch, new, updates
            )
        else:
            failure = self._update(batch, updates, failure_of_reads)
            if failure is not None:
                new = self._older_than_stuck(batch, new) if _is_limit(failure) else []
                if not new:
                    raise failure
            updates, failure_of_creates = yield from self._create(batch, new)
        # The ids of matched records must be on disk before the records are written: if this run is
        # killed and a row's address then changes, the row is not found by its address.
        self._intend(batch, self._to_change(updates))
        later_failure = self._update(batch, updates, failure_of_creates)
        failure = failure or later_failure
        if failure is not None:
            raise failure

    def _may_be_beside(self, new: Sequence[Row], updates: Sequence[PlannedUpdate]) -> bool:
        """Whether new rows may be created while these updates are under way.

        Not near a limit, where the oldest rows come first, and not where a row may end the run.
        """
        settings = self.run.settings
        return (
            settings.parallel_requests > 1
            and not settings.dry_run
            and settings.on_record_error != "fail"
            and settings.max_creates is None
            and settings.max_updates is None
            and not order_matters(self.object_type, new, updates)
            and self._rounds.fit(updates)
        )

    def _write_beside(
        self, batch: Batch, new: Sequence[Row], updates: Sequence[PlannedUpdate]
    ) -> Steps[tuple[list[PlannedUpdate], Failure | None, Failure | None]]:
        """Creates rows while records are updated.

        Returns:
            The result of `_create`, and the failure of the updates that ends the run.
        """
        creating = self._create(batch, new)
        try:
            ended = _begin(creating)
            gone, failure = self._carry_out(batch, updates)
            if ended is None:
                yield
                ended = yield from creating
        finally:
            # After an error that nobody expects, its requests are waited for.
            creating.close()
        later, failure_of_creates = ended
        if failure is None and failure_of_creates is None:
            self._write_rematched(batch, gone)
        if failure is not None and not _is_limit(failure):
            failure_of_creates = failure_of_creates or failure
        return later, failure_of_creates, failure

    def _older_than_stuck(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        stuck = batch.oldest_beside(rows)
        return [row for row in rows if stuck is None or age(row) < stuck]

    # --- which record a row has

    def _match(
        self, batch: Batch, wave: Sequence[Row]
    ) -> tuple[list[Row], list[MatchedRecord], list[PlannedUpdate]]:
        """Splits rows into those without a record, those to compare with it, and ready updates."""
        new: list[Row] = []
        existing: list[MatchedRecord] = []
        updates: list[PlannedUpdate] = []
        deleted = [row for row in wave if row.deleted and row.apollo_id]
        records = self._read_deleted(deleted) if deleted else {}
        for row in wave:
            recovered = batch.recovered.get(row.number)
            found = batch.found.get(row.number)
            record = recovered or batch.cache.find_of(row)
            if row.deleted:
                moved = self._deleted_record(batch, row, records)
                if moved is None:
                    batch.finish(row, Outcome.SKIPPED)
                else:
                    self._note_move(batch, moved)
                    updates.append(self._comparer.compare_whole(moved))
            elif self.mode is Mode.INSERT and (there := record or found) is not None:
                matched = Matched(row, Match.EXISTING, there)
                updates += self._creator.leave_or_complete(batch, matched, there)
            elif row.apollo_id and self.mode is not Mode.INSERT:
                answer = batch.cache.read_before(row.apollo_id)
                existing.append(MatchedRecord(row, row.apollo_id, answer))
            elif record is None:
                new.append(row)
            elif recovered is not None:
                updates.append(self._comparer.compare_whole(_matched(row, record)))
            else:
                existing.append(_matched(row, record))
        return new, existing, updates

    def _read_deleted(self, rows: Sequence[Row]) -> Mapping[str, Json]:
        """Apollo id -> record of deleted rows that are moved to a stage, as far as it can be read.

        Their present stage is noted, so that it can be given back if a row returns.
        """
        if self.mode is Mode.INSERT:
            return {}
        ids = [row.apollo_id for row in rows if row.apollo_id and row.values]
        records = read_records(self.run, self.object_type, ids).found
        stages = self._comparer.stages
        stages.note(records)
        stages.look_up((row, row.apollo_id or "", records.get(row.apollo_id or "")) for row in rows)
        return records

    def _note_move(self, batch: Batch, moved: MatchedRecord) -> None:
        """Sets what the ledger notes of a deleted row: where its record goes, and from where."""
        history = batch.history_of(moved.row)
        if history.payload_hash is None:
            return
        is_to_stage = bool(moved.row.values)
        stage = (moved.answer or {}).get(self._comparer.stages.field) if is_to_stage else None
        link = history.link
        former = DeletionMark.of(link.payload_hash if link is not None else None) or HELD
        place = history.payload_hash.removeprefix(DELETED)
        stages = self._comparer.stages
        stages.look_up([(moved.row, moved.apollo_id, moved.answer)])
        if stages.keeps(moved.row, moved.apollo_id, moved.answer):
            mark = former.left_at(place, digits_of(self.run.settings.protected_stages))
        elif stage == place:
            mark = former.left_at(place)
        else:
            mark = former.moved_to(place, str(stage) if stage else None)
        batch.replace_history(moved.row, with_values(history, payload_hash=mark.text))

    def _deleted_record(
        self, batch: Batch, row: Row, records: Mapping[str, Json]
    ) -> MatchedRecord | None:
        """The record of a deleted row, which is to be moved; None if there is none."""
        if self.mode is Mode.INSERT:
            return None
        if row.apollo_id:
            return MatchedRecord(row, row.apollo_id, records.get(row.apollo_id))
        recovered = batch.recovered.get(row.number)
        if recovered is not None:
            return _matched(row, recovered)
        if batch.cache.find(row.match_key) is not None:
            # Another row of the batch has the record.
            return None
        if not row.match_key or not is_address(row.match_key) or self.mode is not Mode.UPSERT:
            # A deleted row has no other values, so it can be found only by its address.
            return None
        record = find_record(self.run.client, self.object_type, row.match_key)
        if record is None or self._own_records.is_of_another_row(record, batch.history_of(row)):
            return None
        return _matched(row, record)

    # --- which changes the record needs

    def _compare(
        self, batch: Batch, existing: Sequence[MatchedRecord], updates: list[PlannedUpdate]
    ) -> ApolloError | None:
        """Adds updates of existing records to `updates`; returns a failure that ends the run."""
        if not existing:
            return None
        if self.mode is not Mode.INSERT:
            try:
                existing = self._returns.give_back(batch, existing)
            except ApolloError as failure:
                return failure
        compared = self._comparer.compare(existing, batch.histories)
        updates += compared.updates
        gone: list[GoneRecord] = []
        for row, apollo_id, refusal in compared.refused:
            gone += self._rounds.finish_refused(batch, row, apollo_id, refusal)
        for row, apollo_id in compared.unread:
            self._rounds.reject_unread(batch, row, apollo_id)
        if compared.failure is None:
            self._write_rematched(batch, gone)
        return compared.failure

    def _compare_again(
        self, batch: Batch, updates: Sequence[PlannedUpdate]
    ) -> tuple[list[PlannedUpdate], ApolloError | None]:
        """Plans updates again after other rows of the same Apollo records were written."""
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

    def _note_moving(self, batch: Batch, updates: Sequence[PlannedUpdate]) -> None:
        """Notes in the ledger from which stage records of deleted rows are about to be moved."""
        moving = [
            (history, update.apollo_id, replace(mark, is_open=True).text)
            for update in updates
            if update.row.deleted and update.changes
            if (mark := DeletionMark.of((history := batch.history_of(update.row)).payload_hash))
        ]
        if moving and self.links is not None:
            self.links.note_moving(moving)

    def _to_change(self, updates: Sequence[PlannedUpdate]) -> list[Row]:
        """Rows that are about to change a record, with its id, for intents in the ledger.

        In mode insert there are none: it only completes records that it created, and the next run
        finds these by the match key of their first intent.
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
    ) -> Failure | None:
        """Carries out updates.

        Args:
            failure: The error that already ends the run. If it is no limit of another endpoint,
                only rows that need no request are finished.

        Returns:
            The error that ends the run, if there is one.
        """
        gone, own = self._carry_out(batch, updates, may_send=failure is None or _is_limit(failure))
        failure = failure or own
        if failure is None:
            self._write_rematched(batch, gone)
        return failure

    def _carry_out(
        self, batch: Batch, updates: Sequence[PlannedUpdate], *, may_send: bool = True
    ) -> tuple[list[GoneRecord], Failure | None]:
        """Sends updates, no record twice at a time; finishes rows that need no request.

        Returns:
            Rows whose record is gone from Apollo, and the error that ends the run.
        """
        gone: list[GoneRecord] = []
        own: Failure | None = None
        for number, members in enumerate(rounds(updates) if updates else ()):
            if number and own is None and may_send:
                members, own = self._compare_again(batch, members)
            to_send = self._rounds.finish_idle(batch, members)
            if own is None and may_send:
                gone_now, own = self._rounds.carry_out(batch, to_send)
                gone += gone_now
        return gone, own

    def _create(
        self, batch: Batch, rows: Sequence[Row]
    ) -> Steps[tuple[list[PlannedUpdate], Failure | None]]:
        """Creates rows, no more than the limit allows.

        Returns:
            Updates that are then necessary; and the failure that ends the run, if there was one.
        """
        updates: list[PlannedUpdate] = []
        left = list(rows)
        while left:
            try:
                allowed = self.run.limits.creates_allowed(len(left))
            except RunError as reached:
                return updates, reached
            if allowed < len(left):
                left.sort(key=age)
            after = yield from self._creator.create(batch, left[:allowed])
            updates += after.updates
            failure = self._compare(batch, after.existing, updates) or after.failure
            if failure is not None:
                return updates, failure
            # Rows that Apollo already had do not count against the limit.
            left = left[allowed:]
        return updates, None

    def _write_rematched(self, batch: Batch, gone: Sequence[GoneRecord]) -> None:
        """Finds another record for rows whose record is gone from Apollo, and writes them."""
        if not gone:
            return
        whole = [
            GoneRecord(
                with_values(self._rows[one.row.number], apollo_id=one.row.apollo_id), one.refusal
            )
            for one in gone
        ]
        rows, failure = self._identity.dead_links.rematch(batch, whole)
        if rows:
            run_to_end(self._write_wave(batch, rows))
        if failure is not None:
            raise failure


def _is_limit(failure: Failure) -> bool:
    """Whether a failure means that a limit is reached, which other requests may not have."""
    return isinstance(failure, (QuotaExhausted, RunError))


def _begin(steps: Steps[T]) -> T | None:
    """Runs steps to their first pause; the result if they end before it."""
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    return None


def _matched(row: Row, record: Json) -> MatchedRecord:
    return MatchedRecord(row, str(record["id"]), record)
