"""Carries out updates of existing records, each part at the endpoint that takes it.

Carries updates out in rounds in which no Apollo record occurs twice, so that the last row wins.

The parts of a record go one after another within a round (`updating`); records go side by side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from target_apollo.apollo import (
    MAX_BULK,
    ApolloClient,
    ApolloError,
    JobStarted,
    RequestRefused,
    endpoints,
)
from target_apollo.model.compare import CUSTOM_FIELDS, not_taken
from target_apollo.model.objects import Json, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Row, UpdateMethod
from target_apollo.sync.batch import Settling
from target_apollo.sync.bulk_requests import (
    Grouped,
    K,
    UpdateRoutes,
    grouped_by,
    in_requests,
    send_grouped,
)
from target_apollo.sync.concurrency import Parallel
from target_apollo.sync.existing import LatestWords
from target_apollo.sync.exit import RunError
from target_apollo.sync.limits import WriteLimits
from target_apollo.sync.refusals import custom_field_rejection, is_about_record
from target_apollo.sync.request_counter import Reckon, take_no_note, update_requests
from target_apollo.sync.update_plan import (
    Parts,
    Pending,
    Update,
    after_bulk,
    empties,
    in_bulk,
    individually,
    without_bulk,
    without_stages,
)

_OWNERS, _STAGES = endpoints.UPDATE_CONTACT_OWNERS, endpoints.UPDATE_CONTACT_STAGES
#: Apollo names no most for a list request, only that it must be done within five minutes.
_LIST_SIZE = 500


@dataclass
class Updater:
    """Carries out updates of different Apollo records and sorts them by what became of them."""

    client: ApolloClient
    object_type: ObjectType
    parallel: Parallel
    method: UpdateMethod
    routes: UpdateRoutes
    reckon: Reckon = take_no_note
    done: list[tuple[Update, Json | None]] = field(default_factory=list)
    refused: list[tuple[Update, RequestRefused]] = field(default_factory=list)
    rejected: list[tuple[Update, Rejection]] = field(default_factory=list)

    def carry_out(self, updates: Sequence[Update]) -> ApolloError | None:
        """Sends all parts of all updates; the parts of a record go one after another.

        Returns:
            The failure that ends the run, where there was one; updates that it touched, or that
            come after it, are in none of the three lists.
        """
        singles = sum(bool(update.changes.update) for update in updates)
        bulk = self.routes.in_bulk(self.object_type, self.method, singles)
        pending = [Pending(update, self._parts(update, bulk=bulk)) for update in updates]
        all_parts = [one.parts for one in pending]
        self.reckon(update_requests(self.object_type, all_parts, list_size=_LIST_SIZE))
        failure: ApolloError | None = None
        for step in (
            self._send_single,
            self._send_bulk,
            self._send_stages,
            self._send_rest,
            self._send_owners,
            self._send_lists,
        ):
            failure = step([one for one in pending if not one.over])
            if failure is not None:
                break
        for one in pending:
            # What needs nothing further is confirmed also where the run ends.
            if one.over or one.parts:
                continue
            problem = one.problem or (self._lost(one) if one.parts.lost else None)
            if problem is not None:
                self._reject(one, problem)
            else:
                self.done.append((one.update, one.answer))
        return failure

    def _parts(self, update: Update, *, bulk: bool) -> Parts:
        if not self.routes.is_open(self.object_type.bulk_endpoint):
            return without_bulk(self.object_type, individually(update.changes))
        if not bulk:
            return individually(update.changes)
        parts = in_bulk(self.object_type, update.changes, update.answer)
        return parts if self.routes.is_open(_STAGES) else without_stages(parts)

    def _grouped(
        self,
        groups: Mapping[K, Sequence[Pending]],
        send: Callable[[K, Sequence[Pending]], Sequence[Json]],
        size: int = MAX_BULK,
    ) -> Grouped:
        return send_grouped(self.object_type, self.parallel, in_requests(groups, send, size))

    # --- PATCH and PUT

    def _send_single(self, pending: Sequence[Pending]) -> ApolloError | None:
        return self._one_by_one([(one, one.parts.single) for one in pending if one.parts.single])

    def _send_rest(self, pending: Sequence[Pending]) -> ApolloError | None:
        return self._one_by_one([(one, one.parts.rest) for one in pending if one.parts.rest])

    def _one_by_one(self, bodies: Sequence[tuple[Pending, Json]]) -> ApolloError | None:
        results = self.parallel.run([partial(self._send_one, *body) for body in bodies])
        failure: ApolloError | None = None
        for (one, body), result in zip(bodies, results, strict=True):
            if isinstance(result, dict):
                one.take(result, body)
                one.parts = replace(
                    one.parts,
                    single={} if body is one.parts.single else one.parts.single,
                    rest={} if body is one.parts.rest else one.parts.rest,
                )
                one.problem = one.problem or self._problem_of(one.update, body, result)
            elif isinstance(result, RequestRefused) and is_about_record(result):
                self._refuse(one, result)
            elif isinstance(result, ApolloError):
                failure = failure or result
            else:
                raise result
        return failure

    def _send_one(self, one: Pending, body: Json) -> Json:
        return self.client.update(self.object_type.endpoints, one.update.apollo_id, body)

    def _problem_of(self, update: Update, body: Json, answer: Json) -> Rejection | None:
        endpoint = self.object_type.update_endpoint
        missed = not_taken(self.object_type, update.row, body, answer, update.answer)
        # A record may still show what an earlier row's custom fields came to.
        wrote_custom = CUSTOM_FIELDS in body
        refused = (
            custom_field_rejection(self.object_type, answer, endpoint) if wrote_custom else None
        )
        return refused or (self._not_taken(update, missed, endpoint) if missed else None)

    # --- bulk_update, and what stands in for it where it is closed

    def _send_bulk(self, pending: Sequence[Pending]) -> ApolloError | None:
        endpoint = self.object_type.bulk_endpoint
        members = [one for one in pending if one.parts.bulk]
        sent = self._grouped({endpoint: members}, lambda _, some: self._bulk_update(some))
        for one, answer in sent.answered:
            self._take_bulk_answer(one, answer)
        for one in sent.silent:
            self._turn_to_single(one, self._left_out(endpoint))
        for one, refusal in sent.refused:
            if _leaves_open(one, refusal):
                self._turn_to_single(one, refusal)
            else:
                self._refuse(one, refusal)
        if sent.closed_by is not None:
            how = f"{self.object_type.kind.value} are updated one request a record"
            self.routes.close(endpoint, sent.closed_by, how)
            for one in sent.shut_out:
                one.parts = without_bulk(self.object_type, one.parts)
        return sent.failure

    def _bulk_update(self, pending: Sequence[Pending]) -> Sequence[Json]:
        attributes = [{"id": one.update.apollo_id, **one.parts.bulk} for one in pending]
        return self.client.bulk_update(self.object_type.endpoints, attributes)

    def _take_bulk_answer(self, one: Pending, answer: Json) -> None:
        update, endpoint = one.update, self.object_type.bulk_endpoint
        wrote_custom = CUSTOM_FIELDS in one.parts.bulk
        one.take(answer, one.parts.bulk)
        one.parts, missed = after_bulk(
            self.object_type, update.row, one.parts, update.answer, answer
        )
        refused = (
            custom_field_rejection(self.object_type, answer, endpoint) if wrote_custom else None
        )
        if missed:
            refused = refused or self._not_taken(update, missed, endpoint)
        one.problem = one.problem or refused

    def _turn_to_single(self, one: Pending, otherwise: Rejection | RequestRefused) -> None:
        """Has PATCH or PUT decide on an update, where that can carry the whole of it."""
        parts = without_bulk(self.object_type, one.parts)
        if not (parts.owner or parts.lost):
            one.parts = parts
        elif isinstance(otherwise, Rejection):
            self._reject(one, otherwise)
        else:
            self._refuse(one, otherwise)

    def _send_owners(self, pending: Sequence[Pending]) -> ApolloError | None:
        def send(owner_id: str, some: Sequence[Pending]) -> Sequence[Json]:
            return self.client.update_owners(self.object_type.endpoints, _ids(some), owner_id)

        sent = self._grouped(grouped_by(pending, lambda one: one.parts.owner), send)
        for one, answer in sent.answered:
            if answer.get("owner_id", one.parts.owner) != one.parts.owner:
                one.problem = self._not_taken(one.update, ("owner_id",), _OWNERS)
            one.take(answer, {"owner_id"})
            one.parts = replace(one.parts, owner=None)
        for one in sent.silent:
            self._reject(one, self._left_out(_OWNERS))
        for one, refusal in sent.refused:
            self._refuse(one, refusal)
        return sent.failure or sent.closed_by

    # --- stages and lists

    def _send_stages(self, pending: Sequence[Pending]) -> ApolloError | None:
        def send(stage_id: str, some: Sequence[Pending]) -> Sequence[Json]:
            return self.client.update_stages(self.object_type.endpoints, _ids(some), stage_id)

        sent = self._grouped(grouped_by(pending, lambda one: one.parts.stage), send)
        for one, answer in sent.answered:
            if answer.get("contact_stage_id", one.parts.stage) == one.parts.stage:
                one.take(answer, {"contact_stage_id"})
                one.parts = replace(one.parts, stage=None)
            else:
                one.parts = without_stages(one.parts)
        for one, refusal in sent.refused:
            self._refuse(one, refusal)
        for one in (*sent.silent, *sent.shut_out):
            one.parts = without_stages(one.parts)
        if sent.closed_by is not None:
            self.routes.close(_STAGES, sent.closed_by, "stages are written one request a contact")
        return sent.failure

    def _send_lists(self, pending: Sequence[Pending]) -> ApolloError | None:
        def send(names: tuple[str, ...], some: Sequence[Pending]) -> Sequence[Json]:
            # PATCH with label_names would replace the record's lists; this endpoint only adds. Its
            # answer names lists, not records.
            self.client.add_to_lists(self.object_type.endpoints, _ids(some), names)
            return [{"id": apollo_id} for apollo_id in _ids(some)]

        groups = grouped_by(pending, lambda one: one.parts.lists)
        sent = self._grouped(groups, send, size=_LIST_SIZE)
        if isinstance(sent.closed_by, JobStarted):
            # Nothing says where Apollo draws the line; a hundred are done at once everywhere.
            again = grouped_by(sent.shut_out, lambda one: one.parts.lists)
            sent = sent.followed_by(self._grouped(again, send))
        for one, _ in sent.answered:
            one.parts = replace(one.parts, lists=())
        for one, refusal in sent.refused:
            self._refuse(one, refusal)
        return sent.failure or sent.closed_by

    # --- what became of them

    def _refuse(self, one: Pending, refusal: RequestRefused) -> None:
        one.over = True
        self.refused.append((one.update, refusal))

    def _reject(self, one: Pending, why: Rejection) -> None:
        one.over = True
        self.rejected.append((one.update, why))

    def _left_out(self, endpoint: str) -> Rejection:
        return _unconfirmed(
            f"not confirmed by Apollo: the answer of {endpoint} leaves it out", endpoint
        )

    def _not_taken(self, update: Update, missed: Sequence[str], endpoint: str) -> Rejection:
        names = ", ".join(
            name if name in self.object_type.fields else f"custom field {name}" for name in missed
        )
        return _unconfirmed(
            f"not confirmed by Apollo: its answer for {self.object_type.singular} "
            f"{update.apollo_id} shows that it did not take {names}",
            endpoint,
        )

    def _lost(self, one: Pending) -> Rejection:
        endpoint = self.object_type.bulk_endpoint
        return Rejection(
            Reason.REFUSED,
            f"{self.object_type.singular} {one.update.apollo_id} was written without "
            f"{', '.join(one.parts.lost)}, which only {endpoint} takes. "
            f"{self.routes.closed.get(endpoint, '')}".rstrip(),
            endpoint=endpoint,
            attempts=1,
        )


def _ids(pending: Sequence[Pending]) -> list[str]:
    return [one.update.apollo_id for one in pending]


def _unconfirmed(detail: str, endpoint: str) -> Rejection:
    return Rejection(Reason.NOT_CONFIRMED, detail, status=200, endpoint=endpoint, attempts=1)


def _leaves_open(one: Pending, refusal: RequestRefused) -> bool:
    """Whether a single update may fare better, or say what is wrong.

    Of that alone it is known that it takes an empty value, and how it answers for a missing record.
    """
    says_why = refusal.names_missing_record or refusal.named_ids or refusal.details
    return not says_why or (empties(one.parts) and not refusal.names_missing_record)


#: What updates come to after other rows of the same Apollo records have been written, and a failure
#: that ends the run.
SeeAgain = Callable[[Sequence[Update]], "tuple[list[Update], ApolloError | None]"]


@dataclass(frozen=True)
class UpdateRounds:
    """Carries out the updates of one stream.

    Attributes:
        updater: Makes what carries a single round out.
        sample: Shown the updates of existing records before they are carried out.
    """

    updater: Callable[[], Updater]
    limits: WriteLimits
    sample: Callable[[Sequence[Update]], None]
    settling: Settling
    latest: LatestWords

    def carry_out(
        self,
        updates: Sequence[Update],
        failure: ApolloError | RunError | None,
        see_again: SeeAgain,
    ) -> list[Row]:
        """Settles the rows of updates, as far as the run goes on.

        Args:
            failure: What ends the run already; only rows that need no request are settled then.
            see_again: Asked before each round but the first.

        Returns:
            Rows whose record is gone from Apollo, to be created again.

        Raises:
            ApolloError, RunError: The failure, or the run can't go on.
        """
        gone: list[Row] = []
        for number, members in enumerate(_rounds(updates)):
            if number and failure is None:
                members, failure = see_again(members)
            idle = [update for update in members if not update.changes]
            for update in idle:
                self.settling.finish(update, update.answer)
            if failure is None:
                failure = self._update_allowed([u for u in members if u.changes], gone)
        if failure is not None:
            raise failure
        return gone

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

    def _update_round(self, updates: Sequence[Update], gone: list[Row]) -> ApolloError | None:
        updater = self.updater()
        self.sample(updates)
        failure = updater.carry_out(updates)
        self.latest.forget(
            {update.apollo_id for update, _ in (*updater.refused, *updater.rejected)}
        )
        for update, refusal in updater.refused:
            self.settling.take_refusal(update.row, update.apollo_id, refusal, gone)
        for update, reason in updater.rejected:
            self.settling.reject_record(update.row, update.apollo_id, reason)
        for update, answer in updater.done:
            self.latest.know(update.row, answer or update.answer or {"id": update.apollo_id})
            self.settling.finish(update, answer)
        return failure


def _rounds(updates: Sequence[Update]) -> list[list[Update]]:
    rounds: list[list[Update]] = []
    next_round: dict[str, int] = defaultdict(int)
    for update in updates:
        place = next_round[update.apollo_id]
        next_round[update.apollo_id] += 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(update)
    return rounds
