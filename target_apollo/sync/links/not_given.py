"""What a record was not given of its row, so that the ledger does not claim it. Pure.

A policy, a protected stage or a creation that was cut off may keep values from a record. The link
of the row says so: once nothing keeps the values any more, the next run writes them.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace as with_values

from target_apollo.ledger import Link, match_hash
from target_apollo.model.compare import holds, holds_custom, shows_custom
from target_apollo.model.match_keys import (
    CUSTOM,
    address_of,
    addresses,
    is_address,
    keys_of_record,
    kind_of,
)
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.links.addresses import first_hashes
from target_apollo.sync.links.recall import RowHistory


class NotGiven(Struct, frozen=True, gc=False):
    """What a record was not given of its row.

    Attributes:
        address: Whether the record has another first match key than the row, which is an e-mail or
            domain unless `match_on` names others before it.
        held: Hash of the key that the record has instead; None if it is not known.
        stage: Whether the record stayed in a protected stage.
        values: Whether the record may have other values than the row.
    """

    address: bool = False
    held: str | None = None
    stage: bool = False
    values: bool = False


#: The record has all that its row gives.
ALL_GIVEN = NotGiven()


def kept_from(
    object_type: ObjectType,
    row: Row,
    allowed: Row,
    apollo_id: str,
    answer: Json | None,
    history: RowHistory,
    *,
    stage: bool,
) -> NotGiven:
    """What policies and protected stages keep from the record of a row.

    Args:
        row: The row before the policies.
        allowed: The row with the values that they allow.
        answer: The record as it was last shown; None if only its id is known.
        stage: Whether the record stays in a protected stage.
    """
    if not _has_key(object_type, row) or _has_key(object_type, allowed):
        return NotGiven(stage=True) if stage else ALL_GIVEN
    link = history.link
    held = link.match_hash if link is not None and link.apollo_id == apollo_id else None
    return seen_in(object_type, row, NotGiven(address=True, held=held, stage=stage), answer)


def seen_in(
    object_type: ObjectType, row: Row, not_given: NotGiven, answer: Json | None
) -> NotGiven:
    """The same after a look at the record's address in an answer of Apollo."""
    if not not_given.address or not answer or not row.match_key:
        return not_given
    if row.match_key in keys_of_record(object_type, answer):
        return with_values(not_given, address=False, held=None)
    shown = addresses(object_type, answer)
    if not is_address(row.match_key) or not shown:
        return not_given
    return with_values(not_given, held=match_hash(shown[0]))


def of_existing(object_type: ObjectType, row: Row, answer: Json) -> NotGiven:
    """What the record of a row that was left alone lacks; its values are not compared."""
    return seen_in(object_type, row, NotGiven(address=True), answer)


def of_made_before(object_type: ObjectType, row: Row, answer: Json) -> NotGiven:
    """What a record lacks that an earlier request created, perhaps from another state of the row.

    Only values that a creation carries are compared; the others are written afterwards.
    """
    found = of_existing(object_type, row, answer)
    differs = address_of(object_type, row) not in (None, *addresses(object_type, answer))
    for name, value in row.values.items():
        place = object_type.fields[name]
        if value is None or (name in object_type.item_names and not place.create_wide):
            differs = differs or not holds(place, answer, value)
    for field_id, value in row.custom.items():
        shown = shows_custom(answer) and holds_custom(answer, field_id, value)
        differs = differs or not shown
    return with_values(found, values=differs)


def as_in_link(row: Row, link: Link) -> NotGiven:
    """What the record of an unchanged row was not given before, by its link."""
    if link.address_of_row is None or link.match_hash in first_hashes(row):
        return ALL_GIVEN
    return NotGiven(address=True, held=link.match_hash)


def addresses_after(
    row: Row, history: RowHistory, apollo_id: str | None, not_given: NotGiven
) -> tuple[str | None, str | None]:
    """Hash of the match key that the record has now, and of the row's own if that is another one.

    A deleted row gives its record none, nor does a row without a match key.
    """
    own = match_hash(row.match_key) if row.match_key else None
    link = history.link
    former = link if link is not None and link.apollo_id == apollo_id else None
    held = own
    if not_given.address:
        held = not_given.held
    elif former is not None and (row.deleted or own is None):
        held = former.match_hash
        own = own or former.address_of_row
    return held, own if own != held else None


def _has_key(object_type: ObjectType, row: Row) -> bool:
    """Whether the values of a row have the field of its first match key."""
    if not row.match_key:
        return False
    kind = kind_of(object_type, row.match_key)
    if kind.startswith(CUSTOM):
        return kind[len(CUSTOM) :] in row.custom
    return kind in row.values
