"""The sinks of contacts and accounts, which hand their rows to a `StreamSync`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from target_apollo.ledger import match_hash
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Outcome, RecordError
from target_apollo.model.policies import Policies
from target_apollo.model.row_parser import RowParser
from target_apollo.model.rows import Mode, Row
from target_apollo.model.texts.spelling import value_of
from target_apollo.sync.adopt.stream import StreamAdoption
from target_apollo.sync.batch import Batch, RecordCache
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.missing_rows import DeletionTarget, WholeTable
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.records.stream_columns import (
    MatchColumns,
    check_columns,
    entries_beside_fields,
    not_written_because,
)
from target_apollo.sync.records.stream_settings import updated_at_field
from target_apollo.sync.records.stream_sync import StreamSync
from target_apollo.sync.source_record import SourceRecord
from target_apollo.sync.team.names import resolved
from target_apollo.target.sinks import StreamSink

if TYPE_CHECKING:
    from target_apollo.target.target import TargetApollo


class RecordSink(StreamSink):
    """Writes one stream as contacts or accounts."""

    object_type: ClassVar[ObjectType]

    def __init__(
        self,
        target: TargetApollo,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        self._own = target.run.settings.of_stream(stream_name)
        super().__init__(target, stream_name, schema, key_properties, self._own)
        self._stream = RecordStream(
            self._run, self.object_type, stream_name, self._own, schema.get("properties", {})
        )
        adoption = self._run.adoption
        self._writer: StreamSync | StreamAdoption = (
            StreamSync(self._stream) if adoption is None else StreamAdoption(self._stream, adoption)
        )
        self._match_columns = MatchColumns(
            stream_name,
            self.object_type,
            self._own,
            self._run.settings.custom_fields,
            self._properties,
        )
        #: Whether the SCHEMA has a column to match on; if not, the first records may have one.
        self._has_match_column = self._match_columns.are_in(schema)
        self._has_looked = self._has_match_column
        self._moves_deleted = bool(self._run.settings.on_delete)
        #: Who owns which field, after `_check_policies`.
        self._policies = Policies()
        #: Key and bookmark properties at the last check for unknown fields; None before it.
        self._checked_beside: frozenset[str] | None = None

    @property
    def rank(self) -> int:
        """Accounts before the contacts that name them."""
        return 1 if self.object_type is CONTACT else 0

    @property
    def waits_for_whole_table(self) -> bool:
        """Whether the records of missing rows are moved."""
        return self._moves_deleted

    @cached_property
    def _parser(self) -> RowParser:
        """The parser for the records of the stream.

        It follows `match_on` and `field_policy` after `_check_keys` and `_check_policies`.
        """
        return RowParser(
            object_type=self.object_type,
            mode=self._own.mode,
            key_properties=self.key_columns,
            properties=frozenset(self._properties),
            custom_fields=self._run.directory,
            null_policy=self._run.settings.null_policy,
            null_policies=self._run.settings.null_policy_per_field,
            kept_out=lambda name: self._policies.keeps_out(name),
            updated_at_field=updated_at_field(self._run.settings, self._properties),
            lists=self._run.settings.lists,
            drops=self._run.settings.drops,
            dropped=self._run.counts.unresolved[self.stream_name],
            links_by_email=self._run.settings.link_by_email_domain,
            allowed_domains=self._run.settings.allow_domains,
            mapped=frozenset(
                name
                for name in self._properties
                if value_of(self._run.settings.custom_fields, name) is not None
            ),
        )

    def _prepare(self, sources: Sequence[SourceRecord], records: Sequence[dict[str, Any]]) -> None:
        self._check_fields()
        if not self._has_looked and sources:
            self._look_for_match_columns(sources, records)

    def _record_cache(self) -> RecordCache:
        return RecordCache(self.object_type, self._run.companies)

    def _write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        return self._writer.write(batch, rows)

    def _note_rows(self, rows: Sequence[Row]) -> None:
        if self._parser.emails_left_out:
            self._run.notices.addresses_left_out(self.stream_name)
        self._run.audit.note(self.stream_name, self.object_type, rows)

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
        run, parser = self._run, self._parser
        changed_at = parser.updated_at_field
        if self._moves_deleted:
            self._note_seen(record, parser.key_properties)
        try:
            if not source.deleted:
                row = parser.read(source.number, record)
                if changed_at is not None and row.changed_at is None and record.get(changed_at):
                    run.notices.no_time(self.stream_name, changed_at)
                return row
            if self._moves_deleted:
                moved_to = self._deletion_target
                return parser.read_deleted(source.number, record, moved_to.values, moved_to.lists)
        except RecordError as problem:
            if self._moves_deleted:
                self._note_unwritten(record)
            key = [record.get(name) for name in parser.key_properties]
            batch.finish_unread(source, Outcome.REJECTED, problem.rejection, key)
            return None
        batch.finish_unread(source, Outcome.SKIPPED)
        run.notices.deletions_ignored(self.stream_name)
        return None

    def _note_unwritten(self, record: dict[str, Any]) -> None:
        """Notes the address of a rejected record: the person or company is still in the table."""
        place = self.object_type.fields[self.object_type.match_field]
        column = self._parser.columns.column_of(place.name) or place.name
        with suppress(RecordError):
            address = place.normalise(place.name, record.get(column))
            if address:
                self._run.unwritten_addresses.add(match_hash(address))

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
        links = self._stream.links
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

    def _check_fields(self) -> None:
        """Checks the schema's properties and the policies against Apollo's fields, before a write.

        A property that a record has and its schema does not is found and left out later.

        Raises:
            RunError: A property has no field and `unknown_fields` is ``fail``, or a policy is for a
                field that does not exist.
            ApolloError: Apollo did not tell its custom fields.
        """
        passive = self._passive
        if passive == self._checked_beside:
            return
        for check in self.checks():
            check()
        self._checked_beside = passive

    def checks(self) -> Sequence[Callable[[], None]]:
        """Keys and policies, then columns that have one field, or none."""
        return (
            self._check_keys,
            self._check_policies,
            self._check_columns,
            self._check_match,
            self._note_columns,
        )

    def _check_keys(self) -> None:
        self._parser.recognise_by(self._stream.match_on)

    def _check_policies(self) -> None:
        self._policies = self._stream.policies

    def _check_columns(self) -> None:
        check_columns(self.stream_name, self._parser.columns)

    def _check_match(self) -> None:
        if self._has_match_column and self._own.mode is not Mode.UPDATE:
            self._match_columns.check(self._stream.match_on, self._parser.columns)

    def _note_columns(self) -> None:
        run, columns = self._run, self._parser.columns
        run.notices.custom_fields_without_effect(
            [
                *run.directory.entries_without_label(),
                *entries_beside_fields(self.stream_name, self._parser.mapped, columns),
            ]
        )
        unknown = {
            name: not_written_because(name, self.object_type, columns, run.directory)
            for name in self._unmapped()
        }
        run.notices.unknown_fields(self.stream_name, self.object_type.kind.value, unknown)

    # --- what `apollo-sync check` asks

    @property
    def object_name(self) -> str:
        """``contacts`` or ``accounts``."""
        return self.object_type.kind.value

    @property
    def match_on(self) -> tuple[str, ...]:
        """The kinds of keys by which rows are recognised; custom fields by their label."""
        return self._own.match_on

    @property
    def places(self) -> Mapping[str, str]:
        """Column -> the field, or the label of the custom field, that it is written to."""
        columns, labels = self._parser.columns, self._run.directory.custom_labels()
        custom = {name: labels[field_id] for name, field_id in columns.custom.items()}
        return {**columns.fields, **custom}

    def check_records(self, names: Collection[str]) -> None:
        """Looks for a column to match on among the properties of the first records.

        Raises:
            RunError: Neither they nor the SCHEMA have one.
        """
        if not self._has_match_column:
            self._match_columns.look_for(names)

    def try_record(self, record: dict[str, Any]) -> None:
        """Reads a record, and looks up owner and stage; of accounts it checks the domain alone."""
        row = self._parser.read(0, record)
        run = self._run
        found = resolved(run, row, run.directory.resolve_listed, run.settings.drops)
        run.counts.unresolved[self.stream_name].update(
            row.names[name][0] for name in found.waits_for
        )


class ContactsSink(RecordSink):
    """Writes a stream as contacts."""

    object_type = CONTACT


class AccountsSink(RecordSink):
    """Writes a stream as accounts."""

    object_type = ACCOUNT
