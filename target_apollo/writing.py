"""Carries rows out: creates, updates, confirms, and gives every row its outcome.

The flow of one flush, wave by wave: create what is not known, match the answers, update what exists
and differs, settle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial

from target_apollo.api import ApolloClient, ApolloError, RequestRefused
from target_apollo.changes import changes, left_to_write
from target_apollo.creating import create, why_unmatched
from target_apollo.directory import Directory
from target_apollo.ending import RunError
from target_apollo.limits import WriteLimits
from target_apollo.matching import Match, Matched
from target_apollo.objects import Json, ObjectKind, ObjectType
from target_apollo.outcomes import Outcome, Reason, Rejection
from target_apollo.parallel import Parallel
from target_apollo.planning import CreateRequest, create_requests, waves
from target_apollo.refusals import (
    custom_field_rejection,
    is_gone,
    rejection,
)
from target_apollo.rows import Mode, Row
from target_apollo.updating import Update, Updater

_CLOCKS_DIFFER_BY = timedelta(minutes=5)

Settle = Callable[[Row, Outcome, "str | None", "Rejection | None"], None]


@dataclass
class Writer:
    """Writes the rows of one stream; one instance a sink, used by one thread at a time.

    Attributes:
        settle: Called once for each row with outcome, Apollo id and, where rejected, why.
        directory: Knows the ids of Apollo's lists, and learns the accounts that are written.
        is_anothers: Whether an Apollo id is known as that of another source key.
    """

    client: ApolloClient
    target: ObjectType
    mode: Mode
    batch_size: int
    parallel: Parallel
    settle: Settle
    directory: Directory
    note_unwritable: Callable[[Sequence[str]], None]
    limits: WriteLimits
    is_anothers: Callable[[Row, str], bool]
    run_started: datetime
    _known: dict[str, Json] = field(default_factory=dict)
    _unfinished: Mapping[int, datetime] = field(default_factory=dict)

    def write(self, rows: Sequence[Row], unfinished: Mapping[int, datetime]) -> None:
        """Writes the rows of a flush, collapsed; all are settled when it returns.

        Args:
            unfinished: Numbers of rows that an earlier run sent without learning what became of
                them, and when that run began.

        Raises:
            ApolloError: The run can't go on. Rows that were confirmed until then are settled, the
                others are not.
        """
        self._known = {}
        self._unfinished = unfinished
        for wave in waves(self.target, rows):
            self._write_wave(wave)

    def _write_wave(self, wave: Sequence[Row]) -> None:
        new: list[Row] = []
        updates: list[Update] = []
        for row in wave:
            known = self._known.get(row.match_key or "")
            if self.mode is Mode.INSERT and known is not None:
                self._settle(row, Outcome.EXISTING, known)
            elif row.apollo_id and self.mode is not Mode.INSERT:
                updates.append(self._update_by_id(row, row.apollo_id))
            elif known is not None:
                updates.append(self._update_of(row, known))
            else:
                new.append(row)
        # Updates first: one of them may give an address free that a new row carries.
        self._update_all(updates, None)
        updates = []
        failure = self._create_all(new, updates)
        self._update_all(updates, failure)

    # --- creating

    def _create_all(
        self, rows: Sequence[Row], updates: list[Update]
    ) -> ApolloError | RunError | None:
        """Creates rows, no more than the limit allows; see `_create_some`."""
        left = list(rows)
        while left:
            try:
                allowed = self.limits.creates_allowed(len(left))
            except RunError as reached:
                return reached
            failure = self._create_some(left[:allowed], updates)
            if failure is not None:
                return failure
            # Rows that Apollo had already did not use the limit up.
            left = left[allowed:]
        return None

    def _create_some(self, rows: Sequence[Row], updates: list[Update]) -> ApolloError | None:
        """Creates rows; what then needs an update is added to `updates`.

        Returns the failure that ends the run, if there was one, after the other requests' rows
        have been taken care of.
        """
        requests = create_requests(
            self.target,
            rows,
            self.batch_size,
            spare_existing=self.mode is Mode.INSERT,
        )
        failure: ApolloError | None = None
        results = self.parallel.run(
            [partial(create, self.client, self.target, request) for request in requests]
        )
        for request, result in zip(requests, results, strict=True):
            if isinstance(result, ApolloError):
                failure = failure or result
            elif isinstance(result, Exception):
                raise result
            else:
                for matched in result.matched:
                    self._take_answer(request, matched, updates)
                for row, refusal in result.refused:
                    self._reject(row, rejection(self.target, None, refusal))
        return failure

    def _take_answer(self, request: CreateRequest, matched: Matched, updates: list[Update]) -> None:
        row, answer = matched.row, matched.answer
        if answer is None or matched.match in (Match.CONFLICT, Match.ALTERED):
            self._reject(row, why_unmatched(self.target, matched))
            return
        self._know(row, answer)
        if matched.match is Match.CREATED or self._created_before(matched, answer):
            self.limits.created += 1
            behind = left_to_write(self.target, request, row)
            refused = custom_field_rejection(self.target, answer, self.target.create_endpoint)
            if behind or refused:
                updates.append(
                    Update(row, str(answer["id"]), answer, behind, Outcome.CREATED, refused)
                )
            else:
                self._settle(row, Outcome.CREATED, answer)
        elif self.mode is Mode.INSERT:
            self._settle(row, Outcome.EXISTING, answer)
        else:
            updates.append(self._update_of(row, answer))

    def _created_before(self, matched: Matched, answer: Json) -> bool:
        """Whether an insert finds a record that it made itself by a try whose answer was lost.

        Such a record lacks what bulk_create does not carry. One that was there before is older
        than the try.
        """
        since = self._unfinished.get(matched.row.number)
        if since is None and matched.sent_before:
            since = self.run_started
        if self.mode is not Mode.INSERT or since is None:
            return False
        created_at = _moment(answer.get("created_at"))
        return (
            created_at is not None
            and created_at >= since - _CLOCKS_DIFFER_BY
            and not self.is_anothers(matched.row, str(answer["id"]))
        )

    # --- updating

    def _update_by_id(self, row: Row, apollo_id: str) -> Update:
        return Update(row, apollo_id, None, changes(self.target, row, None, {}), Outcome.UPDATED)

    def _update_of(self, row: Row, answer: Json) -> Update:
        lists = self.directory.list_ids(self.target.kind) if row.lists else {}
        needed = changes(self.target, row, answer, lists)
        return Update(row, str(answer["id"]), answer, needed, Outcome.UPDATED)

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
            if number:
                members = [self._seen_again(update) for update in members]
            idle = [update for update in members if not update.changes]
            for update in idle:
                self._finish(update)
            if failure is None:
                failure = self._update_allowed([u for u in members if u.changes], gone)
        if failure is not None:
            raise failure
        if gone:
            self._write_wave(gone)

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

    def _seen_again(self, update: Update) -> Update:
        """An update after another row of the same Apollo record has been written."""
        if update.answer is None:
            return update
        return self._update_of(update.row, self._known.get(update.apollo_id, update.answer))

    def _update_round(self, updates: Sequence[Update], gone: list[Row]) -> ApolloError | None:
        updater = Updater(self.client, self.target, self.parallel)
        failure = updater.carry_out(updates)
        for update, refusal in updater.refused:
            if self._can_recreate(update, refusal):
                gone.append(replace(update.row, apollo_id=None))
            else:
                self._reject_update(update, rejection(self.target, update.apollo_id, refusal))
        for update, reason in updater.rejected:
            self._reject_update(update, reason)
        for update, answer in updater.done:
            self._know(update.row, answer or update.answer or {"id": update.apollo_id})
            self._finish(update)
        return failure

    def _can_recreate(self, update: Update, refusal: RequestRefused) -> bool:
        return (
            self.mode is Mode.UPSERT
            and update.row.match_key is not None
            and update.row.apollo_id is not None
            and not refusal.deleted_ids
            and is_gone(update.apollo_id, refusal)
        )

    # --- settling

    def _finish(self, update: Update) -> None:
        if update.refused is not None:
            self._reject_update(update, update.refused)
            return
        outcome = update.outcome
        if not update.changes and outcome is Outcome.UPDATED:
            outcome = Outcome.UNCHANGED
        if update.changes.unwritable:
            self.note_unwritable(update.changes.unwritable)
        self.settle(update.row, outcome, update.apollo_id, None)

    def _settle(self, row: Row, outcome: Outcome, answer: Json) -> None:
        self.settle(row, outcome, str(answer.get("id")), None)

    def _reject(self, row: Row, why: Rejection) -> None:
        self.settle(row, Outcome.REJECTED, None, why)

    def _reject_update(self, update: Update, why: Rejection) -> None:
        # The record stays the row's own, or a changed e-mail would make a second one.
        is_there = why.reason not in (Reason.GONE, Reason.DELETED)
        self.settle(update.row, Outcome.REJECTED, update.apollo_id if is_there else None, why)

    def know_id(self, row: Row, apollo_id: str) -> None:
        """Notes which record a row is, for the contacts that name an account's domain."""
        if row.match_key and self.target.kind is ObjectKind.ACCOUNTS:
            self.directory.learn_account(row.match_key, apollo_id)

    def _know(self, row: Row, answer: Json) -> None:
        """Remembers Apollo's latest words on a record for later rows of the same flush."""
        apollo_id = str(answer.get("id"))
        self._known[apollo_id] = answer
        self.know_id(row, apollo_id)
        if row.match_key and len(answer) > 1:
            self._known[row.match_key] = answer


def _moment(written: object) -> datetime | None:
    try:
        # Python 3.10 reads no closing Z.
        found = datetime.fromisoformat(str(written).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
