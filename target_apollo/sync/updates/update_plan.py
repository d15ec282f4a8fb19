"""Plans which endpoint takes which part of an update. Pure.

Records are updated one by one or a hundred per request, whichever needs fewer requests.
`UpdateParts` are the parts of an update that are still to be sent; `update_steps` says how each
part is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from target_apollo.apollo import RequestRefused
from target_apollo.apollo.quota import Windows
from target_apollo.model.compare import CUSTOM_FIELDS, emptied_unseen, not_taken
from target_apollo.model.match_keys import name_fields
from target_apollo.model.objects.registry import Compare, Field, Json, ObjectType
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Row, UpdateMethod
from target_apollo.sync.links.not_given import ALL_GIVEN, NotGiven
from target_apollo.sync.updates.changes import Changes, single_update, without_held


@dataclass(frozen=True)
class UpdateParts:
    """The parts of one update that are still to be sent, in the order of sending.

    Attributes:
        single: Body for PATCH or PUT.
        bulk: Attributes for bulk_update.
        stage: Id for update_stages.
        rest: Body for PATCH or PUT after bulk_update; its answer may show that values are held.
        owner: Id for update_owners, if the run can't use bulk_update.
        lists: Names of lists to add the record to.
        lost: Fields that only an endpoint takes that the run can't use.
        later: Body for PATCH or PUT that waits in the ledger (`pending_fields`).
    """

    single: Json = field(default_factory=dict)
    bulk: Json = field(default_factory=dict)
    stage: str | None = None
    rest: Json = field(default_factory=dict)
    owner: str | None = None
    lists: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    later: Json = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.single or self.bulk or self.stage or self.rest or self.owner or self.lists)

    def without(self, part: str) -> UpdateParts:
        """The parts without the one of this name."""
        nothing: Any = getattr(UpdateParts(), part)
        return replace(self, **{part: nothing})


def one_request(changes: Changes) -> UpdateParts:
    """The parts if each record gets its own request; bulk_update for what that does not take."""
    return UpdateParts(single=changes.update, bulk=changes.bulk, lists=changes.lists)


def in_bulk(object_type: ObjectType, changes: Changes, before: Json | None) -> UpdateParts:
    """The parts for bulk endpoints: bulk_update for all that it takes, update_stages for the stage.

    A record that needs its own request anyway gets all values in that request. If the record in
    Apollo's last answer (`before`) does not show a field, the answer of bulk_update decides whether
    the own request is necessary.
    """
    parts = _split(object_type, changes)
    rest = parts.rest
    if rest and (not parts.bulk or any(_is_due(object_type, key, before) for key in rest)):
        return one_request(changes)
    return parts


def fast_first(object_type: ObjectType, changes: Changes) -> UpdateParts | None:
    """The parts if what only PATCH or PUT takes waits; None if there is nothing that can wait.

    By an e-mail or domain the record is recognised, so it does not wait. Nor do custom fields,
    which only rarely need such a request.
    """
    parts = _split(object_type, changes)
    match_key = object_type.fields[object_type.match_field].update
    if not parts.rest or not parts.rest.keys().isdisjoint({match_key, CUSTOM_FIELDS}):
        return None
    return replace(parts, rest={}, later=parts.rest)


def _split(object_type: ObjectType, changes: Changes) -> UpdateParts:
    """Each value in the part with the endpoint that takes most records."""
    bulk, rest, stage = dict(changes.bulk), dict[str, object](), None
    for key, value in changes.update.items():
        place = _place(object_type, key)
        if key == CUSTOM_FIELDS and isinstance(value, dict):
            if object_type.bulk_shows or all(value.values()):
                bulk[key] = value
            else:
                rest[key] = value
        elif _goes_grouped(place, object_type.endpoints.update_stages) and isinstance(value, str):
            stage = value
        elif (
            place is not None and place.bulk and (value or (object_type.bulk_shows and value == ""))
        ):
            # The effect of null in bulk_update is not documented, so the answer must show that the
            # field was emptied.
            bulk[place.bulk] = value
        else:
            rest[key] = value
    return UpdateParts(bulk=bulk, stage=stage, rest=rest, lists=changes.lists)


def _place(object_type: ObjectType, key: str) -> Field | None:
    return next((place for place in object_type.fields.values() if place.update == key), None)


def _goes_grouped(place: Field | None, endpoint: str | None) -> bool:
    """Whether an endpoint writes one value of a field to many records; None for no endpoint."""
    return place is not None and endpoint is not None and place.grouped == endpoint


def _is_due(object_type: ObjectType, key: str, before: Json | None) -> bool:
    """Whether a field needs a PATCH whatever bulk_update answers."""
    place = _place(object_type, key)
    if place is None or not object_type.bulk_shows or place.compare is Compare.BLIND:
        return True
    # If the record's last answer shows the field, the value is known to differ.
    return before is not None and (place.read or "phone_numbers") in before


def after_bulk(
    object_type: ObjectType, row: Row, parts: UpdateParts, before: Json | None, after: Json
) -> tuple[UpdateParts, tuple[str, ...]]:
    """The parts that are left after the answer of bulk_update, and the fields that Apollo refused.

    A field is sent again by PATCH or PUT, if these take it, when the answer shows that Apollo did
    not take it, or does not show that it was emptied. Their answer decides.
    """
    refuted = not_taken(object_type, row, parts.bulk, after, before)
    doubted = {*refuted, *emptied_unseen(object_type, row, parts.bulk, after)}
    rest = {
        **without_held(object_type, row, parts.rest, after),
        **single_update(object_type, row, doubted),
    }
    missed = tuple(
        name
        for name in refuted
        if name in object_type.fields and not object_type.fields[name].update
    )
    stage = None if parts.stage == after.get("contact_stage_id") else parts.stage
    later = without_held(object_type, row, parts.later, after)
    return replace(parts, bulk={}, stage=stage, rest=rest, later=later), missed


def empties(parts: UpdateParts) -> bool:
    """Whether a part for bulk_update empties a field."""
    custom = parts.bulk.get(CUSTOM_FIELDS)
    values = [*parts.bulk.values(), *(custom.values() if isinstance(custom, dict) else ())]
    return "" in values or None in values


def fallback_from_bulk(object_type: ObjectType, parts: UpdateParts) -> UpdateParts:
    """The parts without bulk_update: PATCH or PUT, update_owners for a contact's owner."""
    rest, lost, owner = dict(parts.rest), list(parts.lost), parts.owner
    for key, value in parts.bulk.items():
        place = next((one for one in object_type.fields.values() if one.bulk == key), None)
        if place is None:
            rest[key] = value
        elif place.update:
            rest[place.update] = value
        elif _goes_grouped(place, object_type.endpoints.update_owners) and isinstance(value, str):
            owner = value
        else:
            lost.append(place.name)
    return replace(parts, bulk={}, rest=rest, owner=owner, lost=tuple(lost))


