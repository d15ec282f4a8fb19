"""Looks for the records of rows without a link, if bulk_create would not find them.

With ``run_dedupe`` Apollo recognises records by e-mail or domain, by CRM ids and by name, but not
by a profile or a custom field; and mode update sends nothing to bulk_create. So such keys are
looked up in the ledger, then in Apollo, before a record is created that may already exist.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace as with_values

from target_apollo.ledger import LinkStatus, match_hash
from target_apollo.model.match_keys import (
    called,
    is_address,
    keys,
    kind_of,
)
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.creates.match import Match, RowMatch
from target_apollo.sync.identity.changed_addresses import Decision
from target_apollo.sync.identity.finder import FoundRecords, RecordFinder
from target_apollo.sync.identity.match_check import MatchCheck
from target_apollo.sync.identity.verdicts import (
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Verdict,
    conflict,
    verdict_of,
)
from target_apollo.sync.records.record_stream import RecordStream

#: The rejection in mode update if the Apollo id of a row can't be found.
UPDATE_NEEDS_ID = Rejection(
    Reason.UPDATE_NEEDS_ID,
    "update needs the Apollo id: give the stream a property 'apollo_id', make its single key "
    "property the Apollo id (24 hex digits), fill in a key that 'match_on' names, or write the row "
    "in mode upsert first, which notes its id in the ledger",
)


class RecordRecognition:
    """Looks for the records of rows of one stream; used by one thread, one batch at a time.

    Args:
        hidden_kinds: Kinds of the rows' keys by which bulk_create finds no record.
    """

    def __init__(
        self,
        stream: RecordStream,
        check: MatchCheck,
        finder: RecordFinder,
        hidden_kinds: frozenset[str],
    ) -> None:
        self._run = stream.run
        self._object_type = stream.object_type
        self._stream = stream
        self._mode = stream.mode
        self._links = stream.links
        self._check = check
        self._finder = finder
        self._hidden_kinds = hidden_kinds

    def recognise(self, batch: Batch, rows: Sequence[Row]) -> Decision:
        """The rows that are to be written, with the ids of their records; others are finished.

        Args:
            rows: The rows of the batch without an outcome.

        Raises:
            LedgerError: The ledger can't be read.
        """
        wanted = {row.number: asked for row in rows if (asked := self._asked_for(batch, row))}
        if not wanted:
            return Decision([row for row in rows if self._may_be_written(batch, row)])
        found = self._known(batch, list(wanted.values()))
        unknown = [row for number, row in wanted.items() if number not in found.ids]
        found.add(self._finder.find(unknown))
        self._leave_out(found, self._readdressed(batch, rows))
        return self._decide(batch, rows, wanted, found)

    def _readdressed(self, batch: Batch, rows: Sequence[Row]) -> set[str]:
        """Ids of records to which rows of the batch give another address."""
        return {
            row.apollo_id
            for row in rows
            if row.apollo_id
            and (history := batch.history_of(row)).has_other_address
            and not history.keeps_match
        }

    def _leave_out(self, found: FoundRecords, leaving: set[str]) -> None:
        """Leaves out records that this batch takes the address from by which they were found."""
        for number, key in found.keys.items():
            left = tuple(one for one in found.ids[number] if one not in leaving)
            if is_address(key) and left != found.ids[number]:
                found.ids[number] = left
                found.records.pop(number, None)
                found.whole.discard(number)

    def _asked_for(self, batch: Batch, row: Row) -> Row | None:
        """The row with only those keys that are to be looked up; None if it has none of them."""
        if row.apollo_id or row.deleted or row.number in batch.recovered or not row.match_key:
            return None
        if self._mode is Mode.UPDATE:
            return row
        hidden = tuple(
            key for key in keys(row) if kind_of(self._object_type, key) in self._hidden_kinds
        )
        return with_values(row, match_key=hidden[0], more_keys=hidden[1:]) if hidden else None

    def _may_be_written(self, batch: Batch, row: Row) -> bool:
        """Rejects a row of mode update without any key."""
        if self._mode is not Mode.UPDATE or row.apollo_id or row.deleted:
            return True
        batch.finish(row, Outcome.REJECTED, rejection=UPDATE_NEEDS_ID)
        return False

    def _known(self, batch: Batch, rows: Sequence[Row]) -> FoundRecords:
        """The records of the rows' keys in the ledger, for rows with exactly one record."""
        found = FoundRecords()
        if self._links is None:
            return found
        held = self._links.of_addresses(match_hash(key) for row in rows for key in keys(row))
        for row in rows:
            for key in keys(row):
                links = [
                    link
                    for link in held.get(match_hash(key), ())
                    if link.apollo_id and link.status is not LinkStatus.GONE
                ]
                ids = {link.apollo_id for link in links}
                if len(ids) == 1:
                    found.take(row, key, [{"id": ids.pop()}])
                    payload_hash = batch.history_of(row).payload_hash
                    if payload_hash and any(link.holds(payload_hash) for link in links):
                        found.whole.add(row.number)
                if links:
                    break
        return found

    # --- what follows for the rows

    def _decide(
        self, batch: Batch, rows: Sequence[Row], wanted: dict[int, Row], found: FoundRecords
    ) -> Decision:
        decision = Decision(failure=found.failure)
        records = {number: self._record(found, number) for number in wanted}
        matches = [
            RowMatch(row, Match.EXISTING, self._shown(record, found.keys.get(row.number)))
            for row in rows
            # Mode insert does not write to existing records, so names need no comparison.
            if (record := records.get(row.number)) is not None and self._mode is not Mode.INSERT
        ]
        checked = self._check.check(batch, matches)
        decision.failure = decision.failure or checked.failure
        for row in rows:
            number = row.number
            if number not in wanted:
                if self._may_be_written(batch, row):
                    decision.rows.append(row)
            elif number in checked.conflicts:
                batch.finish(row, Outcome.REJECTED, rejection=checked.conflicts[number])
                self._stream.count_verdict(Verdict.HELD_BY_ANOTHER, row)
            elif number in checked.unchecked or self._is_open(found, number):
                # The failure came first: the row has no outcome.
                continue
            elif (why := self._why_not(row, wanted[number], found)) is not None:
                batch.finish(row, Outcome.REJECTED, rejection=why)
            elif number in found.whole and not self._run.settings.full_resync:
                # Another key has written the same values: the row's key has changed, or two rows
                # share the record.
                unchanged = self._mode is not Mode.INSERT
                outcome = Outcome.UNCHANGED if unchanged else Outcome.EXISTING
                batch.finish(row, outcome, found.ids[number][0])
            else:
                decision.rows.append(self._linked(batch, row, records[number]))
        return decision

    def _shown(self, record: Json, key: str | None) -> Json:
        """A record with the address by which it was found, which the ledger does not show."""
        return {**record, self._object_type.match_field: key} if key and is_address(key) else record

    def _record(self, found: FoundRecords, number: int) -> Json | None:
        ids = found.ids.get(number, ())
        return found.records.get(number, {"id": ids[0]}) if len(ids) == 1 else None

    def _is_open(self, found: FoundRecords, number: int) -> bool:
        return number not in found.ids and found.forbidden is None

    def _why_not(self, row: Row, asked: Row, found: FoundRecords) -> Rejection | None:
        """Why a row is rejected; None where it has a record, or may be created."""
        number, object_type = row.number, self._object_type
        noun, keys_named = object_type.singular, _named(object_type, asked)
        if number not in found.ids:
            return self._unknown(
                f"the {noun} with its {keys_named} can't be looked for: {found.forbidden}"
            )
        ids = found.ids[number]
        holder = Holder.NOBODY if not ids else Holder.FREE if len(ids) == 1 else Holder.SEVERAL
        evidence = Evidence(LinkedRecord.NONE, Address.UNKNOWN, holder)
        verdict = verdict_of(evidence)
        if verdict is Verdict.AMBIGUOUS:
            self._stream.count_verdict(verdict, row)
            return conflict(object_type, evidence, None, ids, found.keys.get(number))
        if verdict is not Verdict.NEW:
            return None
        if number in found.unsearchable:
            return self._unknown(
                f"Apollo has no search for a {noun} by its {keys_named} alone: give the row a name"
            )
        if self._mode is Mode.UPDATE:
            return Rejection(
                Reason.UPDATE_NEEDS_ID,
                f"update needs the Apollo id: no {noun} in Apollo has its {keys_named}, and this "
                "mode creates none",
            )
        return None

    def _unknown(self, why: str) -> Rejection:
        reason = Reason.UPDATE_NEEDS_ID if self._mode is Mode.UPDATE else Reason.IDENTITY_CONFLICT
        return Rejection(reason, why, attempts=1)

    def _linked(self, batch: Batch, row: Row, record: Json | None) -> Row:
        if record is None:
            return row
        if self._mode is Mode.INSERT:
            batch.found[row.number] = record
            return row
        if len(record) > 1:
            batch.cache.remember_read(record)
        return with_values(row, apollo_id=str(record["id"]))


def _named(object_type: ObjectType, row: Row) -> str:
    """The kinds of a row's keys, for a sentence: "e-mail address or linkedin_url"."""
    found = [called(object_type, key) for key in keys(row) if not is_address(key)]
    has_address = any(map(is_address, keys(row)))
    return " or ".join(dict.fromkeys([*([called(object_type, None)] * has_address), *found]))
