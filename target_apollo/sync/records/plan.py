"""Groups the rows of a batch into waves, and new rows into bulk_create requests. Pure.

In a wave no Apollo record occurs twice: rows of one record are written one after another, so that
the last one wins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from target_apollo.model.match_keys import address_of, identity_of, keys
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row

#: Most characters of the values in one request, whatever the number of its records.
MAX_REQUEST_CHARACTERS = 4_000_000


def waves(object_type: ObjectType, rows: Sequence[Row]) -> list[list[Row]]:
    """Splits rows into waves in which no Apollo record can occur twice; they are written in order.

    Rows that share a match key, an Apollo id or a CRM id have the same record. They are written in
    the order in which they came, so that the last one wins.
    """
    if _share_no_record(object_type, rows):
        return [list(rows)] if rows else []
    groups: list[list[Row]] = []
    next_wave: dict[object, int] = {}
    for row in rows:
        identities = _record_identities(object_type, row)
        place = max([next_wave.get(identity, 0) for identity in identities])
        for identity in identities:
            next_wave[identity] = place + 1
        if place == len(groups):
            groups.append([])
        groups[place].append(row)
    return groups


def record_keys(row: Row) -> list[str]:
    """The Apollo id and the match keys of a row; rows of one record have one of them in common."""
    return [identity for identity in (row.apollo_id, row.match_key, *row.more_keys) if identity]


def _record_identities(object_type: ObjectType, row: Row) -> list[object]:
    """Rows of one record have one of these in common."""
    values = row.values
    crm_ids = [(name, values[name]) for name in object_type.crm_ids if values.get(name)]
    return [row.key, *record_keys(row), *crm_ids]


def age(row: Row) -> int:
    """The number of the oldest record that gets its outcome with a row."""
    return row.numbers[0]


def oldest_first(object_type: ObjectType, rows: Sequence[Row]) -> list[Row]:
    """Rows by their age; those that can have the same record keep their order."""
    ages: list[tuple[int, Row]] = []
    latest: dict[object, int] = {}
    for row in rows:
        identities = _record_identities(object_type, row)
        own = max([age(row), *(latest.get(identity, 0) for identity in identities)])
        latest.update(dict.fromkeys(identities, own))
        ages.append((own, row))
    return [row for _, row in sorted(ages, key=itemgetter(0))]


def _share_no_record(object_type: ObjectType, rows: Sequence[Row]) -> bool:
    """Whether no two rows can have the same record.

    This is true for most batches, and takes a seventh of the time of splitting them into waves.
    """
    shared_by_none: list[list[object]] = [
        [row.key for row in rows],
        [key for row in rows for key in keys(row)]
        if any(row.more_keys for row in rows)
        else [row.match_key for row in rows if row.match_key],
        [row.apollo_id for row in rows if row.apollo_id],
    ]
    shared_by_none += [
        [value for row in rows if (value := row.values.get(name))] for name in object_type.crm_ids
    ]
    return all(len(set(values)) == len(values) for values in shared_by_none)


@dataclass(frozen=True)
class CreateRequest:
    """One bulk_create request: at most 100 rows, with the owner that the request gives to all.

    Attributes:
        own_addresses: First addresses of all new rows of the batch, if a row has additional ones.
            The first address of one row is not sent as an additional address of another.
        identity_only: Whether only the values of `identity_of` are sent. The others follow in an
            update, once Apollo has answered that the record is new.
    """

    rows: tuple[Row, ...]
    owner_id: str | None = None
    own_addresses: frozenset[str | None] = frozenset()
    identity_only: bool = False

    def has_all_values(self, object_type: ObjectType, row: Row) -> bool:
        """Whether the item of a row has all values of the row, as most have."""
        return (
            not self.identity_only
            and not row.lists
            and row.values.keys() <= object_type.item_names.keys()
        )

    def items(self, object_type: ObjectType) -> list[Json]:
        """The items of the request, in the order of its rows."""
        if self.identity_only:
            return [create_item(object_type, identity_of(object_type, row)) for row in self.rows]
        return [create_item(object_type, row, self.own_addresses) for row in self.rows]


def create_requests(
    object_type: ObjectType,
    rows: Sequence[Row],
    batch_size: int,
    *,
    spare_existing: bool,
    identity_only: bool = False,
) -> list[CreateRequest]:
    """Groups rows into bulk_create requests, as few as their owners allow.

    A contact's owner is an argument of the whole request, so rows are grouped by owner. If that
    needs more requests than one bulk_update per batch that assigns the owners afterwards, the rows
    are not grouped. Lists are an argument of the whole request too, but Apollo documents that *all*
    matched records are added to them, also one that only shares a row's name. So lists are always
    assigned afterwards. An owner is safe: bulk_create never overwrites fields of a matched contact.

    Args:
        spare_existing: Mode insert, or the team's Apollo gives the owner to matched records too:
            owners are always assigned afterwards, so that an existing record can't change.
        identity_only: The setting `create_in_two_steps`: as in `CreateRequest`.
    """
    if identity_only:
        return [
            CreateRequest(tuple(chunk), identity_only=True) for chunk in chunks(rows, batch_size)
        ]
    groups: dict[str | None, list[Row]] = defaultdict(list)
    has_owners = object_type.fields["owner_id"].create_wide and not spare_existing
    for row in rows:
        groups[row.values.get("owner_id") if has_owners else None].append(row)
    own: frozenset[str | None] = frozenset()
    if any(row.more_emails for row in rows):
        own = frozenset(address_of(object_type, row) for row in rows)
    grouped = [
        CreateRequest(tuple(chunk), owner_id, own)
        for owner_id, members in groups.items()
        for chunk in chunks(members, batch_size)
    ]
    if len(groups) <= 1:
        return grouped
    ungrouped = [CreateRequest(tuple(chunk), None, own) for chunk in chunks(rows, batch_size)]
    return grouped if len(grouped) <= 2 * len(ungrouped) else ungrouped


def chunks(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Splits rows into requests of at most `size` rows and about `MAX_REQUEST_CHARACTERS`."""
    found: list[list[Row]] = []
    for start in range(0, len(rows), size):
        chunk = list(rows[start : start + size])
        found += [chunk] if _weight(chunk) <= MAX_REQUEST_CHARACTERS else _light_chunks(chunk)
    return found


