"""Whether an answer shows that an update was taken. Pure.

Apollo spells values its own way at times, so an answer is held against an update only where it
leaves no doubt.
"""

from __future__ import annotations

from collections.abc import Mapping

from target_apollo.model import values as normalising
from target_apollo.model.objects import Compare, Field, Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.plan import (
    CUSTOM_FIELDS,
    holds,
    holds_custom,
    shows,
    shows_custom,
    to_update,
)


def not_taken(
    target: ObjectType,
    row: Row,
    sent: Mapping[str, object],
    after: Json,
    before: Json | None = None,
) -> tuple[str, ...]:
    """What was sent and was not taken for certain: names of fields, ids of custom fields.

    A field that was to be emptied and is not; another id or e-mail; a custom field that is not
    there; a value that is what it was before and reads otherwise than the sent one.

    Args:
        sent: Body of PATCH or PUT, or a record's attributes of bulk_update.
        after: The record in the answer.
        before: The record as it was known before the update.
    """
    missed = [
        name
        for name, value in to_update(row.values).items()
        if _is_in(target.fields[name], sent)
        and _contradicts(target.fields[name], value, after, before)
    ]
    written = sent.get(CUSTOM_FIELDS)
    if isinstance(written, dict) and shows_custom(after):
        missed += [
            field_id
            for field_id, value in written.items()
            if bool(value) is holds_custom(after, field_id, None)
        ]
    return tuple(missed)


def emptied_unseen(
    target: ObjectType, row: Row, sent: Mapping[str, object], after: Json
) -> tuple[str, ...]:
    """What was to be emptied, and the answer does not show what it holds now."""
    unseen = [
        name
        for name, value in to_update(row.values).items()
        if value is None
        and _is_in(target.fields[name], sent)
        and not shows(target.fields[name], after)
    ]
    written = sent.get(CUSTOM_FIELDS)
    if isinstance(written, dict) and not shows_custom(after):
        unseen += [field_id for field_id, value in written.items() if not value]
    return tuple(unseen)


def _is_in(place: Field, sent: Mapping[str, object]) -> bool:
    return place.update in sent or place.bulk in sent


def _contradicts(place: Field, value: str | None, after: Json, before: Json | None) -> bool:
    if not shows(place, after) or holds(place, after, value):
        return False
    if value is None or place.normalise is normalising.apollo_id or place.compare is Compare.EMAIL:
        return True
    if before is None or place.read is None or place.resolved or place.compare is Compare.PHONE:
        return False
    held, was = after.get(place.read), before.get(place.read, after)
    return held == was and _bare(held) != _bare(value)


def _bare(value: object) -> str:
    """A text without what Apollo may spell its own way: case, blanks and signs."""
    return "".join(sign for sign in str(value or "").casefold() if sign.isalnum())
