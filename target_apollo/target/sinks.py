"""The sinks, which write the records of streams to Apollo.

A sink collects the records of one stream until a flush, reads them into rows and hands the rows to
its `StreamSync`. Each record gets exactly one outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.exceptions import MissingKeyPropertiesError
from singer_sdk.sinks import BatchSink

from target_apollo.ledger import match_hash, source_key
from target_apollo.model.characters import is_blank
from target_apollo.model.objects import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Outcome, RecordError, Rejection
from target_apollo.model.row_parser import RowParser
from target_apollo.model.rows import Mode, Row
from target_apollo.model.spelling import spelled_as, value_of
from target_apollo.sync.adopt.stream import StreamAdoption
from target_apollo.sync.batch import Batch, RecordCache, flush_size
from target_apollo.sync.deletions import DeletionTarget, WholeTable
from target_apollo.sync.source_record import SourceRecord
from target_apollo.sync.stream_columns import (
    ABOUT_RECORDS,
    MatchColumns,
    check_columns,
    entries_beside_fields,
    not_written_because,
)
from target_apollo.sync.stream_settings import updated_at_field
from target_apollo.sync.stream_sync import StreamSync
from target_apollo.sync.whole_tables import SeenKeys
from target_apollo.system import logs
from target_apollo.target.stdin import LONGEST_LINE
from target_apollo.target.streams import CompiledValidator

if TYPE_CHECKING:
    from target_apollo.target.target import TargetApollo

#: Most bytes of lines whose records wait in all sinks but the largest. In memory they take some
#: eight times as much.
_MOST_WAITING_BYTES = 5 << 19
#: All sinks are looked at after this many bytes.
_LOOK_EVERY = 1 << 16


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
        # The SDK logs records and schemas with a logger of the sink.
        logs.quieten(target.logger.getChild(stream_name))
        super().__init__(target, stream_name, schema, key_properties)
        #: Checks records; None where `validate_records` is false.
        self._compiled = CompiledValidator(self.schema) if self.validate_schema else None
        self._key_names = tuple(key_properties or ())
        self._properties = frozenset(schema.get("properties", {}))
        self._target = target
        self._run = target.run
        self._own = self._run.settings.of_stream(stream_name)
        self._sync = StreamSync(
            self._run, self.object_type, stream_name, self._own, schema.get("properties", {})
        )
        adoption = self._run.adoption
        self._writer: StreamSync | StreamAdoption = (
            self._sync if adoption is None else StreamAdoption(self._sync, adoption)
        )
        self._flush_size = flush_size(
            self._run.settings.batch_size, self._run.settings.parallel_requests
        )
        self._match_columns = MatchColumns(
            stream_name,
            self.object_type,
            self._own,
            self._run.settings.custom_fields,
            tuple(schema.get("properties", {})),
        )
        #: Whether the SCHEMA has a column to match on; if not, the first records may have one.
        self._has_match_column = self._match_columns.are_in(schema)
        self._has_looked = self._has_match_column
        #: Number of the oldest record that waits for a flush; a later STATE must wait for it.
        self.oldest_pending: int | None = None
        self._moves_deleted = bool(self._run.settings.on_delete)
        #: Key and bookmark properties at the last check for unknown fields; None before it.
        self._checked_beside: frozenset[str] | None = None
        #: Keys of the rows of this run, needed if `on_delete` moves records of missing rows.
        self._seen = SeenKeys()
        #: Records of the next flush, before stream maps; `_mapped` has the same after stream maps.
        self._waiting: list[SourceRecord] = []
        self._mapped: list[dict[str, Any]] = []
        #: Records of the next flush that can't be used.
        self._rejected: list[tuple[SourceRecord, Rejection]] = []
        #: Bytes of these records' lines in the input.
        self._waiting_bytes = 0

    @cached_property
    def _parser(self) -> RowParser:
        """The parser for the records of the stream.

        Raises:
            RunError: The setting `match_on` names an unknown custom field.
            ApolloError: Apollo could not be asked for its custom fields.
        """
        return RowParser(
            object_type=self.object_type,
            mode=self._own.mode,
            key_properties=self._key_columns,
            properties=self._properties,
            custom_fields=self._run.directory,
            null_policy=self._run.settings.null_policy,
            null_policies=self._run.settings.null_policy_per_field,
            kept_out=lambda name: self._sync.policies.keeps_out(name),
            updated_at_field=updated_at_field(self._run.settings, self._properties),
            lists=self._run.settings.lists,
            drops=self._run.settings.drops,
            dropped=self._run.counts.unresolved[self.stream_name],
            links_by_email=self._run.settings.link_by_email_domain,
            allowed_domains=self._run.settings.allow_domains,
            match_on=self._sync.match_on,
            mapped=frozenset(
                name
                for name in self._properties
                if value_of(self._run.settings.custom_fields, name) is not None
            ),
        )

    @cached_property
    def _time_column(self) -> str:
        """The property with the time of a row's last change, which may be none of the stream's."""
        return spelled_as(self._run.settings.updated_at_field, self._properties)

    @cached_property
    def _key_columns(self) -> tuple[str, ...]:
        """The properties that identify a row: those of the setting, or of the SCHEMA message."""
        own = self._own.key
        if own is None:
            return self._key_names
        return tuple(spelled_as(name, self._properties) for name in own)

    @property
    def max_size(self) -> int:
        """Records per flush."""
        return self._flush_size

    @property
    def is_full(self) -> bool:
        """Whether the records for the next flush have reached its limit of records or bytes."""
        return self.current_size >= self._flush_size or self._waiting_bytes >= LONGEST_LINE

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the lines of the records for the next flush."""
        return self._waiting_bytes

    @property
    def current_size(self) -> int:
        """Number of records for the next flush."""
        return len(self._waiting) + len(self._rejected)

    def get_validator(self) -> None:
        """Returns no validator of the SDK: `check` validates the records."""

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

    def add(self, source: SourceRecord, record: dict[str, Any]) -> None:
        """Keeps a record for the next flush.

        Args:
            source: The record as it was received.
            record: The record after stream maps; it has passed `check`.
        """
        if self.oldest_pending is None:
            self.oldest_pending = source.number
        self._waiting.append(source)
        self._mapped.append(record)
        self._waiting_bytes += source.length

    def add_rejected(self, source: SourceRecord, rejection: Rejection) -> None:
        """Keeps a record that can't be used for the next flush, which asks the ledger about it."""
        if self.oldest_pending is None:
            self.oldest_pending = source.number
        self._rejected.append((source, rejection))
        self._waiting_bytes += source.length

    def start_drain(self) -> dict[str, Any]:
        """Returns the records for the next flush, as `process_batch` takes them; keeps none."""
        drained = {"sources": self._waiting, "records": self._mapped, "rejected": self._rejected}
        self.record_counter_metric.increment(len(self._waiting))
        self._waiting, self._mapped, self._rejected = [], [], []
        return drained

    def process_batch(self, context: dict[str, Any]) -> None:
        """Writes the records of a flush; each of them has its outcome when this returns.

        Raises:
            ApolloError, RunError: The run can't go on; records without an outcome hold STATE back.
        """
        self._start_flush(context)
        self._run.pending_flush.finish()

    def flush_ahead(self) -> None:
        """Starts a flush, so that its requests are sent while the next records are read.

        Replaces the SDK's `drain_one`. Raises the errors of `process_batch`, also those of the
        flush before.
        """
        self._start_flush(self.start_drain())
        self.mark_drained()

    def _start_flush(self, context: dict[str, Any]) -> None:
        run = self._run
        if not run.pending_flush.is_only_of(self):
            # Accounts must be known before the contacts that name them are read.
            run.pending_flush.finish()
        self._target.before_flush(self)
        sources, records = context["sources"], context["records"]
        self._check_fields()
        if not self._has_looked and sources:
            self._look_for_match_columns(sources, records)
        rejected: list[tuple[SourceRecord, Rejection]] = context["rejected"]
        batch = Batch(
            self.stream_name,
            [*sources, *(source for source, _ in rejected)] if rejected else sources,
            run.counts,
            run.rejects,
            RecordCache(self.object_type, run.companies),
        )
        for source, why in rejected:
            key = [source.record.get(name) for name in self._parser.key_properties]
            batch.finish_unread(source, Outcome.REJECTED, why, key)
        read = map(partial(self._read, batch), sources, records)
        rows = [row for row in read if row is not None]
        if self._parser.emails_left_out:
            run.notices.addresses_left_out(self.stream_name)
        run.audit.note(self.stream_name, self.object_type, rows)
        run.pending_flush.finish()
        # From here on the batch tells which of its records have no outcome.
        self.oldest_pending = None
        run.pending_flush.start(self, batch, self._writer.write(batch, rows))

    def _look_for_match_columns(
        self, sources: Sequence[SourceRecord], records: Sequence[dict[str, Any]]
    ) -> None:
        """Ends the run if the first records have no column to match on either.

        Raises:
            RunError: None of them has.
        """
        # A replay has records that were rejected for this.
        if not any(source.former for source in sources):
            self._match_columns.look_for({name for record in records for name in record})
        self._has_looked = True

    def _read(self, batch: Batch, source: SourceRecord, record: dict[str, Any]) -> Row | None:
        """The row of a record; None if the record has got its outcome without a row."""
        run, reader = self._run, self._parser
        changed_at = reader.updated_at_field
        if self._moves_deleted:
            self._note_seen(record, reader.key_properties)
        try:
            if not source.deleted:
                row = reader.read(source.number, record)
                if changed_at is not None and row.changed_at is None and record.get(changed_at):
                    run.notices.no_time(self.stream_name, changed_at)
                return row
            if self._moves_deleted:
                moved_to = self._deletion_target
                return reader.read_deleted(source.number, record, moved_to.values, moved_to.lists)
        except RecordError as problem:
            if self._moves_deleted:
                self._note_unwritten(record)
            key = [record.get(name) for name in reader.key_properties]
            batch.finish_unread(source, Outcome.REJECTED, problem.rejection, key)
            return None
        batch.finish_unread(source, Outcome.SKIPPED)
        run.notices.deletions_ignored(self.stream_name)
        return None

    def _note_seen(self, record: dict[str, Any], names: Sequence[str]) -> None:
        try:
            key = [record.get(name) for name in names]
            if any(map(is_blank, key)):
                # Nothing tells which row lost its key.
                self._seen.unsure = True
                return
            self._seen.add([source_key(key)])
        except ValueError:
            self._seen.unsure = True

    def _note_unwritten(self, record: dict[str, Any]) -> None:
        """Notes the address of a rejected record: the person or company is still in the table."""
        place = self.object_type.fields[self.object_type.match_field]
        column = self._parser.columns.column_of(place.name) or place.name
        with suppress(RecordError):
            address = place.normalise(place.name, record.get(column))
            if address:
                self._run.unwritten_addresses.add(match_hash(address))

    def follow(self, former: ApolloSink) -> None:
        """Takes over the keys that arrived before the stream's SCHEMA changed."""
        self._seen = former._seen

    def note_lost_record(self) -> None:
        """Notes that a record did not reach the sink, so that no row counts as missing."""
        self._seen.unsure = True

    def note_filtered(self, record: dict[str, Any], mapped: Collection[str]) -> None:
        """Notes a record that a filter of a stream map leaves out: its row is not gone.

        If its key can't be told, no row of the stream counts as missing.

        Args:
            record: The record as the tap sent it.
            mapped: The properties that stream maps change.
        """
        names = self._key_columns
        if any(name in mapped or name not in record for name in names):
            self._seen.unsure = True
        else:
            self._note_seen(record, names)

    def whole_table(self) -> WholeTable | None:
        """The table of the stream, after it was sent as a whole and written.

        None if it is not known which of its rows are gone (which is logged), or in mode insert,
        which changes no existing record.

        Raises:
            RunError: Apollo has no such stage, or the ledger can't be opened.
            ApolloError, LedgerError: The run can't go on.
        """
        if self._own.mode is Mode.INSERT:
            return None
        links = self._sync.links
        if links is None or self._seen.unsure or not len(self._seen):
            self._run.notices.missing_rows_unknown(self.stream_name, has_ledger=links is not None)
            return None
        return WholeTable(
            self.object_type,
            self.stream_name,
            links,
            self._seen,
            self._deletion_target,
            self._run.left_links[self.stream_name],
        )

    @cached_property
    def _deletion_target(self) -> DeletionTarget:
        """Where the records of deleted rows are moved."""
        directory = self._run.directory
        return DeletionTarget.of(self._run.settings.on_delete, self.object_type, directory)

    def mark_drained(self) -> None:
        """Lets STATE pass the records of the flush."""
        super().mark_drained()
        self.oldest_pending = None
        self._waiting_bytes = 0
        self._target.pass_state()

    def _check_fields(self) -> None:
        """Checks the schema's properties and the policies against Apollo's fields, before a write.

        A property that a record has and its schema does not is found and left out later.

        Raises:
            RunError: A property has no field and `unknown_fields` is ``fail``, or a policy is for a
                field that does not exist.
            ApolloError: Apollo did not tell its custom fields.
        """
        passive = frozenset(
            (
                *self._parser.key_properties,
                *self._target.bookmark_properties(self.stream_name),
                self._time_column,
            )
        )
        if passive == self._checked_beside:
            return
        _ = self._sync.policies
        run, columns = self._run, self._parser.columns
        check_columns(self.stream_name, columns)
        if self._has_match_column and self._own.mode is not Mode.UPDATE:
            self._match_columns.check(self._sync.match_on, columns)
        run.notices.custom_fields_without_effect(
            [
                *run.directory.entries_without_label(),
                *entries_beside_fields(self.stream_name, self._parser.mapped, columns),
            ]
        )
        unknown = {
            name: not_written_because(name, self.object_type, columns, run.directory)
            for name in self.schema.get("properties", {})
            if not self._parser.is_mapped(name)
            and name not in passive
            and not name.startswith(ABOUT_RECORDS)
        }
        run.notices.unknown_fields(self.stream_name, self.object_type.kind.value, unknown)
        self._checked_beside = passive