def _light_chunks(rows: Sequence[Row]) -> list[list[Row]]:
    found: list[list[Row]] = []
    weight = MAX_REQUEST_CHARACTERS + 1
    for row in rows:
        row_weight = _weight([row])
        if weight + row_weight > MAX_REQUEST_CHARACTERS:
            found.append([])
            weight = 0
        found[-1].append(row)
        weight += row_weight
    return found


def _weight(rows: Sequence[Row]) -> int:
    """Number of characters in all values of rows."""
    values = chain.from_iterable([row.values.values() for row in rows])
    custom = chain.from_iterable([row.custom.values() for row in rows if row.custom])
    emails = chain.from_iterable([row.more_emails for row in rows if row.more_emails])
    return sum(map(len, filter(None, chain(values, custom, emails))))


def create_item(
    object_type: ObjectType, row: Row, own_addresses: frozenset[str | None] = frozenset()
) -> Json:
    """A row as an item of a bulk_create request, without fields that bulk_create does not take.

    Args:
        own_addresses: As in `CreateRequest`.
    """
    names = object_type.item_names
    item: Json = {
        names[name]: value
        for name, value in row.values.items()
        if value is not None and name in names
    }
    if row.custom:
        custom = {field_id: value for field_id, value in row.custom.items() if value is not None}
        if custom:
            item["typed_custom_fields"] = custom
    more = [address for address in row.more_emails if address not in own_addresses]
    if more and object_type.more_emails:
        item[object_type.more_emails] = [
            {"email": address, "position": position}
            for position, address in enumerate((address_of(object_type, row), *more))
        ]
    return item
