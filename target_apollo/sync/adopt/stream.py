"""Links the rows of one stream to the records that Apollo has, batch by batch.

A row is linked with the hash of its values only where its record has them. Then its first run sends
nothing for it, as after a run that has written it. A row whose record differs gets a link without a
hash, and its first run writes it. A link that the ledger has already is never moved to another
record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import cast

from target_apollo.ledger import CONFIRMED, Link
from target_apollo.model.compare import CUSTOM_FIELDS
from target_apollo.model.match_keys import NAME, address_of, keys, kind_of
from target_apollo.model.objects.registry import ACCOUNT, Json
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import needs_the_record
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.adopt.adoption import Adoption, Fate, RecordIndex
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.creates.match import Match, RowMatch
from target_apollo.sync.exit import MISCONFIGURED, RunError
from target_apollo.sync.identity.finder import FoundRecords
from target_apollo.sync.identity.match_check import MatchCheck
from target_apollo.sync.links.not_given import of_existing, seen_in
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.records.duplicates import collapse
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.updates.changes import Changes
from target_apollo.sync.updates.comparison import MatchedRecord
from target_apollo.sync.updates.update_plan import PlannedUpdate

_OUTCOMES = {
    Fate.EQUAL: Outcome.UNCHANGED,
    Fate.KNOWN: Outcome.UNCHANGED,
    Fate.DIFFERENT: Outcome.EXISTING,
}


class _IndexSearch:
    """Finds records by keys among those that were read, where a run searches for each row."""

    def __init__(self, index: RecordIndex) -> None:
        self._index = index

    def find(self, rows: Sequence[Row]) -> FoundRecords:
        """The records that have the rows' match keys."""
        ids = {row.number: self._index.ids_of(row.match_key) for row in rows if row.match_key}
        return FoundRecords({number: tuple(found) for number, found in ids.items()})


