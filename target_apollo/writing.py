"""Carries rows out: creates, updates, confirms, and gives every row its outcome.

The flow of one flush, wave by wave: create what is not known, match the answers, update what exists
and differs, settle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.api import ApolloClient, ApolloError, RequestRefused
from target_apollo.changes import NOTHING, left_to_write
from target_apollo.comparing import Comparer, Known
from target_apollo.creating import Created, create, why_unmatched
from target_apollo.directory import Directory
from target_apollo.ending import RunError
from target_apollo.finding import find_record
from target_apollo.limits import WriteLimits
from target_apollo.matching import Match, Matched
from target_apollo.memory import Memory
from target_apollo.moments import moment
from target_apollo.objects import Json, ObjectKind, ObjectType
from target_apollo.outcomes import Outcome, Reason, Rejection
from target_apollo.parallel import Parallel
from target_apollo.pending_updates import Update
from target_apollo.planning import CreateRequest, create_requests, waves
from target_apollo.reckoning import Reckon, take_no_note
from target_apollo.refusals import (
    custom_field_rejection,
    is_gone,
    rejection,
)
from target_apollo.rows import Mode, Row
from target_apollo.strays import CLOCKS_DIFFER_BY
from target_apollo.under_way import Flow, finish
from target_apollo.update_method import UpdateMethod
from target_apollo.update_routes import UpdateRoutes
from target_apollo.updating import Updater

Settle = Callable[[Row, Outcome, "str | None", "Rejection | None", "str | None"], None]


def _take_no_sample(updates: Sequence[Update]) -> None:
    """For a run that shows no samples."""


@dataclass
class Writer:
    """Writes the rows of one stream; one instance a sink, used by one thread at a time.

    Attributes:
        settle: Called once for each row with outcome, Apollo id, why where it is rejected, and
            Apollo's `updated_at` of the record where its answer told.
        intend: Told the rows for which requests are about to go out.
        directory: Learns the accounts that are written.
        comparer: Says what existing records need.
        is_anothers: Whether an Apollo id is known as that of another source key.
        reckon: Told how many requests are about to be sent.
        sample: Shown the updates of existing records before they are carried out.
    """

    client: ApolloClient
    target: ObjectType
    mode: Mode
    update_method: UpdateMethod
    update_routes: UpdateRoutes
    batch_size: int
    parallel: Parallel
    settle: Settle
    intend: Callable[[Sequence[Row]], None]
    directory: Directory
    comparer: Comparer
    note_unwritable: Callable[[Sequence[str]], None]
    limits: WriteLimits
    is_anothers: Callable[[Row, str], bool]
    run_started: datetime
    reckon: Reckon = take_no_note
    sample: Callable[[Sequence[Update]], None] = _take_no_sample
    _known: dict[str, Json] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory)
    _strays: Mapping[int, Json] = field(default_factory=dict)
    #: Rows as they came, by number; an update's row lacks what a policy keeps from it.
    _rows: Mapping[int, Row] = field(default_factory=dict)
    #: Whether a row may be compared with a record that the same flush has created.
    _meets_again: bool = False

    def write(self, rows: Sequence[Row], memory: Memory, strays: Mapping[int, Json]) -> Flow[None]:
        """Writes the rows of a flush, collapsed; all are settled at its end.

        Pauses while records are being created.

        Args:
            memory: What earlier runs left to say about the rows.
            strays: By number, records that earlier runs made of rows under another match key.

        Raises:
            ApolloError: The run can't go on. Rows that were confirmed until then are settled, the
                others are not.
        """
        self._known = {}
        self._memory = memory
        self._strays = strays
        self._rows = {row.number: row for row in rows}
        in_order = waves(self.target, rows)
        self._meets_again = len(in_order) > 1
        for wave in in_order:
            yield from self._write_wave(wave)

    def _write_wave(self, wave: Sequence[Row]) -> Flow[None]:
        new: list[Row] = []
        known: list[Known] = []
        updates: list[Update] = []
        for row in wave:
            record = self._strays.get(row.number) or self._known.get(row.match_key or "")
            if row.deleted:
                self._move_deleted(row, record, updates)
                continue
            if self.mode is Mode.INSERT and record is not None:
                self._leave_or_complete(Matched(row, Match.EXISTING, record), record, updates)
            elif row.apollo_id and self.mode is not Mode.INSERT:
                known.append(Known(row, row.apollo_id, None))
            elif record is not None and row.number in self._strays:
                updates.append(self.comparer.compare_whole(Known(row, str(record["id"]), record)))
            elif record is not None:
                known.append(Known(row, str(record["id"]), record))
            else:
                new.append(row)
        unread = self._compare(known, updates)
        # On disk before anything goes out, so that a killed run is put right by the next.
        self.intend([*self._to_update(updates), *new])
        # Updates first: one of them may give an address free that a new row carries.
        self._update_all(updates, unread)
        updates = []
        failure = yield from self._create_all(new, updates)
        # Whose record it is must be known once it is written to: the row's address may change.
        self.intend(self._to_update(updates))
        self._update_all(updates, failure)

    def _to_update(self, updates: Sequence[Update]) -> list[Row]:
        """Rows of which the ledger is to note that they change the record of this id.

        None in mode insert, which completes what it made itself: that is found again by what it was
        sent under.
        """
        if self.mode is Mode.INSERT:
            return []
        return [
            with_values(update.row, apollo_id=update.apollo_id)
            for update in updates
            if update.changes
        ]

    def _move_deleted(self, row: Row, record: Json | None, updates: list[Update]) -> None:
        """Moves the record of a deleted row; there is nothing to do where there is none."""
        if self.mode is not Mode.INSERT and row.apollo_id:
            updates.append(self.comparer.compare_whole(Known(row, row.apollo_id, None)))
            return
        if record is not None and row.number not in self._strays:
            # Another row of the flush has just been written to it.
            record = None
        elif record is None and row.match_key and self.mode is Mode.UPSERT:
            record = find_record(self.client, self.target, row.match_key)
            if record is not None and self.is_anothers(row, str(record["id"])):
                record = None
        if record is None or self.mode is Mode.INSERT:
            self.settle(row, Outcome.SKIPPED, None, None, None)
        else:
            known = Known(row, str(record["id"]), record)
            updates.append(self.comparer.compare_whole(known))

    def _compare(self, known: Sequence[Known], updates: list[Update]) -> ApolloError | None:
        """Adds what existing records need to `updates`; returns a failure that ends the run."""
        compared = self.comparer.compare(
            known,
            self._memory,
            lambda row, record: self._created_before(Matched(row, Match.EXISTING, record), record),
        )
        updates += compared.updates
        gone: list[Row] = []
        for row, apollo_id, refusal in compared.refused:
            self._take_refusal(row, apollo_id, refusal, gone)
        if compared.failure is None and gone:
            finish(self._write_wave(gone))
        return compared.failure

    # --- creating

    def _create_all(
        self, rows: Sequence[Row], updates: list[Update]
    ) -> Flow[ApolloError | RunError | None]:
        """Creates rows, no more than the limit allows; see `_create_some`."""
        left = list(rows)
        while left:
            try:
                allowed = self.limits.creates_allowed(len(left))
            except RunError as reached:
                return reached
            failure = yield from self._create_some(left[:allowed], updates)
            if failure is not None:
                return failure
            # Rows that Apollo had already did not use the limit up.
            left = left[allowed:]
        return None

    def _create_some(self, rows: Sequence[Row], updates: list[Update]) -> Flow[ApolloError | None]:
        """Creates rows; what then needs an update is added to `updates`.

        Returns the failure that ends the run, if there was one, after the other requests' rows
        have been taken care of.
        """
        requests = [
            self._asking_for_little(request)
            for request in create_requests(
                self.target,
                rows,
                self.batch_size,
                spare_existing=self.mode is Mode.INSERT,
            )
        ]
        self.reckon({self.target.create_endpoint: len(requests)})
        failure: ApolloError | None = None
        known: list[Known] = []

        def take(place: int, result: Created | Exception) -> None:
            nonlocal failure
            request = requests[place]
            if isinstance(result, ApolloError):
                failure = failure or result
            elif isinstance(result, Exception):
                raise result
            else:
                for matched in result.matched:
                    self._take_answer(request, matched, updates, known)
                for row, refusal in result.refused:
                    self._reject(row, rejection(self.target, None, refusal))

        # Rows are settled while Apollo is at work on those of the next requests.
        yield from self.parallel.each(
            [partial(create, self.client, self.target, request) for request in requests], take
        )
        return self._compare(known, updates) or failure

    def _asking_for_little(self, request: CreateRequest) -> CreateRequest:
        """The request, for less than the whole records where nothing is written to them again."""
        whole = self._meets_again or any(
            left_to_write(self.target, request, row) for row in request.rows
        )
        return replace(request, whole=whole)

    def _take_answer(
        self,
        request: CreateRequest,
        matched: Matched,
        updates: list[Update],
        known: list[Known],
    ) -> None:
        row, answer = matched.row, matched.answer
        if answer is None or matched.match in (Match.CONFLICT, Match.ALTERED):
            self._reject(row, why_unmatched(self.target, matched))
            return
        self._know(row, answer)
        if matched.match is Match.CREATED:
            self._complete(request, row, answer, updates)
        elif self.mode is Mode.INSERT:
            self._leave_or_complete(matched, answer, updates)
        elif self._created_before(matched, answer):
            updates.append(self.comparer.compare_whole(Known(row, str(answer["id"]), answer)))
        else:
            known.append(Known(row, str(answer["id"]), answer))

    def _complete(
        self, request: CreateRequest, row: Row, answer: Json, updates: list[Update]
    ) -> None:
        """Adds what bulk_create did not carry of a record that it made."""
        self.limits.created += 1
        # For a request that needed no whole records that was asked already.
        behind = left_to_write(self.target, request, row) if request.whole else NOTHING
        refused = custom_field_rejection(self.target, answer, self.target.create_endpoint)
        if refused or behind is not NOTHING:
            updates.append(Update(row, str(answer["id"]), answer, behind, Outcome.CREATED, refused))
        else:
            self._settle(row, Outcome.CREATED, answer)

    def _leave_or_complete(self, matched: Matched, answer: Json, updates: list[Update]) -> None:
        """Mode insert: what exists is left alone, unless the row itself has made it."""
        row = matched.row
        if row.number in self._strays or self._created_before(matched, answer):
            self._know(row, answer)
            self._complete(CreateRequest((row,)), row, answer, updates)
        else:
            self._settle(row, Outcome.EXISTING, answer)

    def _created_before(self, matched: Matched, answer: Json) -> bool:
        """Whether a row finds a record that it made itself by a try whose answer was lost.

        Such a record lacks what bulk_create does not carry. One that was there before is older
        than the try.
        """
        if self.mode is Mode.INSERT and matched.row.number in self._memory.own:
            return not self.is_anothers(matched.row, str(answer["id"]))
        since = self._memory.unfinished.get(matched.row.number)
        if since is None and matched.sent_before:
            since = self.run_started
        if since is None:
            return False
        created_at = moment(answer.get("created_at"))
        return (
            created_at is not None
            and created_at >= since - CLOCKS_DIFFER_BY
            and not self.is_anothers(matched.row, str(answer["id"]))
        )

    # --- updating

    def _update_all(
        self, updates: Sequence[Update], failure: ApolloError | RunError | None
    ) -> None:
        """Updates in rounds in which no Apollo record occurs twice, so that the last row wins."""
        rounds: list[list[Update]] = []
        next_round: dict[str, int] = defaultdict(int)
        for update in updates:
            place = next_round[update.apollo_id]
            next_round[update.apollo_id] += 1
            if place == len(rounds):
                rounds.append([])
            rounds[place].append(update)
        gone: list[Row] = []
        for number, members in enumerate(rounds):
            if number and failure is None:
                members, failure = self._seen_again(members)
            idle = [update for update in members if not update.changes]
            for update in idle:
                self._finish(update, update.answer)
            if failure is None:
                failure = self._update_allowed([u for u in members if u.changes], gone)
        if failure is not None:
            raise failure
        if gone:
            finish(self._write_wave(gone))

    def _update_allowed(
        self, updates: Sequence[Update], gone: list[Row]
    ) -> ApolloError | RunError | None:
        """Carries a round out as far as the limit allows; new records are always completed."""
        changed = [update for update in updates if update.outcome is Outcome.UPDATED]
        completed = [update for update in updates if update.outcome is not Outcome.UPDATED]
        reached: RunError | None = None
        try:
            allowed = self.limits.updates_allowed(len(changed))
        except RunError as problem:
            allowed, reached = 0, problem
        self.limits.updated += allowed
        failure = self._update_round([*completed, *changed[:allowed]], gone)
        if failure is None and reached is None and allowed < len(changed):
            try:
                self.limits.updates_allowed(1)
            except RunError as problem:
                reached = problem
        return failure or reached

    def _seen_again(self, updates: Sequence[Update]) -> tuple[list[Update], ApolloError | None]:
        """Updates after other rows of the same Apollo records have been written."""
        seen = [update for update in updates if update.answer is None]
        again = [
            Known(
                self._rows[update.row.number],
                update.apollo_id,
                self._known.get(update.apollo_id),
            )
            for update in updates
            if update.answer is not None
        ]
        failure = self._compare(again, seen)
        return seen, failure

    def _update_round(self, updates: Sequence[Update], gone: list[Row]) -> ApolloError | None:
        updater = Updater(
            self.client,
            self.target,
            self.parallel,
            self.update_method,
            self.update_routes,
            self.reckon,
        )
        self.sample(updates)
        failure = updater.carry_out(updates)
        self._forget({update.apollo_id for update, _ in (*updater.refused, *updater.rejected)})
        for update, refusal in updater.refused:
            self._take_refusal(update.row, update.apollo_id, refusal, gone)
        for update, reason in updater.rejected:
            self._reject_record(update.row, update.apollo_id, reason)
        for update, answer in updater.done:
            self._know(update.row, answer or update.answer or {"id": update.apollo_id})
            self._finish(update, answer)
        return failure

    def _take_refusal(
        self, row: Row, apollo_id: str, refusal: RequestRefused, gone: list[Row]
    ) -> None:
        """Rejects a row whose record Apollo refused, or has it created again if it is gone."""
        can_recreate = (
            self.mode is Mode.UPSERT
            and row.match_key is not None
            and row.apollo_id is not None
            and not row.deleted
            and not refusal.deleted_ids
            and is_gone(apollo_id, refusal)
        )
        if row.deleted and (refusal.deleted_ids or is_gone(apollo_id, refusal)):
            self.settle(row, Outcome.SKIPPED, None, None, None)
        elif can_recreate:
            gone.append(with_values(self._rows[row.number], apollo_id=None))
        else:
            self._reject_record(row, apollo_id, rejection(self.target, apollo_id, refusal))

    # --- settling

    def _finish(self, update: Update, answer: Json | None) -> None:
        if update.refused is not None:
            self._reject_record(update.row, update.apollo_id, update.refused)
            return
        outcome = update.outcome
        if not update.changes and outcome is Outcome.UPDATED:
            outcome = Outcome.UNCHANGED
        if update.changes.unwritable:
            self.note_unwritable(update.changes.unwritable)
        # A row older than its record stays so: this write has not made their times the same.
        updated_at = None if update.is_older else _updated_at(answer)
        self.settle(update.row, outcome, update.apollo_id, None, updated_at)

    def _settle(self, row: Row, outcome: Outcome, answer: Json) -> None:
        self.settle(row, outcome, str(answer.get("id")), None, _updated_at(answer))

    def _reject(self, row: Row, why: Rejection) -> None:
        self.settle(row, Outcome.REJECTED, None, why, None)

    def _reject_record(self, row: Row, apollo_id: str, why: Rejection) -> None:
        # The record stays the row's own, or a changed e-mail would make a second one.
        is_there = why.reason not in (Reason.GONE, Reason.DELETED)
        self.settle(row, Outcome.REJECTED, apollo_id if is_there else None, why, None)

    def know_ids(self, rows: Iterable[tuple[Row, str | None]]) -> None:
        """Notes which records rows are, for the contacts that name an account's domain."""
        if self.target.kind is not ObjectKind.ACCOUNTS:
            return
        for row, apollo_id in rows:
            if row.match_key and apollo_id:
                self.directory.learn_account(row.match_key, apollo_id)

    def _know(self, row: Row, answer: Json) -> None:
        """Remembers Apollo's latest words on a record for later rows of the same flush."""
        apollo_id = str(answer.get("id"))
        self._known[apollo_id] = answer
        if self.target.kind is ObjectKind.ACCOUNTS:
            self.know_ids([(row, apollo_id)])
        if row.match_key and len(answer) > 1:
            self._known[row.match_key] = answer

    def _forget(self, apollo_ids: set[str]) -> None:
        """Takes nothing for known of records to which a part of an update may have been written."""
        if apollo_ids:
            kept = self._known.items()
            self._known = {key: one for key, one in kept if str(one.get("id")) not in apollo_ids}


def _updated_at(answer: Json | None) -> str | None:
    told = (answer or {}).get("updated_at")
    return told if isinstance(told, str) else None
