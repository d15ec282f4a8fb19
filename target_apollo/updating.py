"""Sends the updates of existing records, each part to the endpoint that takes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from target_apollo.api import ApolloClient, ApolloError, RequestRefused
from target_apollo.changes import Changes, not_taken
from target_apollo.objects import Json, ObjectKind, ObjectType
from target_apollo.outcomes import Outcome, Reason, Rejection
from target_apollo.parallel import Parallel
from target_apollo.refusals import (
    TakenApart,
    custom_field_rejection,
    is_about_records,
    take_apart,
)
from target_apollo.rows import Row

#: Apollo answers bulk_update synchronously up to this many records; above, with a job.
_BULK_SIZE = 100


@dataclass(frozen=True)
class Update:
    """What one existing record is to get.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
        outcome: What the row has come to when all is carried out.
        refused: Why the row is rejected all the same, after its other parts are written.
    """

    row: Row
    apollo_id: str
    answer: Json | None
    changes: Changes
    outcome: Outcome
    refused: Rejection | None = None


@dataclass
class Updater:
    """Carries out updates of different Apollo records and sorts them by what became of them."""

    client: ApolloClient
    target: ObjectType
    parallel: Parallel
    done: list[tuple[Update, Json | None]] = field(default_factory=list)
    refused: list[tuple[Update, RequestRefused]] = field(default_factory=list)
    rejected: list[tuple[Update, Rejection]] = field(default_factory=list)

    def carry_out(self, updates: Sequence[Update]) -> ApolloError | None:
        """Sends all updates, at most one request per record and endpoint.

        Returns:
            The failure that ends the run, where there was one; updates that it touched, or that
            come after it, are in none of the three lists.
        """
        open_updates, answers, failure = self._individually(updates)
        if failure is None:
            open_updates, failure = self._in_bulk(open_updates, answers)
        if failure is None:
            failure = self._onto_lists(open_updates)
        if failure is not None:
            # What needed nothing further is confirmed all the same.
            open_updates = [u for u in open_updates if not (u.changes.bulk or u.changes.lists)]
        failed = {update.apollo_id for update, _ in (*self.refused, *self.rejected)}
        self.done = [
            (update, answers.get(update.apollo_id))
            for update in open_updates
            if update.apollo_id not in failed
        ]
        return failure

    def _individually(
        self, updates: Sequence[Update]
    ) -> tuple[list[Update], dict[str, Json], ApolloError | None]:
        single = [update for update in updates if update.changes.update]
        results = self.parallel.run([partial(self._send_one, update) for update in single])
        failure: ApolloError | None = None
        failed: set[str] = set()
        answers: dict[str, Json] = {}
        for update, result in zip(single, results, strict=True):
            if isinstance(result, dict):
                problem = self._problem_of(update, result)
                if problem is None:
                    answers[update.apollo_id] = result
                    continue
                self.rejected.append((update, problem))
            elif isinstance(result, RequestRefused) and _is_about_record(result):
                self.refused.append((update, result))
            elif isinstance(result, ApolloError):
                failure = failure or result
            else:
                raise result
            failed.add(update.apollo_id)
        return [u for u in updates if u.apollo_id not in failed], answers, failure

    def _problem_of(self, update: Update, answer: Json) -> Rejection | None:
        endpoint = self.target.update_endpoint
        missed = not_taken(self.target, update.row, update.changes.update, answer)
        if not missed:
            return custom_field_rejection(self.target, answer, endpoint)
        return custom_field_rejection(self.target, answer, endpoint) or Rejection(
            Reason.NOT_CONFIRMED,
            f"not confirmed by Apollo: its answer for {self.target.singular} {update.apollo_id} "
            f"shows that it did not take {', '.join(missed)}",
            status=200,
            endpoint=endpoint,
            attempts=1,
        )

    def _send_one(self, update: Update) -> Json:
        if self.target.kind is ObjectKind.CONTACTS:
            return self.client.update_contact(update.apollo_id, update.changes.update)
        return self.client.update_account(update.apollo_id, update.changes.update)

    def _in_bulk(
        self, updates: Sequence[Update], answers: dict[str, Json]
    ) -> tuple[list[Update], ApolloError | None]:
        """What PATCH does not take: a contact's owner and LinkedIn address."""
        return self._grouped(
            updates,
            [update for update in updates if update.changes.bulk],
            lambda rows: self._send_bulk(rows, answers),
        )

    def _send_bulk(self, updates: Sequence[Update], answers: dict[str, Json]) -> set[str]:
        answered = self._bulk_answers(updates)
        confirmed = {str(answer.get("id")) for answer in answered}
        left_out = [update for update in updates if update.apollo_id not in confirmed]
        if left_out:
            # Safe to send again: an update is the same twice.
            answered += self._bulk_answers(left_out)
            confirmed = {str(answer.get("id")) for answer in answered}
        for answer in answered:
            # The bulk answer may be a short form: it adds to what is known, it hides nothing.
            known = answers.get(str(answer.get("id")), {})
            answers[str(answer.get("id"))] = {**known, **answer}
        return confirmed

    def _bulk_answers(self, updates: Sequence[Update]) -> list[Json]:
        attributes = [{"id": update.apollo_id, **update.changes.bulk} for update in updates]
        if self.target.kind is ObjectKind.CONTACTS:
            return self.client.bulk_update_contacts(attributes)
        return self.client.bulk_update_accounts(attributes)

    def _onto_lists(self, updates: Sequence[Update]) -> ApolloError | None:
        groups: dict[tuple[str, ...], list[Update]] = defaultdict(list)
        for update in updates:
            if update.changes.lists:
                groups[update.changes.lists].append(update)
        failure: ApolloError | None = None
        for names, members in groups.items():
            _, failure = self._grouped(members, members, partial(self._add_to_lists, names))
            if failure is not None:
                break
        return failure

    def _add_to_lists(self, names: tuple[str, ...], updates: Sequence[Update]) -> set[str]:
        ids = [update.apollo_id for update in updates]
        # PATCH with label_names would replace the record's lists; this endpoint only adds.
        self.client.add_to_lists(ids, names, self.target.kind.value)
        return set(ids)

    def _grouped(
        self,
        updates: Sequence[Update],
        grouped: Sequence[Update],
        send: Callable[[Sequence[Update]], set[str]],
    ) -> tuple[list[Update], ApolloError | None]:
        """Sends `grouped` in requests of 100; returns the updates that are still well."""
        by_number = {update.row.number: update for update in grouped}

        def send_rows(rows: Sequence[Row]) -> set[str]:
            return send([by_number[row.number] for row in rows])

        requests = [
            # A refusal names Apollo's id, which the record itself need not carry.
            [replace(update.row, apollo_id=update.apollo_id) for update in part]
            for part in (
                grouped[start : start + _BULK_SIZE] for start in range(0, len(grouped), _BULK_SIZE)
            )
        ]
        results = self.parallel.run(
            [partial(take_apart, self.target, rows, send_rows) for rows in requests]
        )
        failure: ApolloError | None = None
        failed: set[str] = set()
        for rows, result in zip(requests, results, strict=True):
            if isinstance(result, ApolloError):
                failure = failure or result
                failed |= {by_number[row.number].apollo_id for row in rows}
            elif isinstance(result, Exception):
                raise result
            else:
                failed |= self._sort(result, by_number)
        return [u for u in updates if u.apollo_id not in failed], failure

    def _sort(self, parts: TakenApart[set[str]], by_number: dict[int, Update]) -> set[str]:
        """Notes the refused and unconfirmed updates of a request; returns their Apollo ids."""
        failed: set[str] = set()
        for row, refusal in parts.refused:
            self.refused.append((by_number[row.number], refusal))
            failed.add(by_number[row.number].apollo_id)
        for rows, confirmed in parts.answered:
            for update in (by_number[row.number] for row in rows):
                if update.apollo_id not in confirmed:
                    self.rejected.append((update, self._not_confirmed()))
                    failed.add(update.apollo_id)
        return failed

    def _not_confirmed(self) -> Rejection:
        return Rejection(
            Reason.NOT_CONFIRMED,
            f"not confirmed by Apollo: the answer of {self.target.bulk_endpoint} leaves it out",
            status=200,
            endpoint=self.target.bulk_endpoint,
            attempts=1,
        )


def _is_about_record(refusal: RequestRefused) -> bool:
    return is_about_records(refusal) or (refusal.status == 404 and refusal.names_missing_record)
