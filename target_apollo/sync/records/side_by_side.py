"""Whether the new rows of a wave may be created while its records are updated. Pure.

Apollo recognises a record by its address, its CRM ids or its name. An update may take one of these
from a record that a new row needs for itself, or give it one that makes Apollo take the new row for
that record. Then the update goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from target_apollo.model.match_keys import name_fields
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.updates.update_plan import PlannedUpdate


def order_matters(
    object_type: ObjectType, new: Iterable[Row], updates: Sequence[PlannedUpdate]
) -> bool:
    """Whether an update may decide what Apollo does with a new row.

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
