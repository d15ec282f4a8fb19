"""Rows that were deleted at their source: which record each has, and where that is moved.

Their records go to a stage or list (the setting `on_delete`). What stage a record had is noted
before it is moved, so that it can be given back if its row returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec.structs import replace as with_values

from target_apollo.ledger import DELETED
from target_apollo.model.match_keys import is_address
from target_apollo.model.objects.registry import Json
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.deletions.marks import HELD, DeletionMark, digits_of
from target_apollo.sync.reading.by_ids import read_records
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.team.directory import find_record
from target_apollo.sync.updates.comparison import MatchedRecord
from target_apollo.sync.updates.update_plan import PlannedUpdate


class DeletedRows:
    """The deleted rows of one stream."""

    def __init__(self, stream: RecordStream) -> None:
        self._stream = stream
        self._run = stream.run

    def match(self, batch: Batch, rows: Sequence[Row]) -> dict[int, MatchedRecord]:
        """Row number -> record that is to be moved; rows without one are finished.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        records = self._read([row for row in rows if row.apollo_id])
        moved: dict[int, MatchedRecord] = {}
        for row in rows:
            found = self._record_of(batch, row, records)
            if found is None:
                batch.finish(row, Outcome.SKIPPED)
            else:
                self._note_move(batch, found)
                moved[row.number] = found
        return moved

    def note_moving(self, batch: Batch, updates: Sequence[PlannedUpdate]) -> None:
        """Notes in the ledger from which stage records are about to be moved.

        Args:
            updates: Those of the wave, also of rows that are not deleted.
        """
        links = self._stream.links
        moving = [
            (history, update.apollo_id, replace(mark, is_open=True).text)
            for update in updates
            if update.row.deleted and update.changes
            if (mark := DeletionMark.of((history := batch.history_of(update.row)).payload_hash))
        ]
        if moving and links is not None:
            links.note_moving(moving)

    def _read(self, rows: Sequence[Row]) -> Mapping[str, Json]:
        """Apollo id -> record of rows that are moved to a stage, as far as it can be read.

        Their present stage is noted, so that it can be given back if a row returns.
        """
        if self._stream.mode is Mode.INSERT or not rows:
            return {}
        ids = [row.apollo_id for row in rows if row.apollo_id and row.values]
        records = read_records(self._run, self._stream.object_type, ids).found
        stages = self._stream.stages
        stages.note(records)
        stages.look_up((row, row.apollo_id or "", records.get(row.apollo_id or "")) for row in rows)
        return records

    def _record_of(
        self, batch: Batch, row: Row, records: Mapping[str, Json]
    ) -> MatchedRecord | None:
        """The record of a row; None if there is none, or if it is not to be moved."""
        mode = self._stream.mode
        if mode is Mode.INSERT:
            return None
        if row.apollo_id:
            return MatchedRecord(row, row.apollo_id, records.get(row.apollo_id))
        recovered = batch.recovered.get(row.number)
        if recovered is not None:
            return MatchedRecord.of(row, recovered)
        if batch.cache.find(row.match_key) is not None:
            # Another row of the batch has the record.
            return None
        if not row.match_key or not is_address(row.match_key) or mode is not Mode.UPSERT:
            # A deleted row has no other values, so it can be found only by its address.
            return None
        record = find_record(self._run.client, self._stream.object_type, row.match_key)
        if record is None:
            return None
        if self._stream.own_records.is_of_another_row(record, batch.history_of(row)):
            return None
        return MatchedRecord.of(row, record)

    def _note_move(self, batch: Batch, moved: MatchedRecord) -> None:
        """Sets what the ledger notes of a row: where its record goes, and from where."""
        history = batch.history_of(moved.row)
        if history.payload_hash is None:
            return
        stages = self._stream.stages
        is_to_stage = bool(moved.row.values)
        stage = (moved.answer or {}).get(stages.field) if is_to_stage else None
        link = history.link
        former = DeletionMark.of(link.payload_hash if link is not None else None) or HELD
        place = history.payload_hash.removeprefix(DELETED)
        stages.look_up([(moved.row, moved.apollo_id, moved.answer)])
        if stages.keeps(moved.row, moved.apollo_id, moved.answer):
            mark = former.left_at(place, digits_of(self._run.settings.protected_stages))
        elif stage == place:
            mark = former.left_at(place)
        else:
            mark = former.moved_to(place, str(stage) if stage else None)
        batch.replace_history(moved.row, with_values(history, payload_hash=mark.text))
