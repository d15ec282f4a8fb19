"""Syncs the rows of one stream, batch by batch: recall, match, create, compare, update, commit.

A batch is written in waves in which no Apollo record occurs twice. In each wave existing records
are updated first, since an update may free the e-mail or domain of a new row. Then rows without a
known record are created, or at the same time if no update frees anything. If Apollo answers a
create with an existing record, that is compared and updated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, QuotaExhausted
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps, run_to_end, run_to_pause
from target_apollo.sync.creates.create import RecordCreator
from target_apollo.sync.creates.match import Match, RowMatch
from target_apollo.sync.deletions.marks import HELD
from target_apollo.sync.deletions.returns import RecordReturns
from target_apollo.sync.exit import RunError
from target_apollo.sync.identity.dead_links import GoneRecord
from target_apollo.sync.identity.decide import RecordDecision
from target_apollo.sync.records.deleted_rows import DeletedRows
from target_apollo.sync.records.duplicates import collapse
from target_apollo.sync.records.plan import age, waves
from target_apollo.sync.records.portions import BatchPortions
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.rejects.refused_rows import rejection_before
from target_apollo.sync.updates.comparison import MatchedRecord
from target_apollo.sync.updates.update import UpdateRounds, rounds
from target_apollo.sync.updates.update_plan import PlannedUpdate, order_matters

Failure = ApolloError | RunError


class StreamSync:
    """Writes the batches of one stream; used by one thread, one batch at a time."""

    def __init__(self, stream: RecordStream) -> None:
        self._stream = stream
        self._run = stream.run
        self._object_type = stream.object_type
        self._mode = stream.mode
        self._rounds = UpdateRounds(stream)
        self._portions = BatchPortions(stream)
        self._deleted = DeletedRows(stream)
        #: Row number -> row with all values; policies remove some from the row of an update.
        self._rows: Mapping[int, Row] = {}

    # --- made at the first batch, since the stream's policies and links are loaded then

    @cached_property
    def _identity(self) -> RecordDecision:
        return RecordDecision(self._stream)

    @cached_property
    def _creator(self) -> RecordCreator:
        return RecordCreator(self._stream, self._identity)

    @cached_property
    def _returns(self) -> RecordReturns:
        stream = self._stream
        return RecordReturns(
            stream.run, stream.object_type, stream.name, stream.links, stream.stages
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
                rows = collapse(self._object_type, rows, self._stream.match_on)
            yield from self._recall_and_write(batch, rows)
            batch.check_complete()
        finally:
            batch.count()
            self._run.unwritten_addresses.update(batch.unwritten)
        if self._run.counts.rejected:
            try:
                self._run.check_limits()
            except RunError:
                # What is wrong is rather a setting than the rows: they are read again.
                batch.hold_back()
                raise

    def _recall_and_write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        left, links = rows, self._stream.links
        if links is not None:
            batch.use_ledger(links, links.reader.recall(rows, batch.formers), rows)
        try:
            batch.reject_unread()
            if links is not None:
                left = self._finish_known(batch, rows)
            if left:
                yield from self._write_decided(batch, rows, left)
        finally:
            self._save(batch)

    def _save(self, batch: Batch) -> None:
        """Puts the outcomes so far on disk, so that STATE may pass behind their records."""
        # A rejected row must be in its file before the ledger has its outcome.
        if self._run.rejects.has_unsaved:
            self._run.rejects.keep()
        links = self._stream.links
        if links is not None and links.has_unsaved:
            links.commit()
        batch.note_saved()

    def _write_decided(self, batch: Batch, rows: Sequence[Row], left: Sequence[Row]) -> Steps[None]:
        """Decides which record each row has, and writes the rows.

        Args:
            rows: All rows of the batch.
            left: The rows without an outcome.
        """
        if any(row.names for row in left):
            left = self._stream.names.resolve(batch, left)
        if not self._may_have_records(batch, left):
            yield from self._write(batch, left)
            return
        decision = self._identity.decide(batch, rows, left)
        yield from self._write(batch, decision.rows)
        if decision.failure is not None:
            raise decision.failure

    def _may_have_records(self, batch: Batch, rows: Sequence[Row]) -> bool:
        """Whether it must be decided which records rows have: most batches have only new ones.

        A row is new if neither source nor ledger names a record for it, and bulk_create finds what
        exists by all of its keys.
        """
        if self._identity.looks_up_new_rows:
            return True
        linked = {number for number, one in batch.histories.items() if one.link is not None}
        return not linked.isdisjoint([row.number for row in rows]) or any(
            row.apollo_id for row in rows
        )

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
                if self._object_type.is_named_by_others and history.outcome is not Outcome.SKIPPED:
                    batch.cache.remember_id(row, apollo_id)
            elif apollo_id == row.apollo_id or self._mode is Mode.INSERT:
                left.append(row)
            else:
                left.append(with_values(row, apollo_id=apollo_id))
        return left

    def _write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        self._rows = {row.number: row for row in rows}
        whole = waves(self._object_type, rows)
        # Rows that share a request need no portions.
        is_small = len(whole) == 1 and len(rows) <= self._run.settings.batch_size
        portions = [(whole, True)] if is_small else self._portions.of(rows, whole)
        for groups, is_last in portions:
            for place, wave in enumerate(groups, start=1):
                batch.cache.has_later_rows = place < len(groups) or not is_last
                yield from self._write_wave(batch, wave)
            if not is_last:
                self._save(batch)

    def _write_wave(self, batch: Batch, wave: Sequence[Row]) -> Steps[None]:
        """Writes the rows of a wave.

        Where limits keep some rows from being written, older ones still get all their requests, as
        far as other endpoints take them: STATE passes up to the first row without an outcome.
        """
        new, existing, updates = self._match(batch, wave)
        failure_of_reads = self._compare(batch, existing, updates)
        # Intents are on disk before requests are sent, so that the next run can complete this one.
        self._intend(batch, [*self._to_change(updates), *new])
        if any(update.row.deleted for update in updates):
            self._deleted.note_moving(batch, updates)
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
        settings = self._run.settings
        return (
            settings.parallel_requests > 1
            and not settings.dry_run
            and settings.on_record_error != "fail"
            and settings.max_creates is None
            and settings.max_updates is None
            and not order_matters(self._object_type, new, updates)
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
            ended = run_to_pause(creating)
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
        comparer = self._stream.comparer
        deleted = [row for row in wave if row.deleted]
        moved = self._deleted.match(batch, deleted) if deleted else {}
        for row in wave:
            recovered = batch.recovered.get(row.number)
            found = batch.found.get(row.number)
            record = recovered or batch.cache.find_of(row)
            if row.deleted:
                if row.number in moved:
                    updates.append(comparer.compare_whole(moved[row.number]))
            elif self._mode is Mode.INSERT and (there := record or found) is not None:
                matched = RowMatch(row, Match.EXISTING, there)
                updates += self._creator.leave_or_complete(batch, matched, there)
            elif row.apollo_id and self._mode is not Mode.INSERT:
                answer = batch.cache.read_before(row.apollo_id)
                existing.append(MatchedRecord(row, row.apollo_id, answer))
            elif record is None:
                new.append(row)
            elif recovered is not None:
                updates.append(comparer.compare_whole(MatchedRecord.of(row, record)))
            else:
                existing.append(MatchedRecord.of(row, record))
        return new, existing, updates

    # --- which changes the record needs

    def _compare(
        self, batch: Batch, existing: Sequence[MatchedRecord], updates: list[PlannedUpdate]
    ) -> ApolloError | None:
        """Adds updates of existing records to `updates`; returns a failure that ends the run."""
        if not existing:
            return None
        if self._mode is not Mode.INSERT:
            try:
                existing = self._returns.give_back(batch, existing)
            except ApolloError as failure:
                return failure
        compared = self._stream.comparer.compare(existing, batch.histories)
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
        if self._stream.links is not None:
            self._stream.links.intend(rows, batch.histories)

    def _to_change(self, updates: Sequence[PlannedUpdate]) -> list[Row]:
        """Rows that are about to change a record, with its id, for intents in the ledger.

        In mode insert there are none: it only completes records that it created, and the next run
        finds these by the match key of their first intent.
        """
        if self._mode is Mode.INSERT:
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
                allowed = self._run.limits.creates_allowed(len(left))
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
