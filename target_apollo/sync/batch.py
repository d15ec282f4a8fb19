"""The records of one stream that are written together, until each of them has its outcome.

A `Batch` gives each record its outcome, and a `RecordCache` has the Apollo records of its rows.
`PendingFlush` is the writing of a batch while it waits for Apollo's answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace as with_values

from target_apollo.apollo import MAX_BULK
from target_apollo.model.match_keys import address_of, keys
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.concurrency import Steps, run_to_end
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.links.addresses import address_hashes
from target_apollo.sync.links.not_given import ALL_GIVEN, NotGiven
from target_apollo.sync.links.recall import NO_HISTORY, RowHistory
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.rejects.refused_rows import UnreadRecord
from target_apollo.sync.rejects.rejects import Rejects
from target_apollo.sync.source_record import Former, SourceRecord
from target_apollo.sync.team.companies import Companies

_NOTHING: Json = {}


class RecordCache:
    """The Apollo records of a batch's rows, as Apollo last answered them.

    Attributes:
        answers: Records by Apollo id; also by match keys if the answer had more than the id.
        has_later_rows: Whether a later row of the batch may have the record that is created now.
            If not, a finished record need not be kept.
    """

    def __init__(self, object_type: ObjectType, companies: Companies) -> None:
        """`companies` learns the accounts that are written."""
        self._object_type = object_type
        self._companies = companies
        self.answers: dict[str, Json] = {}
        self._read: dict[str, Json] = {}
        self.has_later_rows = False

    def find(self, key: str | None) -> Json | None:
        """The record with an Apollo id or a match key."""
        return self.answers.get(key or "")

    def find_of(self, row: Row) -> Json | None:
        """The record found by the row's match keys, tried in order."""
        if not row.more_keys:
            return self.find(row.match_key)
        found = (self.answers.get(key) for key in keys(row))
        return next((answer for answer in found if answer is not None), None)

    def remember(self, row: Row, answer: Json) -> None:
        """Remembers how Apollo answered the record of a row."""
        apollo_id = str(answer.get("id"))
        self.answers[apollo_id] = answer
        if self._object_type.is_named_by_others:
            self.remember_id(row, apollo_id)
        if row.match_key and len(answer) > 1:
            self.answers.update(dict.fromkeys(keys(row), answer))

    def remember_read(self, answer: Json) -> None:
        """Remembers a record that was read before its row is compared with it."""
        self._read[str(answer["id"])] = answer

    def read_before(self, apollo_id: str) -> Json | None:
        """The record as it was read, if nothing of the batch was written to it since."""
        return None if apollo_id in self.answers else self._read.get(apollo_id)

    def remember_id(self, row: Row, apollo_id: str | None) -> None:
        """Remembers the id of a row's account, for contacts that name its domain."""
        domain = address_of(self._object_type, row)
        if domain and apollo_id:
            self._companies.learn(domain, apollo_id)

    def remember_named(self, row: Row, apollo_id: str | None) -> None:
        """The same as `remember_id`, but only if rows of another type can name the record."""
        if self._object_type.is_named_by_others:
            self.remember_id(row, apollo_id)

    def invalidate(self, apollo_ids: set[str]) -> None:
        """Forgets records that an unfinished update may have changed."""
        if apollo_ids:
            self.answers = {
                key: answer
                for key, answer in self.answers.items()
                if str(answer.get("id")) not in apollo_ids
            }


