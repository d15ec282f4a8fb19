"""The records of one stream that are written together, until each of them has its outcome.

A `Batch` gives each record its outcome. `PendingFlush` is the one flush of a run that waits for
answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace as with_values

from target_apollo.apollo import MAX_BULK
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.companies import Companies
from target_apollo.sync.concurrency import Steps, run_to_end
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.recall import NO_HISTORY, RowHistory
from target_apollo.sync.rejects import Rejects
from target_apollo.sync.source_record import Former, SourceRecord
from target_apollo.sync.stream_links import StreamLinks


class RecordCache:
    """The records of a batch's rows as Apollo last answered them.

    Attributes:
        answers: Records by Apollo id, and by match key where more than the id was answered.
        has_later_rows: Whether rows of the batch come later that may be rows of a record which is
            created now. If not, it need not be kept once it is finished.
    """

    def __init__(self, object_type: ObjectType, companies: Companies) -> None:
        """`companies` learns the accounts that are written."""
        self._object_type = object_type
        self._companies = companies
        self.answers: dict[str, Json] = {}
        self.has_later_rows = False

    def find(self, key: str | None) -> Json | None:
        """The record with an Apollo id or a match key."""
        return self.answers.get(key or "")

    def remember(self, row: Row, answer: Json) -> None:
        """Remembers how Apollo answered the record of a row."""
        apollo_id = str(answer.get("id"))
        self.answers[apollo_id] = answer
        if self._object_type.is_named_by_others:
            self.remember_id(row, apollo_id)
        if row.match_key and len(answer) > 1:
            self.answers[row.match_key] = answer

    def remember_id(self, row: Row, apollo_id: str | None) -> None:
        """Remembers which account a row is, for the contacts that name its domain."""
        if row.match_key and apollo_id:
            self._companies.learn(row.match_key, apollo_id)

    def remember_named(self, row: Row, apollo_id: str | None) -> None:
        """As `remember_id`, where rows of another type name the record."""
        if self._object_type.is_named_by_others:
            self.remember_id(row, apollo_id)

    def invalidate(self, apollo_ids: set[str]) -> None:
        """Forgets records to which a part of an update may have been written."""
        if apollo_ids:
            self.answers = {
                key: answer
                for key, answer in self.answers.items()
                if str(answer.get("id")) not in apollo_ids
            }


class Batch:
    """Gives every record exactly one outcome, and tells ledger, counts and rejects file of it.

    Args:
        stream: The stream of the sink, after stream maps.
        records: Those of the batch. They may come from several streams of the tap.

    Attributes:
        cache: What is known of the records that its rows have in Apollo.
        recovered: By number, records that interrupted runs made of rows which have another e-mail
            or domain now.
    """

    def __init__(
        self,
        stream: str,
        records: Iterable[SourceRecord],
        counts: RunCounts,
        rejects: Rejects,
        cache: RecordCache,
    ) -> None:
        self._stream = stream
        self._counts = counts
        self._rejects = rejects
        self._open = {record.number: record for record in records}
        #: Records that were not rejected, by outcome. They count once the ledger has them.
        self._done: defaultdict[Outcome, list[SourceRecord]] = defaultdict(list)
        self._unreadable: list[tuple[Sequence[object], Rejection]] = []
        self._links: StreamLinks | None = None
        self._histories: dict[int, RowHistory] = {}
        self.cache = cache
        self.recovered: Mapping[int, Json] = {}

    @property
    def formers(self) -> dict[int, Former]:
        """By number, what earlier runs said of records that they rejected."""
        return {
            number: record.former
            for number, record in self._open.items()
            if record.former is not None
        }

    @property
    def histories(self) -> Mapping[int, RowHistory]:
        """What the ledger remembers of the rows, by number; empty without a ledger."""
        return self._histories

    def history_of(self, row: Row) -> RowHistory:
        """What the ledger remembers of a row."""
        return self._histories.get(row.number, NO_HISTORY)

    def use_ledger(self, links: StreamLinks, histories: Mapping[int, RowHistory]) -> None:
        """Has the ledger told of all outcomes.

        Args:
            histories: What it remembers of the rows, by number.
        """
        self._links = links
        self._histories = dict(histories)
        for key, rejection in self._unreadable:
            links.add_unreadable(key, rejection)

    def wait_for(self, row: Row, payload_hash: str) -> None:
        """Notes that a row is written without what it names and Apollo does not know yet.

        Args:
            payload_hash: What the ledger is to hold of the row, by which the next run asks again.
        """
        if row.number in self._histories:
            history = self._histories[row.number]
            self._histories[row.number] = with_values(history, payload_hash=payload_hash)

    def finish(
        self,
        row: Row,
        outcome: Outcome,
        apollo_id: str | None = None,
        rejection: Rejection | None = None,
        updated_at: str | None = None,
    ) -> None:
        """Gives a row its outcome; earlier records of its source key were skipped or share it.

        Args:
            apollo_id: The row's record, as far as it is known.
            rejection: Why the row is rejected, with the outcome `REJECTED` alone.
            updated_at: Apollo's time of the record's last change, where its answer told.

        Raises:
            LookupError: The row has its outcome already, which is a defect.
            InvalidRecord: The row is rejected, and `on_record_error` is ``fail``.
            RunError: The rejects file can't be written.
        """
        record = self._open.pop(row.number)
        earlier = [self._open.pop(number) for number in row.supersedes] if row.supersedes else ()
        if self._links is not None:
            history = self._histories.get(row.number, NO_HISTORY)
            self._links.add_outcome(row, history, outcome, apollo_id, rejection, updated_at)
        if row.deleted and outcome is Outcome.UPDATED:
            self._counts.count_deleted(self._stream)
        if rejection is None:
            self._done[outcome].append(record)
            if earlier:
                self._done[Outcome.SKIPPED] += earlier
        else:
            for one in (*earlier, record):
                self._rejects.reject(one, rejection)

    def finish_unread(
        self,
        record: SourceRecord,
        outcome: Outcome,
        rejection: Rejection | None = None,
        key: Sequence[object] = (),
    ) -> None:
        """Finishes a record from which no row could be read; raises the errors of `finish`.

        Args:
            key: Values of its source key.
        """
        del self._open[record.number]
        if rejection is None:
            self._done[outcome].append(record)
            self.count()
            return
        self._rejects.reject(record, rejection)
        if record.former is None:
            # A replayed record says nothing of its row, which a later run may have written.
            self._unreadable.append((key, rejection))

    def check_complete(self) -> None:
        """Makes sure that no record was forgotten.

        Raises:
            LookupError: Some have no outcome, which is a defect; the first of their numbers.
        """
        if self._open:
            raise LookupError(list(self._open)[:5])

    def count(self) -> None:
        """Counts the records that have their outcome; those that were rejected are counted."""
        on_outcome = self._rejects.on_outcome
        for outcome, records in self._done.items():
            if on_outcome is not None:
                for record in records:
                    on_outcome(record)
            for stream, number in Counter([record.stream for record in records]).items():
                self._counts.count(stream, outcome, number)
        self._done.clear()


class PendingFlush:
    """The flush of a run that waits for answers; there is one at most.

    Two at a time could create one and the same record twice.

    Attributes:
        oldest: Number of its first record, which STATE may not pass; None without a flush. It
            stays when the flush fails, since not all of its records have an outcome then.
    """

    def __init__(self) -> None:
        self._steps: Steps[None] | None = None
        self._sink: object = None
        self.oldest: int | None = None

    def start(self, sink: object, oldest: int | None, steps: Steps[None]) -> None:
        """Finishes the flush before and starts the next; returns when its requests are out.

        Args:
            sink: Whose flush it is.
            oldest: Number of its first record.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        self.finish()
        self.oldest = oldest
        try:
            next(steps)
        except StopIteration:
            self.oldest = None
        else:
            self._steps, self._sink = steps, sink

    def is_only_of(self, sink: object) -> bool:
        """Whether no other sink's flush is pending."""
        return self._steps is None or self._sink is sink

    def finish(self) -> None:
        """Runs the pending flush to its end, if there is one.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        if self._steps is not None:
            steps, self._steps = self._steps, None
            run_to_end(steps)
            self.oldest = None


def flush_size(batch_size: int, parallel_requests: int) -> int:
    """Records per flush: all parallel requests are busy, four times over where they are full ones.

    A flush ends with writes of the ledger that wait for the disk, so few large ones are faster.
    A smaller `batch_size` also means that STATE is written in smaller steps.
    """
    rounds = 4 if batch_size >= MAX_BULK else 1
    return batch_size * parallel_requests * rounds
