"""Matches rows again after their record is gone from Apollo: deleted, merged, or never there.

Apollo says so in its answer to a read or write of the record. The row is then matched again, by its
keys alone: the record that has them now is the row's. If there is none, `on_apollo_delete` says
whether the row is skipped or created again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, RequestRefused
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, OnApolloDelete, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.identity.finder import FoundRecords, RecordFinder
from target_apollo.sync.identity.verdicts import (
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Verdict,
    conflict,
    verdict_of,
)
from target_apollo.sync.links.addresses import first_hashes
from target_apollo.sync.links.recall import RowHistory, hash_of_merged
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.refusals import rejection


@dataclass(frozen=True)
class GoneRecord:
    """A row and the answer that says that its record, `row.apollo_id`, is gone."""

    row: Row
    refusal: RequestRefused


class DeadLinks:
    """Matches rows of one stream again after their record is gone; for one thread."""

    def __init__(self, stream: RecordStream, finder: RecordFinder) -> None:
        self._run = stream.run
        self._object_type = stream.object_type
        self._stream = stream
        self._mode = stream.mode
        self._links = stream.links
        self._finder = finder
        #: Ids of records that are gone. A search may still show them.
        self._dead: set[str] = set()

    def rematch(
        self, batch: Batch, gone: Sequence[GoneRecord]
    ) -> tuple[list[Row], ApolloError | None]:
        """Finishes rows that are not written; returns the others, and a failure that ends the run.

        Raises:
            LedgerError: The ledger can't be read or written.
        """
        self._dead.update(one.row.apollo_id or "" for one in gone)
        recreates = self._run.settings.on_apollo_delete is OnApolloDelete.RECREATE
        if recreates and self._mode is Mode.UPSERT:
            # No search is needed: bulk_create finds the record with the address, or creates one.
            by_create = [one for one in gone if one.row.match_key]
            rows = [self._as_new(batch, one.row, Verdict.GONE) for one in by_create]
            gone = [one for one in gone if not one.row.match_key]
        else:
            rows = []
        found = self._finder.find([one.row for one in gone])
        for one in gone:
            if one.row.match_key and one.row.number not in found.ids and not found.forbidden:
                # The failure came first: the row has no outcome.
                continue
            row = self._settle(batch, one, found)
            if row is not None:
                rows.append(row)
        return rows, found.failure

    def _settle(self, batch: Batch, one: GoneRecord, found: FoundRecords) -> Row | None:
        row, dead_id = one.row, one.row.apollo_id or ""
        history = batch.history_of(row)
        ids = tuple(i for i in found.ids.get(row.number, ()) if i not in self._dead)
        address = Address.OTHER if history.has_other_address else Address.SAME
        evidence = Evidence(LinkedRecord.DEAD, address, self._holder(row, history, ids))
        verdict = verdict_of(evidence)
        if verdict is Verdict.MERGED:
            by_first_key = found.is_by_first_key(row)
            found_history = history_of_found(history, has_address=by_first_key)
            if self._is_named_by_row(history, dead_id) and history.payload_hash is not None:
                merged = hash_of_merged(history.payload_hash, dead_id)
                found_history = with_values(found_history, payload_hash=merged)
            batch.replace_history(row, found_history)
            self._stream.count_verdict(verdict, row)
            return with_values(row, apollo_id=ids[0])
        if verdict is Verdict.NEW and self._mode is Mode.UPSERT:
            return self._as_new(batch, row, verdict)
        if verdict not in (Verdict.GONE, Verdict.NEW):
            why = conflict(self._object_type, evidence, None, ids, found.keys.get(row.number))
        elif found.forbidden is not None or self._is_named_by_row(history, dead_id):
            # The record could not be searched, or the row itself has the id.
            why = rejection(self._object_type, dead_id, one.refusal)
        else:
            self._run.notices.record_gone(self._stream.name, self._object_type.singular)
            self._stream.count_verdict(Verdict.GONE, row)
            batch.finish(row, Outcome.SKIPPED, dead_id, record_is_gone=True)
            return None
        batch.finish(row, Outcome.REJECTED, rejection=why)
        if self._links is not None:
            self._links.forget(history.source_key)
        return None

    def _holder(self, row: Row, history: RowHistory, ids: Sequence[str]) -> Holder:
        """Which record has the row's address; one that only rows with this address have is free."""
        if not ids:
            return Holder.NOBODY
        if len(ids) > 1:
            return Holder.SEVERAL
        if self._links is None:
            return Holder.FREE
        owners = self._links.of_records(ids).get(ids[0], ())
        own_hashes = first_hashes(row)
        is_free = all(
            self._links.is_of(owner, history.source_key) or owner.match_hash in own_hashes
            for owner in owners
        )
        return Holder.FREE if is_free else Holder.TAKEN

    def _is_named_by_row(self, history: RowHistory, apollo_id: str) -> bool:
        """Whether the row itself has the id, and no earlier run has written it to that record."""
        link = history.link
        was_written = link is not None and link.apollo_id == apollo_id and link.first_synced_at
        return not was_written and (history.names_record or self._links is None)

    def _as_new(self, batch: Batch, row: Row, verdict: Verdict) -> Row:
        self._stream.count_verdict(verdict, row)
        return as_new(batch, self._links, row)


def history_of_found(history: RowHistory, *, has_address: bool = True) -> RowHistory:
    """The history of a row that has another record than its link says.

    Args:
        has_address: Whether the record was found by the first of the row's keys.
    """
    return with_values(fresh_history(history), keeps_match=has_address)


def fresh_history(history: RowHistory) -> RowHistory:
    """The history of a row without the link that it had."""
    return RowHistory(
        history.source_key,
        history.payload_hash,
        read_at=history.read_at,
        single_hashes=history.single_hashes,
    )


def as_new(batch: Batch, links: StreamLinks | None, row: Row) -> Row:
    """The row without its record and without its link, so that it is created.

    An intent keeps the id of a link: after a kill, the next run would write to that record.
    """
    history = batch.history_of(row)
    if links is not None:
        links.forget(history.source_key)
    batch.replace_history(row, fresh_history(history))
    return with_values(row, apollo_id=None)
