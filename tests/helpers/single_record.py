"""Generated rows, and what requests do to a single record of Apollo."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Compare, Field, Json, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.model.values import apollo_id
from target_apollo.sync.updates.changes import Changes, changes

both = pytest.mark.parametrize(
    "object_type", [CONTACT, ACCOUNT], ids=lambda object_type: object_type.kind.value
)
LISTS = {"A": "1" * 24, "B": "2" * 24, "C": "3" * 24}
CUSTOM = ("4" * 24, "5" * 24)
PHONE_TYPES = {
    "direct_phone": "work_direct",
    "corporate_phone": "work_hq",
    "mobile_phone": "mobile",
    "home_phone": "home",
    "other_phone": "other",
}
words = st.sampled_from(["x", "Y", "Größe", "1 Pine St, San Francisco"])
phones = st.from_regex(r"\+[1-9][0-9]{6,9}", fullmatch=True)
ids = st.sampled_from(["a" * 24, "b" * 24])
pages = st.sampled_from(["https://www.linkedin.com/in/ada/", "linkedin.com/in/bob"])


def values_of(field: Field) -> st.SearchStrategy[str | None]:
    if field.compare is Compare.EMAIL:
        return st.sampled_from(["ada@example.com", "bob@example.com"])
    if field.compare is Compare.DOMAIN:
        return st.sampled_from(["example.com", "example.org"])
    if field.compare is Compare.PHONE:
        return st.none() | phones
    if field.compare is Compare.URL:
        return st.none() | pages
    return st.none() | (ids if field.normalise is apollo_id else words)


def written_fields(object_type: ObjectType) -> list[Field]:
    """The fields that an update can write, except a contact's untyped phone number."""
    untyped = {"phone_number"} if object_type is CONTACT else set()
    return [
        field
        for field in object_type.fields.values()
        if field.name not in untyped and (field.update or field.bulk)
    ]


@st.composite
def rows(draw: st.DrawFn, object_type: ObjectType) -> Row:
    values: Values = draw(
        st.fixed_dictionaries(
            {}, optional={field.name: values_of(field) for field in written_fields(object_type)}
        )
    )
    custom: Values = draw(st.dictionaries(st.sampled_from(CUSTOM), st.none() | words))
    lists = draw(st.lists(st.sampled_from(list(LISTS)), unique=True))
    return Row(1, (1,), values.get(object_type.match_field), values, custom, tuple(lists))


def empty_record(object_type: ObjectType) -> Json:
    record: Json = {"id": "f" * 24, "typed_custom_fields": {}, "label_ids": []}
    record.update({field.read: None for field in object_type.fields.values() if field.read})
    return (
        {**record, "phone_numbers": [], "contact_emails": []} if object_type is CONTACT else record
    )


def contact(**own: Any) -> Json:
    return {**empty_record(CONTACT), **own}


def apply(object_type: ObjectType, record: Json, sent: dict[str, Any]) -> Json:
    """The record after PATCH, PUT or bulk_update; an empty value clears its field."""
    after = {**record}
    shown_as = {
        name: field.read
        for field in object_type.fields.values()
        for name in (field.create, field.update, field.bulk)
        if name and field.read
    }
    for name, value in sent.items():
        if name == "typed_custom_fields":
            after[name] = {**after[name], **value}  # type: ignore[dict-item]
        elif object_type is CONTACT and name in (*PHONE_TYPES, "phone"):
            kind = PHONE_TYPES.get(name, "other")
            numbers: list[Json] = after["phone_numbers"]  # type: ignore[assignment]
            after["phone_numbers"] = [number for number in numbers if number["type"] != kind] + (
                [{"type": kind, "raw_number": value, "sanitized_number": f"00{value}"}]
                if value
                else []
            )
        elif shown_as.get(name):
            after[shown_as[name]] = value or None
    return after


def carry_out(object_type: ObjectType, record: Json, needed: Changes) -> Json:
    after = apply(object_type, apply(object_type, record, needed.update), needed.bulk)
    on: list[str] = after["label_ids"]  # type: ignore[assignment]
    return {**after, "label_ids": [*on, *(LISTS[name] for name in needed.lists)]}


def seen(object_type: ObjectType, needed: Changes) -> Changes:
    """The changes without the field that no answer of Apollo shows."""
    unshown = {f.update for f in object_type.fields.values() if f.compare is Compare.BLIND}
    update = {name: value for name, value in needed.update.items() if name not in unshown}
    return Changes(update, needed.bulk, needed.lists)


def new_record(object_type: ObjectType, row: Row) -> Json:
    return carry_out(object_type, empty_record(object_type), changes(object_type, row, None, {}))


def needed_by(object_type: ObjectType, values: Values, record: Json) -> Changes:
    return changes(object_type, Row(1, (1,), None, values), record, LISTS)