class Batch:
    """Gives every record exactly one outcome, and passes it to ledger, counts and rejects file.

    Args:
        stream: The stream of the sink, after stream maps.
        records: The records of the batch. They may come from several streams of the tap.
        cache: The Apollo records of its rows; None for objects that have none.

    Attributes:
        recovered: Row number -> record that an earlier run created for the row, under another
            e-mail or domain or before it rejected the row.
        found: Row number -> record that mode insert has found for a row without a link.
        unwritten: Hashes of the addresses of rejected rows.
        given_back: Numbers of returned rows whose records were given back to them.
        oldest_unsaved: Number of the oldest record whose outcome may not be on disk yet; None if
            all of them are.
    """

    def __init__(
        self,
        stream: str,
        records: Iterable[SourceRecord],
        counts: RunCounts,
        rejects: Rejects,
        cache: RecordCache | None = None,
    ) -> None:
        self._stream = stream
        self._counts = counts
        self._rejects = rejects
        self._open = {record.number: record for record in records}
        self._oldest = min(self._open, default=None)
        self.oldest_unsaved = self._oldest
        #: Records that were not rejected, by outcome. They are counted once the ledger has them.
        self._done: defaultdict[Outcome, list[SourceRecord]] = defaultdict(list)
        self._unread: list[UnreadRecord] = []
        self._links: StreamLinks | ObjectLinks | None = None
        self._histories: dict[int, RowHistory] = {}
        self._rows_by_key: dict[str, Row] = {}
        self._cache = cache
        self.recovered: Mapping[int, Json] = {}
        self.found: dict[int, Json] = {}
        self.unwritten: list[str] = []
        self.given_back: set[int] = set()
        #: Row number -> body of a request that is still to be sent to the row's record.
        self._for_later: dict[int, Json] = {}

    @property
    def cache(self) -> RecordCache:
        """The Apollo records of its rows.

        Raises:
            LookupError: It has none, which is a defect.
        """
        if self._cache is None:
            raise LookupError(self._stream)
        return self._cache

    @property
    def formers(self) -> dict[int, Former]:
        """Record number -> earlier rejection, for records that were rejected before."""
        return {
            number: record.former
            for number, record in self._open.items()
            if record.former is not None
        }

    @property
    def histories(self) -> Mapping[int, RowHistory]:
        """Row number -> what the ledger knows about the row; empty without a ledger."""
        return self._histories

    def history_of(self, row: Row) -> RowHistory:
        """What the ledger knows about a row."""
        return self._histories.get(row.number, NO_HISTORY)

    @property
    def rows_by_key(self) -> Mapping[str, Row]:
        """The rows by source key, as the ledger spells it; empty without a ledger."""
        return self._rows_by_key

    def replace_history(self, row: Row, history: RowHistory) -> None:
        """Replaces a row's history, after it is known that its link names another row's record."""
        self._histories[row.number] = history

    def use_ledger(
        self,
        links: StreamLinks | ObjectLinks,
        histories: Mapping[int, RowHistory],
        rows: Sequence[Row],
    ) -> None:
        """Passes all outcomes to the ledger from now on.

        Args:
            histories: Row number -> what the ledger knows about the row.
            rows: The rows of the batch.
        """
        self._links = links
        self._histories = dict(histories)
        self._rows_by_key = {histories[row.number].source_key: row for row in rows}

    def use_histories(self, histories: Mapping[int, RowHistory]) -> None:
        """Takes what the ledger knows of the rows, without passing outcomes to it.

        Args:
            histories: Row number -> history.
        """
        self._histories = dict(histories)

    def wait_for(self, row: Row, payload_hash: str) -> None:
        """Notes that a row is written without a name that Apollo does not know yet.

        Args:
            payload_hash: The hash for the row's link. It differs from the row's own hash, so the
                next run asks Apollo for the name again.
        """
        if row.number in self._histories:
            history = self._histories[row.number]
            self._histories[row.number] = with_values(history, payload_hash=payload_hash)

    def leave_for_later(self, row: Row, body: Json) -> None:
        """Notes values that the row's outcome leaves in the ledger, to be sent later."""
        self._for_later[row.number] = body

    def finish(
        self,
        row: Row,
        outcome: Outcome,
        apollo_id: str | None = None,
        rejection: Rejection | None = None,
        updated_at: str | None = None,
        *,
        record_is_gone: bool = False,
        not_given: NotGiven = ALL_GIVEN,
    ) -> None:
        """Gives a row its outcome, and notes it in the ledger.

        Earlier records that the row replaces are skipped, or rejected with it.

        Args:
            apollo_id: Id of the row's record, if it is known.
            rejection: Why the row is rejected; only with the outcome `REJECTED`.
            updated_at: Apollo's time of the record's last change, if its answer shows it.
            record_is_gone: Whether the row is skipped since somebody deleted its record in Apollo.
            not_given: What the record was not given of the row.

        Raises:
            LookupError: The row has its outcome already, which is a defect.
            InvalidRecord: The row is rejected, and `on_record_error` is ``fail``.
            RunError: The rejects file can't be written.
        """
        if outcome is Outcome.UNCHANGED and row.number in self.given_back:
            outcome = Outcome.UPDATED
        if row.number not in self._open:
            raise LookupError(row.number)
        if self._links is not None:
            self._links.add_outcome(
                row,
                self.history_of(row),
                outcome,
                apollo_id,
                rejection,
                updated_at,
                record_is_gone=record_is_gone,
                not_given=not_given,
                for_later=self._for_later.pop(row.number, _NOTHING)
                if self._for_later
                else _NOTHING,
            )
        if row.deleted and outcome is Outcome.UPDATED:
            if self._cache is None:
                self._counts.count_removed(self._stream)
            else:
                self._counts.count_deleted(self._stream)
        self.settle(row, outcome, rejection)

    def settle(self, row: Row, outcome: Outcome, rejection: Rejection | None = None) -> None:
        """Gives a row that needed no request its outcome; its link in the ledger stays as it is.

        Args:
            rejection: Why the row is rejected; only with the outcome `REJECTED`.

        Raises:
            LookupError, InvalidRecord, RunError: As `finish`.
        """
        record = self._open[row.number]
        earlier = [self._open[number] for number in row.supersedes] if row.supersedes else ()
        if rejection is None:
            self._done[outcome].append(record)
            if earlier:
                self._done[Outcome.SKIPPED] += earlier
        else:
            self.unwritten += address_hashes(row)
            again = (
                record.former is None
                and self.history_of(row).rejected_before == rejection.reason.value
            )
            for one in (*earlier, record):
                self._rejects.reject(one, rejection, again=again)
        # Last, since STATE may not pass a row whose outcome could not be noted.
        for one in (*earlier, record):
            del self._open[one.number]

    def finish_unread(
        self,
        record: SourceRecord,
        outcome: Outcome,
        rejection: Rejection | None = None,
        key: Sequence[object] = (),
    ) -> None:
        """Finishes a record that could not be turned into a row.

        A rejected one gets its outcome from `reject_unread`, since the ledger may know it.

        Args:
            key: Values of its source key.
        """
        if rejection is not None:
            self._unread.append(UnreadRecord(record, rejection, key))
            return
        del self._open[record.number]
        self._done[outcome].append(record)
        self.count()

    def reject_unread(self) -> None:
        """Rejects the records that could not be turned into rows, after `use_ledger`.

        Raises:
            InvalidRecord: `on_record_error` is ``fail``.
            LedgerError: The ledger can't be read.
            RunError: The rejects file can't be written.
        """
        unread, self._unread = self._unread, []
        links = self._links
        known = links.unread_before(unread) if links and unread else [False] * len(unread)
        for one, again in zip(unread, known, strict=True):
            self._rejects.reject(one.record, one.rejection, again=again)
            del self._open[one.record.number]
            # Not for replayed records: a later run may have written their row.
            if links is not None and not again and one.record.former is None:
                links.add_unreadable(one)

    def note_saved(self) -> None:
        """Notes that ledger and rejects file have all outcomes so far, so that STATE may pass."""
        self.oldest_unsaved = min(self._open, default=None)

    def hold_back(self) -> None:
        """Lets no STATE pass behind any record of the batch, whatever its outcome."""
        self.oldest_unsaved = self._oldest

    def oldest_beside(self, rows: Iterable[Row]) -> int | None:
        """Number of the oldest record without an outcome that is none of these rows'."""
        beside = {number for row in rows for number in row.numbers}
        return min((number for number in self._open if number not in beside), default=None)

    def check_complete(self) -> None:
        """Checks that every record has an outcome.

        Raises:
            LookupError: Some have none, which is a defect; the message has their first numbers.
        """
        if self._open:
            raise LookupError(list(self._open)[:5])

    def count(self) -> None:
        """Counts the finished records; rejected ones were counted when they were rejected."""
        on_outcome = self._rejects.on_outcome
        for outcome, records in self._done.items():
            if on_outcome is not None:
                for record in records:
                    on_outcome(record)
            for stream, number in Counter([record.stream for record in records]).items():
                self._counts.count(stream, outcome, number)
        self._done.clear()