def fallback_from_stages(parts: UpdateParts) -> UpdateParts:
    """The parts without update_stages: PATCH takes the stage."""
    rest = {**parts.rest, "contact_stage_id": parts.stage} if parts.stage else parts.rest
    return replace(parts, stage=None, rest=rest)


@dataclass(frozen=True)
class PlannedUpdate:
    """The planned update of one existing record.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
        outcome: The row's outcome after the update.
        refused: Why the row is rejected nevertheless, after its other values are written.
        keeps_values: Whether policies keep other values in the record than the row has.
    """

    row: Row
    apollo_id: str
    answer: Json | None
    changes: Changes
    outcome: Outcome
    refused: Rejection | None = None
    keeps_values: bool = False
    not_given: NotGiven = ALL_GIVEN


@dataclass
class UpdateInProgress:
    """An update whose parts are being sent.

    Attributes:
        parts: What is still to be sent.
        answer: The record by the answers to the parts sent so far.
        problem: Why the row is rejected after the other parts are written.
        ended_by: Why no further part is sent.
    """

    update: PlannedUpdate
    parts: UpdateParts
    answer: Json | None = None
    problem: Rejection | None = None
    ended_by: Rejection | RequestRefused | None = None

    def merge_answer(self, answer: Json, sent: Collection[str]) -> None:
        """Adds an answer, which may hold a few fields only, to the earlier ones.

        Args:
            sent: Fields that were written, so that their values in earlier answers are outdated.
        """
        known = {name: value for name, value in (self.answer or {}).items() if name not in sent}
        self.answer = {**known, **answer}


#: From this number of updates in a batch, `auto` uses bulk requests whatever the quota.
MANY = 20


def goes_in_bulk(method: UpdateMethod, updates: int, left: int | None) -> bool:
    """Whether the updates of a batch are sent in bulk requests.

    Args:
        updates: Number of requests without bulk requests.
        left: Requests that the endpoint of single updates still allows; None if unknown.
    """
    if method is UpdateMethod.AUTO:
        return updates >= MANY or (left is not None and updates > left)
    return method is UpdateMethod.BULK


def requests_left(windows: Windows, share: float) -> int | None:
    """Requests that an endpoint still allows this hour and day; None if Apollo gave no limits.

    The limit per minute does not count, since the run waits for the next minute.

    Args:
        share: The setting `quota_share`, the part of each window that a run may use.
    """
    counts: list[int] = []
    for window in (windows.hour, windows.day):
        if window.left is not None:
            counts.append(window.left)
        if window.limit is not None and window.spent is not None:
            counts.append(int(window.limit * share) - window.spent)
    return max(0, min(counts)) if counts else None


# --- may new rows be created at the same time?


def order_matters(
    object_type: ObjectType, new: Iterable[Row], updates: Sequence[PlannedUpdate]
) -> bool:
    """Whether an update may decide what Apollo does with a new row, so that it goes first.

    Apollo recognises a record by its address, its CRM ids or its name. An update may take one of
    these from a record that a new row needs for itself, or give it one that makes Apollo take the
    new row for that record.

    An update of a record that is known by its id alone sends all values of its row, also a name
    that the record has already. It counts only if a new row has that name too. If the record had
    the name of a new row until now, that row may be rejected as a conflict, and nothing is written.
    """
    keys = _taken(object_type, (object_type.match_field, *object_type.crm_ids))
    names = _taken(object_type, name_fields(object_type))
    for update in updates:
        sent = {*update.changes.update, *update.changes.bulk}
        if not keys.isdisjoint(sent) or (update.answer is not None and not names.isdisjoint(sent)):
            return True
    given = {_name(object_type, update.row) for update in updates}
    return any(name in given for row in new if (name := _name(object_type, row)))


def _taken(object_type: ObjectType, fields: Iterable[str]) -> set[str]:
    """What endpoints of updates call these fields."""
    places = [object_type.fields[name] for name in fields]
    return {key for place in places for key in (place.update, place.bulk) if key}


def _name(object_type: ObjectType, row: Row) -> str:
    """The name in the form in which Apollo compares it, without the company."""
    parts = ("name",) if "name" in object_type.fields else ("first_name", "last_name")
    return " ".join(filter(None, (row.values.get(part) for part in parts))).casefold()