class ContactsSink(ApolloSink):
    """Writes a stream as contacts."""

    object_type = CONTACT


class AccountsSink(ApolloSink):
    """Writes a stream as accounts."""

    object_type = ACCOUNT


class WaitingRecords:
    """The records that wait in all sinks; starts flushes before they take too much memory.

    Args:
        sinks: All sinks, by the name of their stream; more may be added later.
    """

    def __init__(self, sinks: Mapping[str, ApolloSink]) -> None:
        self._sinks = sinks
        #: Bytes since all sinks were looked at.
        self._bytes = 0

    def added(self, sink: ApolloSink, length: int) -> None:
        """Starts the flush of a sink that has got a record, if it is full, and of others if due.

        Args:
            length: Bytes of the record's line.

        Raises:
            ApolloError, RunError: Their records can't be written.
        """
        if sink.is_full:
            sink.flush_ahead()
        self._bytes += length
        if self._bytes < _LOOK_EVERY:
            return
        self._bytes = 0
        while len(self._sinks) > 1:
            *others, largest = sorted(self._sinks.values(), key=lambda one: one.waiting_bytes)
            if sum(one.waiting_bytes for one in others) <= _MOST_WAITING_BYTES:
                return
            # Large flushes take the fewest requests for each record.
            largest.flush_ahead()
