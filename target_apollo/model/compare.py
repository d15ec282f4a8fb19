"""Whether a record of Apollo holds a value, and whether an answer confirms an update. Pure.

Apollo may store a value in another spelling, so an answer contradicts an update only where the
difference is certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation

from target_apollo.model.objects.registry import CONTACT, Compare, Field, Json, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.model.texts.characters import bare
from target_apollo.model.texts.domains import bare_host
from target_apollo.model.texts.emails import compared
from target_apollo.model.times import moment
from target_apollo.model.values import apollo_id, phone_digits, plain_url, same_phone

#: An update writes or empties a contact's plain number under the key of its direct number.
PLAIN_PHONE, DIRECT_PHONE = "phone_number", "direct_phone"

_DIRECT_TYPE = CONTACT.fields[DIRECT_PHONE].phone_type
#: Key of an account's number in answers, with the code of its country.
_SANITIZED_PHONE = "sanitized_phone"
#: Apollo cuts texts that are too long for a field; it documents no length but that of custom
#: fields. A shorter text that begins a longer one is another text.
_SHORTEST_CUT = 255
#: Key of a record's custom fields in requests and answers.
CUSTOM_FIELDS = "typed_custom_fields"


def to_update(values: Values) -> Values:
    """A row's values with only one of the two phone numbers that share a key in an update.

    The direct number wins over the plain one, and a number wins over None.
    """
    if PLAIN_PHONE not in values or DIRECT_PHONE not in values:
        return values
    plain_counts = values[PLAIN_PHONE] is not None and values[DIRECT_PHONE] is None
    left_out = DIRECT_PHONE if plain_counts else PLAIN_PHONE
    return {name: value for name, value in values.items() if name != left_out}


def shows_custom(answer: Json) -> bool:
    """Whether a record in an answer has the values of its custom fields."""
    return isinstance(answer.get(CUSTOM_FIELDS), dict)


def holds_custom(answer: Json, field_id: str, value: str | None) -> bool:
    """Whether a custom field holds a value, in a record for which `shows_custom` is true."""
    fields = answer[CUSTOM_FIELDS]
    if not isinstance(fields, dict):
        return False
    held = fields.get(field_id)
    if isinstance(held, list):
        # A field of several options, whose order means nothing.
        return set(map(str, held)) == set(filter(None, (value or "").split(",")))
    if _same_text(held, value):
        return True
    if value is None or held is None:
        return False
    if "," in value and isinstance(held, str):
        return {one.strip() for one in re.split("[,;]", held)} == set(value.split(","))
    if type(held) in (int, float):
        return _same_number(held, value)
    at = moment(value)
    return at is not None and at == moment(held)


def _same_number(held: object, value: str) -> bool:
    try:
        return Decimal(str(held)) == Decimal(value)
    except InvalidOperation:
        return False


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()


def _same_text(held: object, value: str | None) -> bool:
    """Whether a text in an answer is the value, in another spelling of its letters or cut short."""
    shown, sent = _plain(held), value or ""
    if shown == sent:
        return True
    if shown.isascii() and sent.isascii() and len(shown) < _SHORTEST_CUT:
        return False
    one, other = bare(shown), bare(sent)
    return one == other or (len(one) >= _SHORTEST_CUT and other.startswith(one))


def shows(field: Field, answer: Json) -> bool:
    """Whether a record in an answer has the value of a field."""
    if field.compare is Compare.BLIND:
        return False
    if field.read is None:
        return isinstance(answer.get("phone_numbers"), list)
    # Answers that list only some fields, as those of bulk requests, have no custom fields.
    return field.read in answer or (field.absent_if_empty and shows_custom(answer))


def holds(field: Field, answer: Json, value: str | None) -> bool:
    """Whether a record holds a value in a field; False where the answer does not show the field."""
    if not shows(field, answer):
        return False
    if field.read is None:
        return _holds_phone(field, answer, value)
    held = answer.get(field.read)
    if value is None or held is None:
        return not held and value is None
    if field.compare is Compare.EMAIL:
        # If the value is another address of the same contact, the primary address stays.
        return value in (compared(held), *more_addresses(answer))
    if field.compare is Compare.DOMAIN:
        return bare_host(str(held)) == value
    if field.compare is Compare.URL:
        return plain_url(str(held)) == plain_url(value)
    if field.compare is Compare.NUMBER:
        return _same_number(held, value)
    if field.compare is Compare.DATE:
        return str(held)[: len(value)] == value
    if field.compare is Compare.PHONE:
        digits = phone_digits(value)
        shown = (held, answer.get(_SANITIZED_PHONE))
        return any(same_phone(phone_digits(str(one)), digits) for one in shown if one)
    return _same_text(held, value)


def more_addresses(answer: Json) -> list[str]:
    """The addresses in a contact's list of e-mails, spelled as in rows."""
    listed = answer.get(CONTACT.more_emails or "")
    return [
        compared(entry["email"])
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and entry.get("email")
    ]


