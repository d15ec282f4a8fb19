"""The steps of an update: which part is sent to which endpoint, in which order.

`update_steps` is the table. Each step sends one part of many updates, with one record or many
records per request. The functions here also read the answers, and replace an endpoint that the run
can't use.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from target_apollo.apollo import MAX_BULK, ApolloClient, RequestRefused, endpoints
from target_apollo.model.compare import CUSTOM_FIELDS, not_taken
from target_apollo.model.match_keys import addresses, called
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.refusals import custom_field_rejection
from target_apollo.sync.updates.update_plan import (
    UpdateInProgress,
    UpdateParts,
    after_bulk,
    empties,
    fallback_from_bulk,
    fallback_from_stages,
)

#: Apollo documents no maximum for a list request, only that it must finish within five minutes. A
#: hundred records are always finished in time.
_LIST_SIZES = (500, MAX_BULK)


class Grouping(enum.Enum):
    """Which records share a request."""

    #: None: each record has a request of its own.
    NONE = enum.auto()
    #: Any records.
    ANY = enum.auto()
    #: Records that get the same value.
    SAME_VALUE = enum.auto()


@dataclass(frozen=True)
class Fallback:
    """What replaces an endpoint for many records.

    Attributes:
        parts: Converts the parts of an update for other endpoints.
        description: For the log: how records are then written.
        decides_refusals: Whether a refused record is sent to the other endpoints, which may take it
            or say what is wrong.
    """

    parts: Callable[[UpdateParts], UpdateParts]
    description: str
    decides_refusals: bool = False


#: Sends the values of records in one request, with ids and values in the same order; returns the
#: records of Apollo's answer.
Send = Callable[[ApolloClient, ObjectType, "list[str]", "list[Any]"], "Sequence[Json]"]
#: Reads the record that Apollo answered for an update; sets the remaining parts and the problem.
Read = Callable[[ObjectType, UpdateInProgress, Json], None]


@dataclass(frozen=True)
class UpdateStep:
    """How one part of updates is sent.

    Attributes:
        part: The name of the part in `UpdateParts`.
        sizes: Records per request. If Apollo starts a background job, which confirms nothing, the
            records are sent again in requests of the next size.
        fallback: None where no other endpoint takes the part.
    """

    part: str
    endpoint: str
    grouping: Grouping
    send: Send
    read: Read
    sizes: tuple[int, ...] = (MAX_BULK,)
    fallback: Fallback | None = None

    def value(self, parts: UpdateParts) -> Any:
        """The value that this step sends for an update; empty if there is none."""
        return getattr(parts, self.part)

    def requests(
        self, updates: Sequence[UpdateInProgress], size: int
    ) -> list[list[UpdateInProgress]]:
        """The updates of each request, of at most `size` records."""
        groups: dict[Hashable, list[UpdateInProgress]] = {}
        for update in updates:
            groups.setdefault(self._group(update.parts), []).append(update)
        return [
            members[start : start + size]
            for members in groups.values()
            for start in range(0, len(members), size)
        ]

    def count_requests(self, parts: Sequence[UpdateParts]) -> int:
        """Number of requests for updates."""
        groups = Counter(self._group(one) for one in parts if self.value(one))
        return sum(math.ceil(count / self.sizes[0]) for count in groups.values())

    def _group(self, parts: UpdateParts) -> Hashable:
        value: Hashable = self.value(parts) if self.grouping is Grouping.SAME_VALUE else None
        return value


def update_steps(object_type: ObjectType) -> tuple[UpdateStep, ...]:
    """The steps of an update in order."""
    return (
        UpdateStep(
            "single", object_type.endpoints.update, Grouping.NONE,
            _send_single, partial(_read_single, "single"), sizes=(1,),
        ),
        UpdateStep(
            "bulk", object_type.endpoints.bulk_update, Grouping.ANY, _send_bulk, _read_bulk,
            fallback=Fallback(
                partial(fallback_from_bulk, object_type),
                f"{object_type.kind.value} are updated one request a record",
                decides_refusals=True,
            ),
        ),
        UpdateStep(
            "stage", endpoints.UPDATE_CONTACT_STAGES, Grouping.SAME_VALUE,
            _send_stage, _read_stage,
            fallback=Fallback(
                fallback_from_stages, f"stages are written one request a {object_type.singular}"
            ),
        ),
        UpdateStep(
            "rest", object_type.endpoints.update, Grouping.NONE,
            _send_single, partial(_read_single, "rest"), sizes=(1,),
        ),
        UpdateStep(
            "owner", endpoints.UPDATE_CONTACT_OWNERS, Grouping.SAME_VALUE,
            _send_owner, _read_owner,
        ),
        UpdateStep(
            "lists", endpoints.ADD_TO_LISTS, Grouping.SAME_VALUE,
            _send_lists, _read_lists, sizes=_LIST_SIZES,
        ),
    )  # fmt: skip


def planned_requests(steps: Sequence[UpdateStep], parts: Sequence[UpdateParts]) -> dict[str, int]:
    """Endpoint -> requests for updates, including PATCH or PUT that may turn out unnecessary."""
    found: Counter[str] = Counter()
    for step in steps:
        found[step.endpoint] += step.count_requests(parts)
    return {endpoint: count for endpoint, count in found.items() if count}


# --- how each part is sent


def _send_single(
    client: ApolloClient, object_type: ObjectType, ids: list[str], bodies: list[Json]
) -> Sequence[Json]:
    ((apollo_id, body),) = zip(ids, bodies, strict=True)
    return [client.update(object_type.endpoints, apollo_id, body)]


def _send_bulk(
    client: ApolloClient, object_type: ObjectType, ids: list[str], bodies: list[Json]
) -> Sequence[Json]:
    attributes: list[Json] = [
        {"id": apollo_id, **body} for apollo_id, body in zip(ids, bodies, strict=True)
    ]
    return client.bulk_update(object_type.endpoints, attributes)


def _send_stage(
    client: ApolloClient, object_type: ObjectType, ids: list[str], stage_ids: list[str]
) -> Sequence[Json]:
    return client.update_stages(object_type.endpoints, ids, stage_ids[0])


def _send_owner(
    client: ApolloClient, object_type: ObjectType, ids: list[str], owner_ids: list[str]
) -> Sequence[Json]:
    return client.update_owners(object_type.endpoints, ids, owner_ids[0])


def _send_lists(
    client: ApolloClient, object_type: ObjectType, ids: list[str], names: list[tuple[str, ...]]
) -> Sequence[Json]:
    # PATCH with label_names would replace the record's lists; this endpoint only adds. Its answer
    # names lists, not records.
    client.add_to_lists(object_type.endpoints, ids, names[0])
    return [{"id": apollo_id} for apollo_id in ids]


# --- what an answer means for an update


def _read_single(part: str, object_type: ObjectType, one: UpdateInProgress, answer: Json) -> None:
    update, body = one.update, getattr(one.parts, part)
    missed = not_taken(object_type, update.row, body, answer, update.answer)
    one.problem = one.problem or _problem(
        object_type, one, body, answer, missed, object_type.endpoints.update
    )
    one.merge_answer(answer, body)
    one.parts = one.parts.without(part)


def _read_bulk(object_type: ObjectType, one: UpdateInProgress, answer: Json) -> None:
    update, body = one.update, one.parts.bulk
    one.parts, missed = after_bulk(object_type, update.row, one.parts, update.answer, answer)
    one.problem = one.problem or _problem(
        object_type, one, body, answer, missed, object_type.endpoints.bulk_update
    )
    one.merge_answer(answer, body)


def _read_stage(_: ObjectType, one: UpdateInProgress, answer: Json) -> None:
    if answer.get("contact_stage_id", one.parts.stage) == one.parts.stage:
        one.merge_answer(answer, {"contact_stage_id"})
        one.parts = one.parts.without("stage")
    else:
        one.parts = fallback_from_stages(one.parts)


def _read_owner(object_type: ObjectType, one: UpdateInProgress, answer: Json) -> None:
    if answer.get("owner_id", one.parts.owner) != one.parts.owner:
        one.problem = _contradicted(
            object_type, one, ("owner_id",), endpoints.UPDATE_CONTACT_OWNERS
        )
    one.merge_answer(answer, {"owner_id"})
    one.parts = one.parts.without("owner")


def _read_lists(_: ObjectType, one: UpdateInProgress, _answer: Json) -> None:
    one.parts = one.parts.without("lists")


def may_fall_back(step: UpdateStep, one: UpdateInProgress, refusal: RequestRefused) -> bool:
    """Whether to send an update that a step's endpoint refused to other endpoints instead.

    This is done if the refusal does not say what is wrong, or if the update empties a field: only
    PATCH and PUT are known to take an empty value.
    """
    if step.fallback is None or not step.fallback.decides_refusals:
        return False
    says_why = refusal.names_missing_record or refusal.named_ids or refusal.details
    return not says_why or (empties(one.parts) and not refusal.names_missing_record)


# --- why a row is rejected though Apollo answered


def left_out(endpoint: str) -> Rejection:
    """The rejection of an update that is missing in the answer of an endpoint."""
    return _unconfirmed(
        f"not confirmed by Apollo: the answer of {endpoint} leaves it out", endpoint
    )


def shows_another(
    object_type: ObjectType, one: UpdateInProgress, sent: object, answer: Json
) -> bool:
    """Whether an answer shows a record that has neither its former address nor the row's.

    An update may take several requests, and an earlier one of them may have sent the address.
    Without its former address, an update that sends none tells nothing: a person may have corrected
    the address in Apollo.

    Args:
        sent: What was sent to the record.
    """
    expected = set(addresses(object_type, one.update.answer or {}))
    place = object_type.fields[object_type.match_field]
    given = one.update.row.values.get(place.name)
    is_sent = isinstance(sent, dict) and bool({place.update, place.bulk} & sent.keys())
    if given and (expected or is_sent):
        expected.add(given)
    shown = addresses(object_type, answer) if expected else []
    return bool(shown) and expected.isdisjoint(shown)


def another_shown(object_type: ObjectType, one: UpdateInProgress, endpoint: str) -> Rejection:
    """The rejection of an update that was answered with another record's address."""
    return _unconfirmed(
        f"not confirmed by Apollo: the answer of {endpoint} shows {object_type.singular} "
        f"{one.update.apollo_id} with another {called(object_type, None)}; look at that record in "
        "Apollo",
        endpoint,
    )


def _problem(
    object_type: ObjectType,
    one: UpdateInProgress,
    body: Json,
    answer: Json,
    missed: Sequence[str],
    endpoint: str,
) -> Rejection | None:
    """The rejection of a row if the answer shows that fields were not written; else None.

    Args:
        missed: Fields that Apollo did not take, by its answer.
    """
    # Without custom fields in the body, such errors in the record are those of an earlier row.
    refused = (
        custom_field_rejection(object_type, answer, endpoint) if CUSTOM_FIELDS in body else None
    )
    return refused or (_contradicted(object_type, one, missed, endpoint) if missed else None)


def _contradicted(
    object_type: ObjectType, one: UpdateInProgress, missed: Sequence[str], endpoint: str
) -> Rejection:
    names = ", ".join(
        name if name in object_type.fields else f"custom field {name}" for name in missed
    )
    return _unconfirmed(
        f"not confirmed by Apollo: its answer for {object_type.singular} "
        f"{one.update.apollo_id} shows that it did not take {names}",
        endpoint,
    )


def _unconfirmed(detail: str, endpoint: str) -> Rejection:
    return Rejection(Reason.NOT_CONFIRMED, detail, status=200, endpoint=endpoint, attempts=1)