class PendingFlush:
    """The flush of a run that is pending: the requests of its batch wait for Apollo's answers.

    There is at most one, since two at a time could create the same record twice.
    """

    def __init__(self) -> None:
        self._steps: Steps[None] | None = None
        self._sink: object = None
        #: It stays set after a failure, since some of its records then have no outcome.
        self._batch: Batch | None = None

    @property
    def oldest(self) -> int | None:
        """Number of the oldest record without an outcome on disk, which STATE may not pass."""
        return None if self._batch is None else self._batch.oldest_unsaved

    def start(self, sink: object, batch: Batch, steps: Steps[None]) -> None:
        """Finishes the pending flush and starts the next; returns when its requests are sent.

        Args:
            sink: The sink whose batch it is.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        self.finish()
        self._batch = batch
        try:
            next(steps)
        except StopIteration:
            self._batch = None
        else:
            self._steps, self._sink = steps, sink

    def is_only_of(self, sink: object) -> bool:
        """Whether there is no pending flush of another sink."""
        return self._steps is None or self._sink is sink

    def finish(self) -> None:
        """Completes the pending flush, if there is one.

        Raises:
            ApolloError, RunError: The run can't go on.
        """
        if self._steps is not None:
            steps, self._steps = self._steps, None
            run_to_end(steps)
            self._batch = None


#: Creating requests of a flush.
_MOST_REQUESTS = 16


def flush_size(batch_size: int, parallel_requests: int) -> int:
    """Records per flush: one request per thread, or up to four if `batch_size` is Apollo's maximum.

    A flush ends with writes to the ledger that wait for the disk, so few large flushes are faster.
    Its rows are in memory, so it has no more than 16 requests. With a smaller `batch_size` STATE is
    also written more often.
    """
    rounds = 4 if batch_size >= MAX_BULK else 1
    return batch_size * min(parallel_requests * rounds, _MOST_REQUESTS)
