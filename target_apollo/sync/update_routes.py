"""Which ways are open to a run's updates: what the quota leaves, and which endpoints are closed."""

from __future__ import annotations

import logging

from target_apollo.apollo import (
    ApolloError,
    EndpointForbidden,
    JobStarted,
    Quota,
    RequestRefused,
    access_to,
    endpoints_of,
)
from target_apollo.model.objects import ObjectType
from target_apollo.sync.refusals import is_about_records
from target_apollo.sync.update_method import UpdateMethod, goes_in_bulk, requests_left

_NO_ROUTE = {404, 405}


class UpdateRoutes:
    """Shared by the writers of a run; used by one thread at a time.

    Attributes:
        closed: Endpoints for many records that can't be used in this run, and why.
    """

    def __init__(self, quota: Quota, share: float, logger: logging.Logger) -> None:
        self._quota = quota
        self._share = share
        self._logger = logger
        self.closed: dict[str, str] = {}

    def in_bulk(self, target: ObjectType, method: UpdateMethod, updates: int) -> bool:
        """Whether so many updates go a hundred a request, as far as an endpoint is open for it."""
        return goes_in_bulk(method, updates, self._left(target.update_endpoint))

    def is_open(self, endpoint: str) -> bool:
        """Whether no answer has yet closed an endpoint to this run."""
        return endpoint not in self.closed

    def close(self, endpoint: str, why: ApolloError, instead: str) -> None:
        """Leaves an endpoint alone for the rest of the run, and says so once.

        Args:
            instead: How its records are written from now on, for the log.
        """
        if endpoint in self.closed:
            return
        said = str(why)
        if isinstance(why, RequestRefused):
            said = f"Apollo has no {endpoint} at this address ({why.status})."
        elif isinstance(why, JobStarted):
            said = (
                f"Apollo answered {endpoint} with a background job, whose end nobody can ask for."
            )
        self.closed[endpoint] = said
        self._logger.warning("%s For the rest of the run %s.", said, instead)

    def _left(self, endpoint: str) -> int | None:
        # PUT and PATCH of one thing are counted together.
        labels = endpoints_of(access_to(endpoint).key_entry or "")
        known = [requests_left(self._quota.of(label), self._share) for label in labels]
        return min((left for left in known if left is not None), default=None)


def closes(problem: Exception) -> bool:
    """Whether an endpoint answered that it is none for this run, whatever the records.

    A 403; a 404 or 405 that names no record; a background job, which confirms nothing.
    """
    if isinstance(problem, RequestRefused):
        return problem.status in _NO_ROUTE and not is_about_records(problem)
    return isinstance(problem, (EndpointForbidden, JobStarted))