def _holds_phone(field: Field, answer: Json, value: str | None) -> bool:
    kind = field.phone_type or (_DIRECT_TYPE if value is None else None)
    held = held_numbers(answer, lambda other: kind is None or other == kind)
    if value is None:
        return not held
    return has_number(held, value)


def has_number(held: Collection[str], value: str) -> bool:
    """Whether a phone number is among numbers as `held_numbers` gives them."""
    digits = phone_digits(value)
    return digits in held or any(same_phone(number, digits) for number in held)


def held_numbers(answer: Json, of_kind: Callable[[object], bool]) -> set[str]:
    """The digits of a contact's phone numbers whose type `of_kind` accepts."""
    numbers = answer.get("phone_numbers")
    return {
        phone_digits(str(number.get(key) or ""))
        for number in (numbers if isinstance(numbers, list) else [])
        if isinstance(number, dict) and of_kind(number.get("type"))
        for key in ("raw_number", "sanitized_number")
    } - {""}


def not_taken(
    object_type: ObjectType,
    row: Row,
    sent: Mapping[str, object],
    after: Json,
    before: Json | None = None,
) -> tuple[str, ...]:
    """Values that Apollo certainly did not take, as names of fields and ids of custom fields.

    They are: fields that should be empty and are not; ids and e-mails that differ; custom fields
    that are missing; values that are as before the update and differ from the sent value.

    Args:
        sent: Body of PATCH or PUT, or a record's attributes in bulk_update.
        after: The record in the answer.
        before: The record before the update, if it is known.
    """
    missed = [
        name
        for name, value in to_update(row.values).items()
        if _is_in(object_type.fields[name], sent)
        and _contradicts(object_type.fields[name], value, after, before)
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
    object_type: ObjectType, row: Row, sent: Mapping[str, object], after: Json
) -> tuple[str, ...]:
    """Fields and custom fields that an update empties and whose value the answer does not show."""
    unseen = [
        name
        for name, value in to_update(row.values).items()
        if value is None
        and _is_in(object_type.fields[name], sent)
        and not shows(object_type.fields[name], after)
    ]
    written = sent.get(CUSTOM_FIELDS)
    if isinstance(written, dict) and not shows_custom(after):
        unseen += [field_id for field_id, value in written.items() if not value]
    return tuple(unseen)


def _is_in(field: Field, sent: Mapping[str, object]) -> bool:
    return field.update in sent or field.bulk in sent


def _contradicts(field: Field, value: str | None, after: Json, before: Json | None) -> bool:
    if not shows(field, after) or holds(field, after, value):
        return False
    if value is None or field.normalise is apollo_id or field.compare is Compare.EMAIL:
        return True
    if before is None or field.read is None or field.resolved or field.compare is Compare.PHONE:
        return False
    held, was = after.get(field.read), before.get(field.read, after)
    return held == was and _bare(held) != _bare(value)


def _bare(value: object) -> str:
    """A text without the parts that Apollo may spell differently: case, blanks and punctuation."""
    return "".join(sign for sign in bare(str(value or "")).casefold() if sign.isalnum())
