"""The sinks: Singer records in, outcomes out.

A sink collects the records of one stream until a flush, reads them into rows and hands them to the
writer. Each record leaves with exactly one outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.exceptions import MissingKeyPropertiesError
from singer_sdk.sinks import BatchSink

from target_apollo import logs
from target_apollo.ledger import source_key
from target_apollo.model.objects import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Outcome, RecordError, Rejection
from target_apollo.model.policies import Policies
from target_apollo.model.row_parser import UPDATE_NEEDS_ID, RowReader
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Flush, Made, Received, flush_size
from target_apollo.sync.concurrency import Flow
from target_apollo.sync.deletions import Place, SeenKeys, move_vanished
from target_apollo.sync.plan import collapse
from target_apollo.sync.recall import Memory
from target_apollo.sync.recovery import find_strays
from target_apollo.sync.stream_links import StreamLinks
from target_apollo.sync.stream_sync import stream_policies, stream_writer, updated_at_field
from target_apollo.target.stdin import LONGEST_LINE
from target_apollo.target.validation import CompiledValidator

if TYPE_CHECKING:
    from target_apollo.target.target import TargetApollo


class ApolloSink(BatchSink):
    """Writes one stream as contacts or accounts."""

    object_type: ClassVar[ObjectType]

    def __init__(
        self,
        target: TargetApollo,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        # The SDK logs records and schemas under a name of the sink's own.
        logs.quieten(target.logger.getChild(stream_name))
        super().__init__(target, stream_name, schema, key_properties)
        #: Checks records; None where `validate_records` is false.
        self._compiled = (
            CompiledValidator(stream_name, self.schema) if self.validate_schema else None
        )
        self._key_names = tuple(key_properties or ())
        self._target = target
        self._run = target.run
        self._own = self._run.settings.of_stream(stream_name)
        #: The flush that is being written.
        self._flush = Flush({})
        self._reader = RowReader(
            object_type=self.object_type,
            mode=self._own.mode,
            key_properties=self._own.key or tuple(key_properties or ()),
            properties=frozenset(schema.get("properties", {})),
            names=self._run.directory,
            null_policy=self._run.settings.null_policy,
            null_policies=self._run.settings.null_policy_per_field,
            kept_out=lambda name: self._policies.keeps_out(name),
            updated_at_field=updated_at_field(self._run.settings),
            lists=self._run.settings.lists,
        )
        self._writer = stream_writer(
            self._run,
            self.object_type,
            stream_name,
            self._own,
            policies=lambda: self._policies,
            settle=self._settle,
            settle_created=self._settle_created,
            intend=self._intend,
            is_anothers=lambda row, apollo_id: (
                self._links is not None and self._links.is_anothers(row, apollo_id)
            ),
        )
        self._flush_size = flush_size(
            self._run.settings.batch_size, self._run.settings.parallel_requests
        )
        #: Number of the oldest record without an outcome; STATE may not pass it.
        self.oldest_pending: int | None = None
        #: Keys that came in this run, where rows that no longer come have their record moved.
        self._seen = SeenKeys()
        #: Records that wait for the next flush, as they came in and as stream maps made them.
        self._waiting: list[tuple[Received, dict[str, Any]]] = []
        #: Bytes of their lines.
        self._held_bytes = 0

    @property
    def max_size(self) -> int:
        """Records per flush."""
        return self._flush_size

    @property
    def is_full(self) -> bool:
        """Whether the waiting records are as many, or as long, as one flush may have."""
        return self.current_size >= self._flush_size or self._held_bytes >= LONGEST_LINE

    @property
    def current_size(self) -> int:
        """Records that wait for the next flush."""
        return len(self._waiting)

    def get_validator(self) -> None:
        """No validator of the SDK's, since records are checked by `check`."""

    def check(self, record: dict[str, Any]) -> None:
        """Checks a record against the schema of the stream, unless `validate_records` is false.

        Raises:
            InvalidRecord: It breaks a rule of the schema.
            MissingKeyPropertiesError: It lacks a key property.
        """
        if self._compiled is not None:
            self._compiled.validate(record)
        for name in self._key_names:
            if name not in record:
                raise MissingKeyPropertiesError(
                    f"A record of stream '{self.stream_name}' lacks the key property '{name}'"
                )

    def add(self, source: Received, record: dict[str, Any]) -> None:
        """Keeps a record for the next flush.

        Args:
            source: The record as it came in.
            record: What stream maps have made of it; `check` has found nothing wrong with it.
        """
        if self.oldest_pending is None:
            self.oldest_pending = source.number
        self._waiting.append((source, record))
        self._held_bytes += source.length
        self.record_counter_metric.increment()

    def start_drain(self) -> dict[str, Any]:
        """Gives out the records that wait, in the form that `process_batch` takes."""
        records, self._waiting = self._waiting, []
        return {"records": records}

    def process_batch(self, context: dict[str, Any]) -> None:
        """Writes the records of a flush; each of them has its outcome when this returns.

        Raises:
            ApolloError, RunError: The run can't go on; records without an outcome hold STATE back.
        """
        self._begin(context)
        self._run.under_way.finish()

    def flush_ahead(self) -> None:
        """Begins a flush, which ends while the records of the next one come in.

        In place of the SDK's `drain_one`; raises as `process_batch`, also for the flush before.
        """
        self._begin(self.start_drain())
        self.mark_drained()

    def _begin(self, context: dict[str, Any]) -> None:
        under_way = self._run.under_way
        if not under_way.is_of(self):
            # Accounts must be known before the contacts that name them are read.
            under_way.finish()
        self._target.before_flush(self)
        records = context.get("records", [])
        flush = Flush({received.number: received for received, _ in records})
        self._say_unknown_fields()
        rows = []
        reader = self._reader
        # Most records need no more than to be read.
        is_plain = not self._run.settings.on_delete and reader.updated_at_field is None
        for received, record in records:
            try:
                if is_plain and not received.deleted:
                    rows.append(reader.read(received.number, record))
                    continue
                row = self._read(flush, received, record)
                if row is not None:
                    rows.append(row)
            except RecordError as problem:
                self._run.rejecting.reject(flush.open.pop(received.number), problem.rejection)
                if received.former is None:
                    # A replayed record says nothing of its row, which a later run may have written.
                    key = [record.get(name) for name in self._reader.key_properties]
                    flush.unreadable.append((key, problem.rejection))
        self._run.audit.note(self.stream_name, self.object_type, rows)
        under_way.begin(self, self.oldest_pending, self._write_flush(flush, rows))

    def _write_flush(self, flush: Flush, rows: Sequence[Row]) -> Flow[None]:
        self._flush = flush
        try:
            yield from self._write(collapse(rows))
        finally:
            for outcome, received in flush.done.items():
                self._run.settle_all(received, outcome)
        self._run.check_limits()

    def _read(self, flush: Flush, received: Received, record: dict[str, Any]) -> Row | None:
        """The row of a record; None where it was deleted and that is ignored."""
        on_delete = self._run.settings.on_delete
        if on_delete:
            self._note_seen(record)
        if not received.deleted:
            row = self._reader.read(received.number, record)
            changed_at = self._reader.updated_at_field
            if changed_at is not None and row.changed_at is None and record.get(changed_at):
                self._run.saying.no_time(self.stream_name, changed_at)
            return row
        if not on_delete:
            self._run.settle(flush.open.pop(received.number), Outcome.SKIPPED)
            self._run.saying.deletions_ignored(self.stream_name)
            return None
        place = self._place
        return self._reader.read_deleted(received.number, record, place.values, place.lists)

    def _note_seen(self, record: dict[str, Any]) -> None:
        try:
            key = [record.get(name) for name in self._reader.key_properties]
            self._seen.add([source_key(key)])
        except ValueError:
            self._seen.unsure = True

    def follow(self, former: ApolloSink) -> None:
        """Takes over which keys came before the stream's SCHEMA changed."""
        self._seen = former._seen

    def is_unsure_of_keys(self) -> None:
        """Notes that a record was lost on its way here: its row must not be taken for gone."""
        self._seen.unsure = True

    def move_vanished(self) -> None:
        """Moves the records of rows that a table sent as a whole no longer holds.

        Raises:
            RunError: So many are gone that somebody should look first.
            ApolloError, LedgerError: The run can't go on.
        """
        if self._own.mode is Mode.INSERT:
            # It leaves alone what exists.
            return
        links = None if self._links is None else self._links.gone
        move_vanished(self._run, self.object_type, self.stream_name, links, self._seen, self._place)

    def _write(self, rows: Sequence[Row]) -> Flow[None]:
        links = self._links
        if links is None:
            yield from self._writer.write(self._with_ids(rows), Memory(), {})
            return
        records = self._flush.open.items()
        formers = {number: r.former for number, r in records if r.former is not None}
        memory = links.recall(rows, formers)
        for key, why in self._flush.unreadable:
            links.note_rejected(key, why)
        try:
            for row, outcome, _ in memory.settled:
                self._flush.settle(row, outcome)
            self._writer.know_ids((row, apollo_id) for row, _, apollo_id in memory.settled)
            open_rows = self._with_ids(memory.open)
            strays = find_strays(self._run.client, self.object_type, memory.strayed)
            yield from self._writer.write(open_rows, memory, strays)
        finally:
            # A rejected row must be in its file before the ledger says that it is settled.
            self._run.rejecting.keep()
            links.commit()

    def _with_ids(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rejects what mode update can't write, since nothing tells its Apollo id."""
        if self._own.mode is not Mode.UPDATE:
            return rows
        for row in rows:
            if row.apollo_id is None and not row.deleted:
                self._settle(row, Outcome.REJECTED, None, UPDATE_NEEDS_ID, None)
        return [row for row in rows if row.apollo_id is not None or row.deleted]

    @cached_property
    def _links(self) -> StreamLinks | None:
        """What the ledger knows of the stream; its lock keeps a second run out."""
        ledger = self._run.ledger
        if ledger is None:
            return None
        return StreamLinks(
            ledger,
            self.object_type,
            self.stream_name,
            connection=self._run.connection,
            run_id=self._run.run_id,
            mode=self._own.mode,
            full_resync=self._run.settings.full_resync,
            policies=self._policies,
        )

    @cached_property
    def _policies(self) -> Policies:
        return stream_policies(
            self._run.settings,
            self.object_type,
            self._run.directory,
            self.stream_name,
            self.schema.get("properties", {}),
        )

    @cached_property
    def _place(self) -> Place:
        """Where the records of deleted rows are moved."""
        directory = self._run.directory
        return Place.of(self._run.settings.on_delete, self.object_type, directory)

    def _intend(self, rows: Sequence[Row]) -> None:
        if self._links is not None:
            self._links.intend(rows)

    def mark_drained(self) -> None:
        """Lets STATE pass the records of the flush."""
        super().mark_drained()
        self.oldest_pending = None
        self._held_bytes = 0
        self._target.pass_state()

    def _say_unknown_fields(self) -> None:
        # Before anything is written, since unknown_fields may be "fail" and a policy may name what
        # there is not. A record's property that its schema lacks is met later, and dropped too.
        _ = self._policies
        passive = {
            *self._reader.key_properties,
            *self._target.bookmark_properties(self.stream_name),
        }
        unknown = [
            name
            for name in self.schema.get("properties", {})
            if not self._reader.place(name) and name not in passive
        ]
        self._run.saying.unknown_fields(self.stream_name, self.object_type.kind.value, unknown)

    def _settle(
        self,
        row: Row,
        outcome: Outcome,
        apollo_id: str | None,
        why: Rejection | None,
        updated_at: str | None,
    ) -> None:
        if self._links is not None:
            self._links.note(row, outcome, apollo_id, why, updated_at)
        if row.deleted and outcome is Outcome.UPDATED:
            self._run.report.count_deleted(self.stream_name)
        if why is None:
            self._flush.settle(row, outcome)
            return
        for number in row.numbers:
            self._run.rejecting.reject(self._flush.open.pop(number), why)

    def _settle_created(self, made: Sequence[Made]) -> None:
        if self._links is not None:
            self._links.note_created(made)
        for row, _, _ in made:
            self._flush.settle(row, Outcome.CREATED)


class ContactsSink(ApolloSink):
    """Writes a stream as contacts."""

    object_type = CONTACT


class AccountsSink(ApolloSink):
    """Writes a stream as accounts."""

    object_type = ACCOUNT
