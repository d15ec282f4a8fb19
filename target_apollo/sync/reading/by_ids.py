"""Reads records by their ids, with at most half of the requests that Apollo still allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from target_apollo.apollo import AnotherRecord, EndpointForbidden, RequestRefused
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.sync.refusals import consequence_of
from target_apollo.sync.run import SyncRun


@dataclass(frozen=True)
class Records:
    """Records by Apollo id, as far as they could be read, and the ids of records that are gone."""

    found: Mapping[str, Json] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


def read_records(run: SyncRun, object_type: ObjectType, ids: Sequence[str]) -> Records:
    """Reads records, with at most half of the requests that Apollo's limits still allow.

    The records that were not read are in neither part of the result, nor are those that the
    credentials may not read.

    Raises:
        ApolloError: The run can't go on.
    """
    of = object_type.endpoints
    left = run.update_routes.requests_left(of.read)
    asked = list(dict.fromkeys(ids))
    if left is not None:
        asked = asked[: left // 2]
    run.request_counter.plan_requests({of.read: len(asked)})
    found: dict[str, Json] = {}
    gone: set[str] = set()
    # The first goes alone, so that a closed endpoint is asked once.
    for some in (asked[:1], asked[1:]):
        answers = run.pool.run([partial(run.client.read, of, one) for one in some])
        for apollo_id, answer in zip(some, answers, strict=True):
            if isinstance(answer, EndpointForbidden):
                return Records(found, frozenset(gone))
            if isinstance(answer, RequestRefused):
                if consequence_of(answer, apollo_id).record_is_gone:
                    gone.add(apollo_id)
            elif isinstance(answer, AnotherRecord):
                continue
            elif isinstance(answer, Exception):
                raise answer
            else:
                found[apollo_id] = answer
    return Records(found, frozenset(gone))
