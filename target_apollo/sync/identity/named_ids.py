"""Checks rows with an Apollo id for an address that belongs to another record.

The id decides which record is written. But if a second record has the row's address, the write
would make two records with one address, so the row is rejected, with the ids of both.
"""

from __future__ import annotations

from collections.abc import Sequence

from target_apollo.apollo import AnotherRecord, EndpointForbidden, RequestRefused
from target_apollo.model.match_keys import by_address
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.identity.changed_addresses import Decision
from target_apollo.sync.identity.finder import RecordFinder
from target_apollo.sync.identity.verdicts import (
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Verdict,
    conflict,
    verdict_of,
)
from target_apollo.sync.links.addresses import first_hashes, keeps_address
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.refusals import consequence_of

#: Most addresses of a batch that are searched. A table with ids that is synced for the first time
#: has more: its rows are written without a search, a hundred per request.
_MOST_SEARCHES = 20


class NamedIdCheck:
    """Decides for the rows of one stream; used by one thread, one batch at a time."""

    def __init__(self, stream: RecordStream, finder: RecordFinder) -> None:
        self._client = stream.run.client
        self._object_type = stream.object_type
        self._mode = stream.mode
        self._links = stream.links
        self._finder = finder

    def decide(self, batch: Batch, rows: Sequence[Row]) -> Decision:
        """Rejects rows with the id of one record and the address of another.

        Addresses that the ledger does not know are searched in Apollo, if they are few.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        suspects = {row.number: row for row in rows if self._is_open(batch, row)}
        if self._mode is Mode.INSERT or not suspects:
            return Decision(list(rows))
        held = self._held_by_ledger(batch, list(suspects.values()))
        to_find = [
            asked
            for row in suspects.values()
            if row.number not in held and (asked := by_address(self._object_type, row)) is not None
        ]
        decision = Decision()
        undecided: set[int] = set()
        if len(to_find) <= _MOST_SEARCHES:
            found = self._finder.find(to_find)
            decision.failure = found.failure
            if found.failure is not None:
                undecided = {row.number for row in to_find} - found.ids.keys()
            held.update(found.ids)
        for row in rows:
            if row.number in undecided:
                continue
            ids = held.get(row.number, ())
            if row.number not in suspects or not self._is_rejected(batch, row, ids):
                decision.rows.append(row)
        return decision

    def _is_open(self, batch: Batch, row: Row) -> bool:
        """Whether a row has an id, and the ledger has no such address for that record."""
        history = batch.history_of(row)
        if row.deleted or not row.match_key or not row.apollo_id:
            return False
        if history.link is None:
            return True
        is_same = history.link.match_hash in first_hashes(row)
        return history.names_record and not (history.link.apollo_id == row.apollo_id and is_same)

    def _held_by_ledger(self, batch: Batch, rows: Sequence[Row]) -> dict[int, tuple[str, ...]]:
        """Row number -> ids of other records that were last given the row's address."""
        if self._links is None or not rows:
            return {}
        in_batch = self._links.rows_of(batch.rows_by_key)
        links = self._links.of_addresses(one for row in rows for one in first_hashes(row))
        found: dict[int, tuple[str, ...]] = {}
        for row in rows:
            ids = {
                link.apollo_id
                for one in first_hashes(row)
                for link in links.get(one, ())
                if link.apollo_id and (link.row not in in_batch or keeps_address(link, in_batch))
            }
            if ids:
                found[row.number] = tuple(sorted(ids))
        return found

    def _is_gone(self, apollo_id: str) -> bool:
        try:
            self._client.read(self._object_type.endpoints, apollo_id)
        except RequestRefused as refusal:
            return consequence_of(refusal, apollo_id).record_is_gone
        except (EndpointForbidden, AnotherRecord):
            return False
        return False

    def _is_rejected(self, batch: Batch, row: Row, ids: Sequence[str]) -> bool:
        others = [one for one in ids if one != row.apollo_id]
        if row.apollo_id in ids:
            holder = Holder.LINKED
        elif not others:
            holder = Holder.NOBODY
        else:
            holder = Holder.FREE if len(others) == 1 else Holder.SEVERAL
        evidence = Evidence(LinkedRecord.MATCHED, Address.OTHER, holder)
        if verdict_of(evidence) is Verdict.SAME or self._is_gone(row.apollo_id or ""):
            # The update will fail since the record is gone; the row is then matched by its address.
            return False
        why = conflict(self._object_type, evidence, row.apollo_id, others)
        batch.finish(row, Outcome.REJECTED, rejection=why)
        return True
