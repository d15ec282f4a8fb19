"""What an existing record still needs to hold a row's values, and which endpoint takes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from target_apollo.model import values as normalising
from target_apollo.model.objects import CONTACT, Compare, Field, Json, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.sync.plan import CreateRequest

#: A contact's plain number is written, and so emptied, as its direct one.
_PLAIN_PHONE, _DIRECT_PHONE = "phone_number", "direct_phone"
_DIRECT_TYPE = CONTACT.fields[_DIRECT_PHONE].phone_type
#: Key of a record's custom fields in requests and answers.
CUSTOM_FIELDS = "typed_custom_fields"


@dataclass(frozen=True)
class Changes:
    """What an existing record still needs, by the endpoint that takes it.

    Attributes:
        update: Body for PATCH or PUT of the one record.
        bulk: Attributes for bulk_update, for what PATCH does not take.
        lists: Names of lists to add the record to.
        unwritable: Fields that no endpoint changes on an existing record.
    """

    update: Json = field(default_factory=dict)
    bulk: Json = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.update or self.bulk or self.lists)


#: For a record that needs nothing.
NOTHING = Changes()


def changes(
    target: ObjectType, row: Row, answer: Json | None, list_ids: Mapping[str, str]
) -> Changes:
    """Where a row differs from Apollo's record; everything it carries where that is unknown.

    Args:
        answer: The record as Apollo answered it, or None when only its id is known.
        list_ids: Ids of known lists by name, to see which of them the record is on.
    """
    differing = _differing(target, to_update(row.values), answer)
    custom = _different_custom(row.custom, answer)
    on_lists = answer.get("label_ids") if answer else None
    known = set(on_lists) if isinstance(on_lists, list) else set()
    lists = tuple(name for name in row.lists if list_ids.get(name) not in known)
    return _by_endpoint(target, differing, custom, lists)


def left_to_write(target: ObjectType, request: CreateRequest, row: Row) -> Changes:
    """What bulk_create could not carry of a row that it created."""
    if not row.lists and row.values.keys() <= target.item_names.keys():
        # All of it stands in the row's item.
        return NOTHING
    behind: Values = {}
    for name, value in row.values.items():
        place = target.fields[name]
        carried = value == request.owner_id if place.create_wide else place.create is not None
        if value is not None and not carried:
            behind[name] = value
    return _by_endpoint(target, behind, {}, row.lists)


def single_update(target: ObjectType, row: Row, names: Collection[str]) -> Json:
    """The body of PATCH or PUT for some of a row's fields and custom fields."""
    values = {name: value for name, value in to_update(row.values).items() if name in names}
    custom = {field_id: value for field_id, value in row.custom.items() if field_id in names}
    return _by_endpoint(target, values, custom, ()).update


def without_held(target: ObjectType, row: Row, body: Json, after: Json) -> Json:
    """A body for PATCH or PUT without what Apollo's record shows already."""
    differing = _differing(target, to_update(row.values), after)
    needed = {target.fields[name].update for name in differing}
    left = {key: value for key, value in body.items() if key in needed}
    written = body.get(CUSTOM_FIELDS)
    if isinstance(written, dict):
        custom = {name: row.custom[name] for name in written if name in row.custom}
        if different := _different_custom(custom, after):
            left[CUSTOM_FIELDS] = {name: written[name] for name in different}
    return left


def _differing(target: ObjectType, values: Values, answer: Json | None) -> Values:
    """The values that a record does not show; all where nothing of it is known."""
    if answer is None:
        return values
    differing = {
        name: value
        for name, value in values.items()
        if not holds(target.fields[name], answer, value)
    }
    plain = values.get(_PLAIN_PHONE)
    if plain is None or _PLAIN_PHONE in differing or target.fields[_PLAIN_PHONE].read:
        return differing
    # A plain number may be held as one of a type that is about to get another number.
    typed = {target.fields[name].phone_type: value for name, value in differing.items()}
    digits = normalising.phone_digits(plain)
    stays = digits in _held_numbers(answer, lambda kind: kind not in typed)
    comes = digits in {normalising.phone_digits(v) for kind, v in typed.items() if kind and v}
    return differing if stays or comes else {**differing, _PLAIN_PHONE: plain}


