"""The sink of objects besides contacts and accounts, which hands its rows to an `ObjectSync`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_apollo.apollo import MAX_BULK
from target_apollo.model.objects.object_rows import ObjectRowParser
from target_apollo.model.outcomes import Outcome, RecordError
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.exit import RunError
from target_apollo.sync.links.recall import key_of
from target_apollo.sync.objects.registry import ObjectSyncs
from target_apollo.sync.records.stream_settings import updated_at_field
from target_apollo.sync.source_record import SourceRecord
from target_apollo.target.sinks import StreamSink

if TYPE_CHECKING:
    from target_apollo.config.settings import ObjectStreamSettings
    from target_apollo.target.target import TargetApollo


class ObjectSink(StreamSink):
    """Writes one stream as list members, or as another object.

    Args:
        own: The settings of the stream.
        syncs: What writes the streams of the run.
    """

    #: After contacts and accounts, which their rows name.
    rank = 2

    def __init__(
        self,
        target: TargetApollo,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        own: ObjectStreamSettings,
        syncs: ObjectSyncs,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties, own)
        self._own = own
        self._sync = syncs.of(stream_name, own)
        self._has_checked = False
        if self._sync.flush_size and self._run.settings.batch_size >= MAX_BULK:
            self._flush_size = self._sync.flush_size

    @cached_property
    def _parser(self) -> ObjectRowParser:
        settings, of = self._run.settings, self._own.stream_object
        if not of.fields:
            return ObjectRowParser(of, self.key_columns, self._properties)
        return ObjectRowParser(
            of,
            self.key_columns,
            self._properties,
            custom_field=lambda name: self._sync.custom_field(name),
            null_policy=settings.null_policy_of,
            kept_out=lambda name: self._sync.policies.keeps_out(name),
            drops=settings.drops,
            dropped=self._run.counts.unresolved[self.stream_name],
            updated_at_field=updated_at_field(settings, self._properties),
        )

    def _prepare(
        self,
        sources: Sequence[SourceRecord],  # noqa: ARG002 - the columns are those of the SCHEMA
        records: Sequence[dict[str, Any]],  # noqa: ARG002
    ) -> None:
        """Checks settings and columns before the first flush.

        Raises:
            RunError: The stream can't be written so.
            ApolloError: Apollo could not be asked.
        """
        if self._has_checked:
            return
        self._check_key()
        self._sync.check()
        self._note_columns()
        self._has_checked = True

    def checks(self) -> Sequence[Callable[[], None]]:
        """The key, the settings, then columns that have no place; the ledger is not opened."""
        return self._check_key, self._sync.check_settings, self._note_columns

    def _note_columns(self) -> None:
        unknown = dict.fromkeys(self._unmapped(), "")
        self._run.notices.unknown_fields(self.stream_name, self.object_name, unknown)

    # --- what `apollo-sync check` asks

    @property
    def object_name(self) -> str:
        """The object, such as ``deals``."""
        return self._own.stream_object.name

    @property
    def places(self) -> Mapping[str, str]:
        """Column -> the field, or the label of the custom field, that it is written to."""
        labels = self._run.directory.custom_labels() if self._parser.custom else {}
        custom = {name: labels[field_id] for name, (field_id, _) in self._parser.custom.items()}
        return {**self._parser.columns, **custom}

    def try_record(self, record: dict[str, Any]) -> None:
        """Reads a record; whom it names is not looked up."""
        self._parser.read(0, record)

    def _check_key(self) -> None:
        """Checks that something tells the rows from each other.

        Raises:
            RunError: Nothing does.
        """
        of = self._own.stream_object
        if self.key_columns or of.default_key:
            return
        raise RunError(
            f"Stream '{self.stream_name}' has no key (key_properties in its SCHEMA), and without "
            f"one nothing tells which {of.singular} is of which row: name the key as 'key' of the "
            "stream in the setting 'streams'.",
            exit_code=2,
        )

    def _record_cache(self) -> None:
        return None

    def _read(self, batch: Batch, source: SourceRecord, record: dict[str, Any]) -> Row | None:
        moves_missing = self._sync.moves_missing
        if moves_missing and self.key_columns:
            self._note_seen(record, self.key_columns)
        try:
            row = self._parser.read(source.number, record, deleted=source.deleted)
            if moves_missing and not self.key_columns:
                self._seen.add([key_of(row)])
            return row
        except RecordError as problem:
            self._sync.note_unread()
            # Without a key nothing tells which row this is.
            self._seen.unsure = self._seen.unsure or not self.key_columns
            key = [record.get(name) for name in self.key_columns]
            batch.finish_unread(source, Outcome.REJECTED, problem.rejection, key)
            return None

    def _write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        return self._sync.write(batch, rows)

    @property
    def waits_for_whole_table(self) -> bool:
        """Whether rows that are missing in a whole table change anything in Apollo."""
        return self._sync.moves_missing

    def write_missing(self) -> None:
        """Does what follows from rows that are missing, after the whole table was sent and written.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """
        if self._seen.unsure:
            self._run.notices.missing_rows_unknown(
                self.stream_name, has_ledger=self._sync.links is not None
            )
            return
        self._sync.write_missing(self._seen)
