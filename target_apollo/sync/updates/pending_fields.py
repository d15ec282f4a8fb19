"""Sends values that wait in the ledger, since each record needs a request of its own for them.

This is done when the rows of a run are written, with what they have left of Apollo's limits, the
values that wait longest first. A run sends those of its own streams, since a stream is locked
meanwhile and another run of it would be refused; one without streams sends those of all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from target_apollo.apollo import AnotherRecord, ApolloError, QuotaExhausted, RequestRefused
from target_apollo.ledger import (
    AnotherRunActive,
    Ledger,
    LedgerError,
    PendingFields,
    Place,
    SettledFields,
)
from target_apollo.model.compare import holds, not_taken, shows
from target_apollo.model.objects.registry import OBJECTS, Json, ObjectKind, ObjectType
from target_apollo.model.policies import FieldPolicy
from target_apollo.model.rows import Row
from target_apollo.sync.creates.match import updated_at
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.refusals import consequence_of
from target_apollo.sync.run import SyncRun

#: Records whose values are sent before it is noted which were: after a kill they are sent again.
_AT_ONCE = 100


def send_pending_fields(run: SyncRun) -> None:
    """Sends the values that wait, as far as Apollo's limits go, and counts those that are left.

    Raises:
        ApolloError, LedgerError, RunError: The run can't go on; the values stay in the ledger.
    """
    ledger = _ledger_with_values(run)
    if ledger is None:
        return
    sender = PendingFieldsSender(run, ledger)
    try:
        sender.send_all()
    finally:
        count_pending_fields(run)


def count_pending_fields(run: SyncRun) -> None:
    """Counts the values that are left to later runs.

    Raises:
        LedgerError: The ledger can't be read.
    """
    ledger = run.opened_ledger
    if ledger is not None:
        run.counts.to_follow.clear()
        for (_, stream), (_, values) in ledger.count_pending_fields(run.connection).items():
            run.counts.to_follow[stream] += values


def _ledger_with_values(run: SyncRun) -> RunLedger | None:
    """The ledger if any values wait in it; a run without rows opens no ledger without them."""
    if not run.has_ledger:
        return None
    if run.opened_ledger is None:
        try:
            there = Ledger.open_existing(run.settings.ledger_url)
        except LedgerError:
            # A run that has nothing to write needs no ledger.
            return None
        if there is None:
            return None
        with there:
            if not there.has_pending_fields():
                return None
    ledger = run.ledger
    return ledger if ledger is not None and ledger.has_pending_fields() else None


@dataclass
class _FieldsByStream:
    """Fields that were not written, by stream, with the keys of their rows."""

    names: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    keys: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, pending: PendingFields, names: Sequence[str]) -> None:
        self.names[pending.place.stream].update(names)
        self.keys[pending.place.stream].append(pending.source_key)


class PendingFieldsSender:
    """Sends the values of one run."""

    def __init__(self, run: SyncRun, ledger: RunLedger) -> None:
        self._run = run
        self._ledger = ledger
        #: Objects for which Apollo takes no more now.
        self._full: set[str] = set()
        #: Of records that are gone, that Apollo refused to write, and that people have filled.
        self._gone = _FieldsByStream()
        self._refused = _FieldsByStream()
        self._kept = _FieldsByStream()
        #: Stream -> whether another run is writing it.
        self._is_locked: dict[str, bool] = {}

    def send_all(self) -> None:
        """Sends all values, up to Apollo's limits.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        after = None
        try:
            while page := self._ledger.pending_fields(self._run.connection, _AT_ONCE, after):
                after = page[-1].age
                due = [one for one in page if one.body and self._may_send(one.place)]
                by_object: defaultdict[str, list[PendingFields]] = defaultdict(list)
                for one in due:
                    by_object[one.place.object].append(one)
                for name, members in by_object.items():
                    self._send(OBJECTS[ObjectKind(f"{name}s")], members)
                if len(self._full) == len(OBJECTS):
                    return
        finally:
            self._tell()

    def _may_send(self, place: Place) -> bool:
        """Whether values of a stream may be sent: while another run writes it, they may be old."""
        streams = self._run.streams
        if place.object in self._full or (streams and place.stream not in streams):
            return False
        if place.stream not in self._is_locked:
            try:
                self._ledger.lock(place.connection, place.stream, self._run.run_id)
            except AnotherRunActive:
                self._is_locked[place.stream] = True
            else:
                self._is_locked[place.stream] = False
        return not self._is_locked[place.stream]

    def _send(self, object_type: ObjectType, members: Sequence[PendingFields]) -> None:
        settled: list[SettledFields] = []
        failure: ApolloError | None = None
        try:
            members, unguarded = self._guard(object_type, members, settled)
            endpoint = object_type.endpoints.update
            self._run.request_counter.plan_requests({endpoint: len(members)})
            if self._run.dry_run is not None:
                self._run.counts.may_follow[endpoint] += len(members)
            send = partial(self._run.client.update, object_type.endpoints)
            calls = [partial(send, one.apollo_id, dict(one.body)) for one in members]
            with self._run.pool.start(calls) as answers:
                for one, answer in zip(members, answers, strict=True):
                    if isinstance(answer, RequestRefused):
                        settled.append(self._refuse(one, answer))
                    elif isinstance(answer, AnotherRecord):
                        settled.append(self._drop(self._refused, one))
                    elif isinstance(answer, ApolloError):
                        failure = _worse(failure, answer)
                    elif isinstance(answer, Exception):
                        raise answer
                    else:
                        settled.append(self._take(object_type, one, answer, unguarded))
        finally:
            self._ledger.settle_pending_fields(settled)
        if isinstance(failure, QuotaExhausted):
            self._stop_at(object_type, failure)
        elif failure is not None:
            raise failure

    def _stop_at(self, object_type: ObjectType, exhausted: QuotaExhausted) -> None:
        self._full.add(object_type.singular)
        known = self._run.counts.follow_from
        moment = exhausted.retry_at
        self._run.counts.follow_from = moment if known is None else min(known, moment)

    def _take(
        self,
        object_type: ObjectType,
        pending: PendingFields,
        answer: Json,
        unguarded: frozenset[str],
    ) -> SettledFields:
        row = _row_of(object_type, pending)
        if not_taken(object_type, row, pending.body, answer):
            return self._drop(self._refused, pending)
        self._run.counts.followed[pending.place.stream] += len(pending.body)
        when = updated_at(answer) if pending.apollo_id in unguarded else None
        return SettledFields(pending, frozenset(pending.body), is_held=True, updated_at=when)

    def _refuse(self, pending: PendingFields, refusal: RequestRefused) -> SettledFields:
        is_gone = consequence_of(refusal, pending.apollo_id).record_is_gone
        return self._drop(self._gone if is_gone else self._refused, pending)

    def _drop(self, dropped: _FieldsByStream, pending: PendingFields) -> SettledFields:
        names = list(pending.body)
        dropped.add(pending, names)
        self._run.counts.not_followed[pending.place.stream] += len(names)
        return SettledFields(pending, frozenset(names), is_held=False)

    # --- what people may have changed meanwhile

    def _guard(
        self,
        object_type: ObjectType,
        members: Sequence[PendingFields],
        settled: list[SettledFields],
    ) -> tuple[list[PendingFields], frozenset[str]]:
        """Takes out values that people have given their records meanwhile, where a policy says so.

        Such records are read first. A record that nobody has changed since the row was written gets
        all values; any other gets those of which it shows that it has none.

        Returns:
            The values to send; and the ids of the records that nobody has changed.
        """
        # Under `newest` a row loses to a record that somebody else changed after it: it must be
        # known that the record's last change is this request.
        is_timed = FieldPolicy.NEWEST in self._run.settings.field_policy.values()
        asks_all = is_timed and object_type.shows_updated_at
        guarded = [one for one in members if one.guarded or asks_all]
        if not guarded:
            return list(members), frozenset()
        written_at = self._ledger.times_of_records(guarded)
        of = object_type.endpoints
        self._run.request_counter.plan_requests({of.read: len(guarded)})
        calls = [partial(self._run.client.read, of, one.apollo_id) for one in guarded]
        answers: Mapping[str, Json | Exception] = dict(
            zip([one.apollo_id for one in guarded], self._run.pool.run(calls), strict=True)
        )
        left: list[PendingFields] = []
        unchanged: set[str] = set()
        for one in members:
            answer = answers.get(one.apollo_id)
            if answer is None:
                left.append(one)
            elif isinstance(answer, RequestRefused):
                settled.append(self._refuse(one, answer))
            elif isinstance(answer, QuotaExhausted):
                # It is read, and written, by a later run.
                self._stop_at(object_type, answer)
            elif isinstance(answer, AnotherRecord):
                settled.append(self._drop(self._refused, one))
            elif isinstance(answer, Exception):
                raise answer
            elif updated_at(answer) is not None and updated_at(answer) == written_at.get(
                one.apollo_id
            ):
                unchanged.add(one.apollo_id)
                left.append(one)
            else:
                taken = [n for n in one.guarded if not _is_empty(object_type, n, answer)]
                if taken:
                    self._kept.add(one, taken)
                    settled.append(SettledFields(one, frozenset(taken), is_held=True))
                    one = one.without(taken)
                if one.body:
                    left.append(one)
        return left, frozenset(unchanged)

    def _tell(self) -> None:
        notices = self._run.notices
        for dropped in (self._gone, self._refused):
            for stream, names in dropped.names.items():
                notices.fields_not_followed(
                    stream, sorted(names), dropped.keys[stream], is_gone=dropped is self._gone
                )
        for stream, names in self._kept.names.items():
            notices.fields_kept(stream, sorted(names), len(self._kept.keys[stream]))


def _worse(known: ApolloError | None, new: ApolloError) -> ApolloError:
    """The error that ends the sending: one that ends the run goes before a limit."""
    return new if known is None or isinstance(known, QuotaExhausted) else known


def _row_of(object_type: ObjectType, pending: PendingFields) -> Row:
    """A row with the values, to compare an answer with."""
    values = {
        name: pending.body[place.update] or None
        for name, place in object_type.fields.items()
        if place.update is not None and place.update in pending.body
    }
    return Row(0, (), None, values)


def _is_empty(object_type: ObjectType, key: str, answer: Json) -> bool:
    """Whether a record shows that it has no value in a field of PATCH."""
    places = [place for place in object_type.fields.values() if place.update == key]
    return all(shows(place, answer) and holds(place, answer, None) for place in places)
