"""What all sinks have in common: records wait until a flush, and each gets exactly one outcome.

A sink collects the records of one stream, reads them into rows and hands the rows to what writes
them: `record_sinks` to a `StreamSync`, `object_sinks` to an `ObjectSync`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from singer_sdk.exceptions import MissingKeyPropertiesError
from singer_sdk.sinks import BatchSink

from target_apollo.config.settings import ObjectStreamSettings, StreamSettings
from target_apollo.ledger import source_key
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Row
from target_apollo.model.texts.characters import is_blank
from target_apollo.model.texts.spelling import spelled_as
from target_apollo.sync.batch import Batch, RecordCache, flush_size
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.records.stream_columns import ABOUT_RECORDS
from target_apollo.sync.source_record import SourceRecord
from target_apollo.system import logs
from target_apollo.target.odd_lines import LONGEST_LINE
from target_apollo.target.schema_rules import compiled, refusal_of

if TYPE_CHECKING:
    from target_apollo.target.target import TargetApollo

#: Most bytes of lines whose records wait in all sinks but the largest. In memory they take some
#: eight times as much.
_MOST_WAITING_BYTES = 5 << 19
#: All sinks are looked at after this many bytes.
_LOOK_EVERY = 1 << 16


class PropertyReader(Protocol):
    """What a sink asks its parser of rows about the properties of the stream."""

    def is_mapped(self, name: str) -> bool:
        """Whether a property is written."""

    def try_value(self, name: str, value: object) -> None:
        """Reads a value of a property; raises RecordError if no row with it can be written."""


class StreamSink(BatchSink, abc.ABC):
    """Collects the records of one stream.

    Args:
        own: The settings of the stream.
    """

    def __init__(
        self,
        target: TargetApollo,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        own: StreamSettings | ObjectStreamSettings,
    ) -> None:
        # The SDK logs records and schemas with a logger of the sink.
        logs.quieten(target.logger.getChild(stream_name))
        super().__init__(target, stream_name, schema, key_properties)
        #: Checks records in compiled code; None where `validate_records` is false. The SDK's own
        #: validator does the same checks and takes four fifths of a target's time.
        self._compiled = compiled(self.schema) if self.validate_schema else None
        self._key_names = tuple(key_properties or ())
        self._properties = tuple(schema.get("properties", {}))
        #: The key in the settings; None: that of the SCHEMA message.
        self._own_key = own.key
        #: The mode in which the stream is written.
        self.mode = own.mode
        self._target = target
        self._run = target.run
        self._flush_size = flush_size(
            self._run.settings.batch_size, self._run.settings.parallel_requests
        )
        #: Number of the oldest record that waits for a flush; a later STATE must wait for it.
        self.oldest_pending: int | None = None
        #: Keys of the rows of this run, needed where rows may turn out to be missing.
        self._seen = SeenKeys()
        #: Records of the next flush, before stream maps; `_mapped` has the same after stream maps.
        self._waiting: list[SourceRecord] = []
        self._mapped: list[dict[str, Any]] = []
        #: Records of the next flush that can't be used.
        self._rejected: list[tuple[SourceRecord, Rejection]] = []
        #: Bytes of these records' lines in the input.
        self._waiting_bytes = 0

    # --- what a kind of sink adds

    @property
    @abc.abstractmethod
    def rank(self) -> int:
        """Place among the sinks: those of a lower rank are written before, as rows name theirs."""

    @property
    @abc.abstractmethod
    def waits_for_whole_table(self) -> bool:
        """Whether something follows from rows that are missing in a whole table."""

    @property
    @abc.abstractmethod
    def _parser(self) -> PropertyReader:
        """The parser for the records of the stream."""

    @property
    @abc.abstractmethod
    def object_name(self) -> str:
        """What the stream holds, as the setting `streams` calls it."""

    @property
    @abc.abstractmethod
    def places(self) -> Mapping[str, str]:
        """Column -> the field, or the label of the custom field, that it is written to.

        Raises:
            RunError, ApolloError: As `checks`.
        """

    @abc.abstractmethod
    def checks(self) -> Sequence[Callable[[], None]]:
        """What is checked before the first row is read, in this order.

        A run ends with the first that raises. `apollo-sync check` calls the others too.
        """

    @abc.abstractmethod
    def try_record(self, record: dict[str, Any]) -> None:
        """Reads a record and looks up the names in it, as far as that takes no request for it.

        Raises:
            RecordError: It can't be written.
            RunError, ApolloError: The run can't go on.
        """

    @abc.abstractmethod
    def _prepare(self, sources: Sequence[SourceRecord], records: Sequence[dict[str, Any]]) -> None:
        """Checks settings and columns before the rows of a flush are read."""

    @abc.abstractmethod
    def _record_cache(self) -> RecordCache | None:
        """The Apollo records of a flush's rows; None where none are looked at."""

    @abc.abstractmethod
    def _read(self, batch: Batch, source: SourceRecord, record: dict[str, Any]) -> Row | None:
        """The row of a record; None if the record has got its outcome without a row."""

    @abc.abstractmethod
    def _write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Writes the rows of a flush."""

    def _note_rows(self, rows: Sequence[Row]) -> None:
        """Notes the rows of a flush for the end of the run."""

    # --- the columns

    @cached_property
    def key_columns(self) -> tuple[str, ...]:
        """The properties that identify a row: those of the setting, or of the SCHEMA message."""
        if self._own_key is None:
            return self._key_names
        return tuple(spelled_as(name, self._properties) for name in self._own_key)

    @cached_property
    def _time_column(self) -> str:
        """The property with the time of a row's last change, which may be none of the stream's."""
        return spelled_as(self._run.settings.updated_at_field, self._properties)

    @property
    def _passive(self) -> frozenset[str]:
        """The properties that need no field."""
        bookmarks = self._target.bookmark_properties(self.stream_name)
        return frozenset((*self.key_columns, *bookmarks, self._time_column))

    def _unmapped(self) -> list[str]:
        """The properties that are written nowhere and should be."""
        passive = self._passive
        return [
            name
            for name in self._properties
            if name not in passive
            and not self._parser.is_mapped(name)
            and not name.startswith(ABOUT_RECORDS)
        ]

    def try_value(self, name: str, value: object) -> None:
        """Reads a value of a column that is written, as rows are read.

        Raises:
            RecordError: No row with it can be written.
        """
        self._parser.try_value(name, value)

    # --- the records of a flush

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
            try:
                self._compiled.validate(record)
            except ValueError as fault:
                raise refusal_of(fault, self.schema) from None
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
        self._prepare(sources, records)
        rejected: list[tuple[SourceRecord, Rejection]] = context["rejected"]
        batch = Batch(
            self.stream_name,
            [*sources, *(source for source, _ in rejected)] if rejected else sources,
            run.counts,
            run.rejects,
            self._record_cache(),
        )
        for source, why in rejected:
            key = [source.record.get(name) for name in self.key_columns]
            batch.finish_unread(source, Outcome.REJECTED, why, key)
        read = map(partial(self._read, batch), sources, records)
        rows = [row for row in read if row is not None]
        self._note_rows(rows)
        run.pending_flush.finish()
        # From here on the batch tells which of its records have no outcome.
        self.oldest_pending = None
        run.pending_flush.start(self, batch, self._write(batch, rows))

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

    def follow(self, former: StreamSink) -> None:
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
        names = self.key_columns
        if not names or any(name in mapped or name not in record for name in names):
            self._seen.unsure = True
        else:
            self._note_seen(record, names)

    def mark_drained(self) -> None:
        """Lets STATE pass the records of the flush."""
        super().mark_drained()
        self.oldest_pending = None
        self._waiting_bytes = 0
        self._target.pass_state()


class WaitingRecords:
    """The records that wait in all sinks; starts flushes before they take too much memory.

    Args:
        sinks: All sinks, by the name of their stream; more may be added later.
    """

    def __init__(self, sinks: Mapping[str, StreamSink]) -> None:
        self._sinks = sinks
        #: Bytes since all sinks were looked at.
        self._bytes = 0

    def added(self, sink: StreamSink, length: int) -> None:
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