class StreamAdoption:
    """Links the rows of one stream; used by one thread, one batch at a time."""

    def __init__(self, stream: RecordStream, adoption: Adoption) -> None:
        self._stream = stream
        self._adoption = adoption
        self._run = stream.run
        self._object_type = stream.object_type
        #: Apollo id -> source key of the row that this adoption has linked to it.
        self._taken: dict[str, str] = {}
        self._has_taught = False

    @cached_property
    def _links(self) -> StreamLinks:
        links = self._stream.links
        if links is None:
            raise RunError(
                "There is no ledger to fill: the setting ledger_url is empty.",
                exit_code=MISCONFIGURED,
            )
        return links

    @property
    def _index(self) -> RecordIndex:
        return self._adoption.index_of(self._object_type)

    def write(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Links the rows of a batch; each of its records has an outcome at the end. Never pauses.

        Raises:
            ApolloError, LedgerError, RunError: The adoption can't go on. What was linked stays.
        """
        yield from ()
        rows = collapse(self._object_type, rows, self._stream.match_on)
        batch.use_histories(self._links.reader.recall(rows, batch.formers))
        rejected = self._run.counts.total(Outcome.REJECTED)
        batch.reject_unread()
        rejected = self._run.counts.total(Outcome.REJECTED) - rejected
        self._adoption.fates[self._stream.name][Fate.REJECTED] += rejected
        left = [row for row in rows if not self._finish_known(batch, row)]
        matched = self._match(batch, left)
        self._link(batch, self._with_ids(batch, matched))
        self._links.commit()
        batch.note_saved()
        batch.check_complete()
        batch.count()

    def _finish(self, batch: Batch, row: Row, fate: Fate, apollo_id: str | None = None) -> None:
        history = batch.history_of(row)
        self._adoption.note(self._stream.name, fate, history.source_key)
        batch.finish(row, _OUTCOMES.get(fate, Outcome.SKIPPED), apollo_id)

    # --- which record a row has

    def _finish_known(self, batch: Batch, row: Row) -> bool:
        """Finishes a row whose link says all that is to be known, or must stay as it is."""
        history = batch.history_of(row)
        link = history.link
        may_be_linked = link is None or link.holds_nothing or _may_be_completed(link)
        if history.outcome is None and may_be_linked and not row.deleted:
            return False
        self._finish(batch, row, Fate.KNOWN, history.apollo_id)
        return True

    def _match(self, batch: Batch, rows: Iterable[Row]) -> list[MatchedRecord]:
        """The rows and their records; rows without a record of their own get their fate."""
        found = [(row, self._records_of(batch, row)) for row in rows]
        ids = [str(records[0]["id"]) for _, records in found if len(records) == 1]
        links = self._links.of_records(ids)
        doubtful = self._doubtful(batch, found)
        matched: list[MatchedRecord] = []
        for row, records in found:
            history = batch.history_of(row)
            if not records:
                is_linked = history.link is not None and history.link.apollo_id is not None
                self._finish(batch, row, Fate.KNOWN if is_linked else Fate.MISSING)
                continue
            apollo_id = str(records[0]["id"])
            is_ambiguous = len(records) > 1 or row.number in doubtful
            if is_ambiguous or self._has_another(links.get(apollo_id, ()), apollo_id, history):
                self._finish(batch, row, Fate.AMBIGUOUS)
                continue
            self._taken[apollo_id] = history.source_key
            matched.append(MatchedRecord(row, apollo_id, records[0]))
        return matched

    def _records_of(self, batch: Batch, row: Row) -> list[Json]:
        link = batch.history_of(row).link
        if link is not None and link.apollo_id:
            ids = [link.apollo_id]
        elif row.apollo_id:
            ids = [row.apollo_id]
        else:
            ids = self._ids_of(row)
        return [record for one in ids if (record := self._index.get(one)) is not None]

    def _ids_of(self, row: Row) -> list[str]:
        """The ids of the records that have one of the row's keys.

        A name alone tells less than the others, so it counts only where none of them is found.
        """
        address = address_of(self._object_type, row)
        named = dict.fromkeys([*keys(row), *([address] if address else [])])
        found = {key: self._index.ids_of(key) for key in named}
        names = {key for key in named if kind_of(self._object_type, key) == NAME}
        ids = dict.fromkeys(one for key in named if key not in names for one in found[key])
        return list(ids) or [one for key in names for one in found[key]]

    def _doubtful(self, batch: Batch, found: Sequence[tuple[Row, list[Json]]]) -> set[int]:
        """Numbers of rows whose record may be somebody else's, by the rules of every first run.

        A record that the ledger links to the row is the row's. Mode insert writes to no record.
        """
        if self._stream.mode is Mode.INSERT:
            return set()
        unlinked = [
            RowMatch(row, Match.EXISTING, records[0])
            for row, records in found
            if len(records) == 1
            and ((link := batch.history_of(row).link) is None or not link.apollo_id)
        ]
        check = MatchCheck(self._object_type, self._links, _IndexSearch(self._index))
        return set(check.check(batch, unlinked).conflicts)

    def _has_another(self, links: Iterable[Link], apollo_id: str, history: RowHistory) -> bool:
        """Whether another row of the stream has the record. Rows of other streams may share it."""
        key, source = history.source_key, self._run.settings.source
        return self._taken.get(apollo_id, key) != key or any(
            link.stream == self._stream.name
            and link.source == source
            and link.source_key != key
            and not link.is_deleted
            and not link.is_gone
            for link in links
        )

    # --- how the record differs

    def _with_ids(self, batch: Batch, matched: Sequence[MatchedRecord]) -> list[MatchedRecord]:
        """The rows with ids in place of names, without those that a run would reject for a name."""
        named = [one.row for one in matched if one.row.names]
        if named:
            self._teach_companies()
        resolved = (
            {row.number: row for row in self._stream.names.resolve(batch, named)} if named else {}
        )
        left: list[MatchedRecord] = []
        for one in matched:
            row = resolved.get(one.row.number) if one.row.names else one.row
            if row is not None:
                left.append(MatchedRecord(row, one.apollo_id, one.answer))
                continue
            # A row without an id has its outcome already: it is rejected, or its link holds it.
            link = batch.history_of(one.row).link
            fate = Fate.KNOWN if link is not None and link.holds_something else Fate.REJECTED
            self._adoption.note(self._stream.name, fate, batch.history_of(one.row).source_key)
            self._taken.pop(one.apollo_id, None)
        return left

    def _teach_companies(self) -> None:
        """Hands on the accounts that were read, once, so that no domain is looked up again.

        A domain of several accounts is left to the look-up, which knows what to do about it.
        """
        if self._has_taught:
            return
        self._has_taught = True
        several: dict[str, str] = {}
        for domain, apollo_id in self._adoption.index_of(ACCOUNT).domains():
            several[domain] = "" if domain in several else apollo_id
        for domain, apollo_id in several.items():
            if apollo_id:
                self._run.companies.learn(domain, apollo_id)

    def _link(self, batch: Batch, matched: Iterable[MatchedRecord]) -> None:
        compared: list[MatchedRecord] = []
        for one in matched:
            if self._stream.mode is Mode.INSERT:
                # Whatever its record has, no run of this mode changes it.
                self._add_existing(batch, one)
                self._finish(batch, one.row, Fate.EQUAL, one.apollo_id)
            elif needs_the_record(self._stream.policies, self._object_type, one.row, one.answer):
                # To read it alone would cost a request for each such row.
                self._add_existing(batch, one)
                self._finish(batch, one.row, Fate.DIFFERENT, one.apollo_id)
            else:
                compared.append(one)
        comparison = self._stream.comparer.compare(compared, batch.histories)
        if comparison.failure is not None:
            raise comparison.failure
        for update in comparison.updates:
            self._link_compared(batch, update)

    def _link_compared(self, batch: Batch, update: PlannedUpdate) -> None:
        row, history = update.row, batch.history_of(update.row)
        if update.changes:
            matched = MatchedRecord(row, update.apollo_id, update.answer)
            self._add_existing(batch, matched, None if update.keeps_values else update.changes)
            self._finish(batch, row, Fate.DIFFERENT, update.apollo_id)
            return
        if update.changes.unwritable:
            self._run.notices.unwritable(self._object_type.kind.value, update.changes.unwritable)
        is_given = update.outcome is Outcome.UPDATED
        self._links.add_outcome(
            row,
            history,
            Outcome.UNCHANGED if is_given else Outcome.SKIPPED,
            update.apollo_id,
            not_given=seen_in(self._object_type, row, update.not_given, update.answer),
        )
        self._finish(batch, row, Fate.EQUAL, update.apollo_id)

    def _add_existing(
        self, batch: Batch, matched: MatchedRecord, changes: Changes | None = None
    ) -> None:
        """Adds a link without a hash of the row's values.

        Args:
            changes: What differs, so that the record has the other values; None if it is not known.
        """
        row, answer = matched.row, matched.answer or {}
        differing = None if changes is None else {*changes.update}
        if changes is not None and differing is not None:
            differing.update(cast("Json", changes.update.get(CUSTOM_FIELDS, {})))
        self._links.add_existing(
            row,
            batch.history_of(row),
            matched.apollo_id,
            of_existing(self._object_type, row, answer),
            differing,
        )


def _may_be_completed(link: Link) -> bool:
    """Whether a row was linked before, and it is not known that its record has its values."""
    return link.status in CONFIRMED and not link.is_deleted and link.apollo_id is not None
