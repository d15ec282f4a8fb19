"""Creates the rows that no record is known of, as many requests at a time as may go out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from target_apollo.apollo import ApolloClient, ApolloError
from target_apollo.model.objects import ObjectType
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.changes import left_to_write
from target_apollo.sync.concurrency import Parallel
from target_apollo.sync.create_answers import CreateAnswers
from target_apollo.sync.creating import Created, create
from target_apollo.sync.existing import Known
from target_apollo.sync.exit import RunError
from target_apollo.sync.limits import WriteLimits
from target_apollo.sync.pending_updates import Update
from target_apollo.sync.plan import CreateRequest, create_requests
from target_apollo.sync.request_counter import Reckon
from target_apollo.sync.under_way import Flow

#: Adds what existing records need to the updates; returns a failure that ends the run.
Compare = Callable[[Sequence[Known], list[Update]], "ApolloError | None"]


@dataclass(frozen=True)
class NewRows:
    """Creates rows of one stream.

    Attributes:
        reckon: Told how many requests are about to be sent.
        answers: Takes what became of each request.
    """

    client: ApolloClient
    target: ObjectType
    mode: Mode
    batch_size: int
    parallel: Parallel
    limits: WriteLimits
    reckon: Reckon
    answers: CreateAnswers

    def create_all(
        self,
        rows: Sequence[Row],
        updates: list[Update],
        compare: Compare,
        *,
        meets_again: bool,
    ) -> Flow[ApolloError | RunError | None]:
        """Creates rows, no more than the limit allows; what then needs an update is added.

        Pauses while requests are under way.

        Args:
            compare: Asked what the records need that Apollo had already.
            meets_again: Whether a row may be compared with a record that the same flush has
                created.

        Returns:
            The failure that ends the run, if there was one, after the other requests' rows have
            been taken care of.
        """
        left = list(rows)
        while left:
            try:
                allowed = self.limits.creates_allowed(len(left))
            except RunError as reached:
                return reached
            known: list[Known] = []
            failure = yield from self._create_some(
                left[:allowed], updates, known, meets_again=meets_again
            )
            failure = compare(known, updates) or failure
            if failure is not None:
                return failure
            # Rows that Apollo had already did not use the limit up.
            left = left[allowed:]
        return None

    def _create_some(
        self, rows: Sequence[Row], updates: list[Update], known: list[Known], *, meets_again: bool
    ) -> Flow[ApolloError | None]:
        """Creates rows, and adds to `updates` and `known` as `CreateAnswers.take` does."""
        requests = [
            self._asking_for_little(request, meets_again=meets_again)
            for request in create_requests(
                self.target,
                rows,
                self.batch_size,
                spare_existing=self.mode is Mode.INSERT,
            )
        ]
        self.reckon({self.target.create_endpoint: len(requests)})
        failure: ApolloError | None = None

        def take(place: int, result: Created | Exception) -> None:
            nonlocal failure
            if isinstance(result, ApolloError):
                failure = failure or result
            elif isinstance(result, Exception):
                raise result
            else:
                self.answers.take(requests[place], result, updates, known)

        # Rows are settled while Apollo is at work on those of the next requests.
        yield from self.parallel.each(
            [partial(create, self.client, self.target, request) for request in requests], take
        )
        return failure

    def _asking_for_little(self, request: CreateRequest, *, meets_again: bool) -> CreateRequest:
        """The request, for less than the whole records where nothing is written to them again."""
        whole = meets_again or any(left_to_write(self.target, request, row) for row in request.rows)
        return replace(request, whole=whole)