def to_update(values: Values) -> Values:
    """A row's values with one of two phone numbers that an update has one key for.

    The direct number goes before the plain one, and any number before none.
    """
    if _PLAIN_PHONE not in values or _DIRECT_PHONE not in values:
        return values
    plain_counts = values[_PLAIN_PHONE] is not None and values[_DIRECT_PHONE] is None
    left_out = _DIRECT_PHONE if plain_counts else _PLAIN_PHONE
    return {name: value for name, value in values.items() if name != left_out}


def _by_endpoint(
    target: ObjectType, differing: Values, custom: Values, lists: tuple[str, ...]
) -> Changes:
    update: Json = {}
    bulk: Json = {}
    unwritable: list[str] = []
    for name, value in differing.items():
        place = target.fields[name]
        if value is None and place.normalise is not normalising.apollo_id:
            # An empty text clears a field; an id is cleared by null, "" being no id.
            value = ""
        if place.update:
            update[place.update] = value
        elif place.bulk:
            bulk[place.bulk] = value
        else:
            unwritable.append(name)
    if custom:
        update[CUSTOM_FIELDS] = {
            field_id: "" if value is None else value for field_id, value in custom.items()
        }
    return Changes(update, bulk, lists, tuple(unwritable))


def _different_custom(wanted: Values, answer: Json | None) -> Values:
    if answer is None or not shows_custom(answer):
        return wanted
    return {
        field_id: value
        for field_id, value in wanted.items()
        if not holds_custom(answer, field_id, value)
    }


def shows_custom(answer: Json) -> bool:
    """Whether Apollo's record says what its custom fields hold."""
    return isinstance(answer.get(CUSTOM_FIELDS), dict)


def holds_custom(answer: Json, field_id: str, value: str | None) -> bool:
    """Whether a custom field holds this value, in a record that shows its custom fields."""
    held = answer[CUSTOM_FIELDS]
    return isinstance(held, dict) and (value or "") == _plain(held.get(field_id))


def _plain(value: object) -> str:
    return "" if value is None else str(value).strip()


def shows(place: Field, answer: Json) -> bool:
    """Whether Apollo's record says what it holds in a field."""
    if place.compare is Compare.BLIND:
        return False
    if place.read is None:
        return isinstance(answer.get("phone_numbers"), list)
    return place.read in answer


def holds(place: Field, answer: Json, value: str | None) -> bool:
    """Whether Apollo's record shows this value; False where it does not say."""
    if not shows(place, answer):
        return False
    if place.read is None:
        return _holds_phone(place, answer, value)
    held = answer[place.read]
    if value is None or held is None:
        return not held and value is None
    if place.compare is Compare.EMAIL:
        # An additional address of the same person is no reason to change the primary one.
        more = answer.get("contact_emails")
        others = more if isinstance(more, list) else []
        addresses = [held, *(e.get("email") for e in others if isinstance(e, dict))]
        return value in [str(address).strip().lower() for address in addresses]
    if place.compare is Compare.DOMAIN:
        return normalising.bare_host(str(held)) == value
    if place.compare is Compare.URL:
        return normalising.plain_url(str(held)) == normalising.plain_url(value)
    if place.compare is Compare.PHONE:
        return normalising.phone_digits(str(held)) == normalising.phone_digits(value)
    return _plain(held) == value


def _holds_phone(place: Field, answer: Json, value: str | None) -> bool:
    kind = place.phone_type or (_DIRECT_TYPE if value is None else None)
    held = _held_numbers(answer, lambda other: kind is None or other == kind)
    if value is None:
        return not held
    return normalising.phone_digits(value) in held


def _held_numbers(answer: Json, of_kind: Callable[[object], bool]) -> set[str]:
    """Digits of a contact's numbers of some types."""
    numbers = answer.get("phone_numbers")
    return {
        normalising.phone_digits(str(number.get(key) or ""))
        for number in (numbers if isinstance(numbers, list) else [])
        if isinstance(number, dict) and of_kind(number.get("type"))
        for key in ("raw_number", "sanitized_number")
    } - {""}
