from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo import normalising
from target_apollo.changes import Changes, changes, left_to_write
from target_apollo.confirming import not_taken
from target_apollo.objects import ACCOUNT, CONTACT, Compare, Field, Json, ObjectType
from target_apollo.planning import CreateRequest, create_item
from target_apollo.rows import Row, Values

quick = settings(deadline=None, max_examples=20)
both = pytest.mark.parametrize("target", [CONTACT, ACCOUNT], ids=lambda target: target.kind.value)

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
    return st.none() | (ids if field.normalise is normalising.apollo_id else words)


def written_fields(target: ObjectType) -> list[Field]:
    """The fields that an update can reach; a plain phone number beside typed ones is a case."""
    untyped = {"phone_number"} if target is CONTACT else set()
    return [
        field
        for field in target.fields.values()
        if field.name not in untyped and (field.update or field.bulk)
    ]


@st.composite
def rows(draw: st.DrawFn, target: ObjectType) -> Row:
    values: Values = draw(
        st.fixed_dictionaries(
            {}, optional={field.name: values_of(field) for field in written_fields(target)}
        )
    )
    custom: Values = draw(st.dictionaries(st.sampled_from(CUSTOM), st.none() | words))
    lists = draw(st.lists(st.sampled_from(list(LISTS)), unique=True))
    return Row(1, (1,), values.get(target.match_field), values, custom, tuple(lists))


# --- Apollo, as far as a single record goes


def empty_record(target: ObjectType) -> Json:
    record: Json = {"id": "f" * 24, "typed_custom_fields": {}, "label_ids": []}
    record.update({field.read: None for field in target.fields.values() if field.read})
    return {**record, "phone_numbers": [], "contact_emails": []} if target is CONTACT else record


def apply(target: ObjectType, record: Json, sent: dict[str, Any]) -> Json:
    """The record after PATCH, PUT or bulk_update; Apollo empties what is sent empty."""
    after = {**record}
    shown_as = {
        name: field.read
        for field in target.fields.values()
        for name in (field.create, field.update, field.bulk)
        if name and field.read
    }
    for name, value in sent.items():
        if name == "typed_custom_fields":
            after[name] = {**after[name], **value}  # type: ignore[dict-item]
        elif target is CONTACT and name in (*PHONE_TYPES, "phone"):
            kind = PHONE_TYPES.get(name, "other")
            numbers: list[Json] = after["phone_numbers"]  # type: ignore[assignment]
            after["phone_numbers"] = [one for one in numbers if one["type"] != kind] + (
                [{"type": kind, "raw_number": value, "sanitized_number": f"00{value}"}]
                if value
                else []
            )
        elif shown_as.get(name):
            after[shown_as[name]] = value or None
    return after


def carry_out(target: ObjectType, record: Json, needed: Changes) -> Json:
    after = apply(target, apply(target, record, needed.update), needed.bulk)
    on: list[str] = after["label_ids"]  # type: ignore[assignment]
    return {**after, "label_ids": [*on, *(LISTS[name] for name in needed.lists)]}


def seen(target: ObjectType, needed: Changes) -> Changes:
    """The changes without the one field that Apollo never shows again."""
    blind = {f.update for f in target.fields.values() if f.compare is Compare.BLIND}
    update = {name: value for name, value in needed.update.items() if name not in blind}
    return Changes(update, needed.bulk, needed.lists)


def new_record(target: ObjectType, row: Row) -> Json:
    return carry_out(target, empty_record(target), changes(target, row, None, {}))


# --- laws


@both
@quick
@given(st.data())
def test_a_record_that_holds_a_row_needs_no_change(target: ObjectType, data: st.DataObject) -> None:
    row = data.draw(rows(target))
    needed = changes(target, row, new_record(target, row), LISTS)
    held = {field.name for field in written_fields(target)}
    assert not seen(target, needed)
    assert not held & set(needed.unwritable)


@both
@quick
@given(st.data())
def test_after_its_changes_a_record_holds_the_row(target: ObjectType, data: st.DataObject) -> None:
    record = new_record(target, data.draw(rows(target)))
    row = data.draw(rows(target))
    after = carry_out(target, record, changes(target, row, record, LISTS))
    assert not seen(target, changes(target, row, after, LISTS))


@both
@quick
@given(st.data())
def test_changes_touch_nothing_that_the_row_does_not_carry(
    target: ObjectType, data: st.DataObject
) -> None:
    record = new_record(target, data.draw(rows(target)))
    row = data.draw(rows(target))
    after = carry_out(target, record, changes(target, row, record, LISTS))
    carried = {target.fields[name].read for name in row.values}
    other = set(record) - carried - {"typed_custom_fields", "label_ids", "phone_numbers"}
    assert {name: after[name] for name in other} == {name: record[name] for name in other}
    kept: dict[str, Any] = after["typed_custom_fields"]  # type: ignore[assignment]
    before: dict[str, Any] = record["typed_custom_fields"]  # type: ignore[assignment]
    assert {f: kept[f] for f in before if f not in row.custom} == {
        f: before[f] for f in before if f not in row.custom
    }
    assert set(record["label_ids"]) <= set(after["label_ids"])  # type: ignore[call-overload]


@both
@quick
@given(st.data())
def test_everything_is_sent_to_a_record_of_which_only_the_id_is_known(
    target: ObjectType, data: st.DataObject
) -> None:
    row = data.draw(rows(target))
    needed = changes(target, row, None, LISTS)
    names = [f.update or f.bulk for f in map(target.fields.__getitem__, row.values)]
    custom = {"typed_custom_fields"} if row.custom else set()
    assert {*needed.update, *needed.bulk} == {*names, *custom}
    assert needed.lists == row.lists


@both
@quick
@given(st.data())
def test_an_update_that_was_taken_leaves_nothing_to_complain_of(
    target: ObjectType, data: st.DataObject
) -> None:
    record = new_record(target, data.draw(rows(target)))
    row = data.draw(rows(target))
    needed = changes(target, row, record, LISTS)
    after = carry_out(target, record, needed)
    assert not_taken(target, row, needed.update, after) == ()


@both
@quick
@given(st.data())
def test_a_new_record_holds_its_row_after_what_bulk_create_left_behind(
    target: ObjectType, data: st.DataObject
) -> None:
    drawn = data.draw(rows(target))
    row = Row(1, (1,), drawn.match_key, {k: v for k, v in drawn.values.items() if v},
              {k: v for k, v in drawn.custom.items() if v}, drawn.lists)  # fmt: skip
    request = CreateRequest((row,))
    if target is CONTACT and row.values.get("owner_id"):
        request = CreateRequest((row,), row.values["owner_id"])
    record = apply(target, empty_record(target), create_item(target, row))
    if request.owner_id:
        record["owner_id"] = request.owner_id
    after = carry_out(target, record, left_to_write(target, request, row))
    assert not seen(target, changes(target, row, after, LISTS))


# --- how values are compared


def contact(**own: Any) -> Json:
    return {**empty_record(CONTACT), **own}


def needed_by(target: ObjectType, values: Values, record: Json) -> Changes:
    return changes(target, Row(1, (1,), None, values), record, LISTS)


@pytest.mark.parametrize(
    ("name", "value", "record"),
    [
        ("email", "ada@example.com", contact(email=" Ada@Example.com ")),
        ("email", "ada@example.com",
         contact(email="b@c.de", contact_emails=[{"email": "ADA@example.com"}])),
        ("title", "VP", contact(title=" VP ")),
        ("linkedin_url", "https://linkedin.com/in/ada",
         contact(linkedin_url="http://www.linkedin.com/in/ada/")),
        ("mobile_phone", "+1 (415) 555-0199",
         contact(phone_numbers=[{"type": "mobile", "sanitized_number": "+14155550199"}])),
        ("phone_number", "0014155550199",
         contact(phone_numbers=[{"type": "work_hq", "raw_number": "+1 415 555 0199"}])),
        ("title", None, contact(title="")),
        ("owner_id", None, contact(owner_id=None)),
    ],
)  # fmt: skip
def test_another_notation_of_the_same_value_is_no_change(
    name: str, value: str | None, record: Json
) -> None:
    assert not needed_by(CONTACT, {name: value}, record)


@pytest.mark.parametrize(
    ("name", "value", "record"),
    [
        ("title", "VP", contact(title="vp")),
        ("title", "VP", contact(title=None)),
        ("title", None, contact(title="VP")),
        ("mobile_phone", "+1415", contact(phone_numbers=[{"type": "home", "raw_number": "+1415"}])),
        ("mobile_phone", None, contact(phone_numbers=[{"type": "mobile", "raw_number": "+1415"}])),
        ("email", "ada@example.com", contact(email="bob@example.com")),
        ("owner_id", "a" * 24, contact(owner_id="b" * 24)),
    ],
)
def test_another_value_is_a_change(name: str, value: str | None, record: Json) -> None:
    assert needed_by(CONTACT, {name: value}, record)


def test_an_account_s_domain_and_phone_are_compared_by_what_they_mean() -> None:
    record = {**empty_record(ACCOUNT), "domain": "www.Example.com", "phone": "+14155550199"}
    values: Values = {"domain": "example.com", "phone_number": "+1 415-555-0199"}
    assert not needed_by(ACCOUNT, values, record)


@both
def test_a_field_that_the_answer_leaves_out_is_sent(target: ObjectType) -> None:
    name = "title" if target is CONTACT else "name"
    assert needed_by(target, {name: "x"}, {"id": "f" * 24}).update == {name: "x"}


def test_a_field_that_apollo_never_shows_is_always_sent() -> None:
    needed = needed_by(CONTACT, {"website_url": "https://a.b"}, contact())
    assert needed.update == {"website_url": "https://a.b"}


# --- where changes go


def test_a_contact_s_owner_and_page_go_with_bulk_update() -> None:
    values: Values = {"owner_id": "a" * 24, "linkedin_url": "linkedin.com/in/ada", "title": "VP"}
    needed = needed_by(CONTACT, values, contact())
    assert needed.update == {"title": "VP"}
    assert needed.bulk == {"owner_id": "a" * 24, "linkedin_url": "linkedin.com/in/ada"}


@both
def test_a_text_is_emptied_by_an_empty_text_and_an_id_by_null(target: ObjectType) -> None:
    text, an_id = ("title", "account_id") if target is CONTACT else ("name", "owner_id")
    record = {**empty_record(target), text: "x", an_id: "a" * 24}
    assert needed_by(target, {text: None, an_id: None}, record).update == {text: "", an_id: None}


def test_a_custom_field_is_emptied_by_an_empty_text() -> None:
    row = Row(1, (1,), None, {}, custom={CUSTOM[0]: None, CUSTOM[1]: "x"})
    record = contact(typed_custom_fields={CUSTOM[0]: "old", CUSTOM[1]: "x"})
    needed = changes(CONTACT, row, record, {})
    assert needed.update == {"typed_custom_fields": {CUSTOM[0]: ""}}


@pytest.mark.parametrize(
    ("target", "name"), [(CONTACT, "salesforce_id"), (ACCOUNT, "linkedin_url")]
)
def test_a_field_that_only_new_records_take_is_reported_and_not_sent(
    target: ObjectType, name: str
) -> None:
    needed = needed_by(target, {name: "x"}, empty_record(target))
    assert not needed
    assert needed.unwritable == (name,)


def test_a_record_is_added_to_the_lists_that_it_is_not_on() -> None:
    row = Row(1, (1,), None, {}, lists=("A", "B", "not made yet"))
    record = contact(label_ids=[LISTS["B"], "9" * 24])
    assert changes(CONTACT, row, record, LISTS).lists == ("A", "not made yet")


# --- a contact's plain phone number, which is written as the direct one


def phone(kind: str, number: str) -> Json:
    return {"type": kind, "raw_number": number, "sanitized_number": number}


@pytest.mark.parametrize("turned", [False, True])
def test_a_direct_phone_goes_before_a_plain_phone_number(turned: bool) -> None:
    pairs = [("phone_number", "+14155550101"), ("direct_phone", "+14155550102")]
    values: Values = dict(reversed(pairs) if turned else pairs)
    assert needed_by(CONTACT, values, contact()).update == {"direct_phone": "+14155550102"}


def test_a_plain_phone_number_never_takes_the_place_of_the_row_s_direct_phone() -> None:
    values: Values = {"phone_number": "+14155550101", "direct_phone": "+14155550102"}
    record = contact(phone_numbers=[phone("work_direct", "+14155550102")])
    assert "direct_phone" not in needed_by(CONTACT, values, record).update


def test_an_empty_plain_phone_number_never_empties_the_row_s_direct_phone() -> None:
    values: Values = {"phone_number": None, "direct_phone": "+14155550102"}
    record = contact(phone_numbers=[phone("work_direct", "+14155550102")])
    assert not needed_by(CONTACT, values, record)


def test_an_empty_plain_phone_number_is_no_change_where_there_is_no_direct_phone() -> None:
    record = contact(phone_numbers=[phone("mobile", "+14155550102")])
    assert not needed_by(CONTACT, {"phone_number": None}, record)


def test_a_direct_phone_that_was_written_is_no_sign_that_the_plain_one_was_not_emptied() -> None:
    row = Row(1, (1,), None, {"phone_number": None, "direct_phone": "+14155550102"})
    sent = changes(CONTACT, row, None, {}).update
    after = contact(phone_numbers=[phone("work_direct", "+14155550102")])
    assert not_taken(CONTACT, row, sent, after) == ()


# --- what an answer shows to be missing


def test_a_field_that_was_to_be_emptied_and_is_not_was_not_taken() -> None:
    row = Row(1, (1,), None, {"title": None, "first_name": "Ada"})
    after = contact(title="VP", first_name="Someone")
    assert not_taken(CONTACT, row, {"title": "", "first_name": "Ada"}, after) == ("title",)


def test_a_custom_field_that_is_not_there_was_not_taken() -> None:
    row = Row(1, (1,), None, {}, custom={CUSTOM[0]: "x", CUSTOM[1]: None})
    sent: Json = {"typed_custom_fields": {CUSTOM[0]: "x", CUSTOM[1]: ""}}
    after = contact(typed_custom_fields={CUSTOM[1]: "old"})
    assert not_taken(CONTACT, row, sent, after) == (
        CUSTOM[0],
        CUSTOM[1],
    )


def test_an_answer_that_does_not_show_a_field_says_nothing_about_it() -> None:
    row = Row(1, (1,), None, {"title": None, "mobile_phone": None}, custom={CUSTOM[0]: "x"})
    sent: Json = {"title": "", "mobile_phone": "", "typed_custom_fields": {CUSTOM[0]: "x"}}
    assert not_taken(CONTACT, row, sent, {"id": "f" * 24}) == ()


# --- what a new record still needs


def test_what_bulk_create_carried_is_not_written_again() -> None:
    row = Row(1, (1,), "a@b.de", {"email": "a@b.de", "title": "VP", "owner_id": "a" * 24},
              custom={CUSTOM[0]: "x"})  # fmt: skip
    request = CreateRequest((row,), "a" * 24)
    assert not left_to_write(CONTACT, request, row)


def test_what_bulk_create_does_not_take_is_left_to_write() -> None:
    values: Values = {"website_url": "https://a.b", "mobile_phone": "+1415", "owner_id": "a" * 24}
    row = Row(1, (1,), None, values, lists=("A", "B"))
    left = left_to_write(CONTACT, CreateRequest((row,)), row)
    assert left.update == {"website_url": "https://a.b", "mobile_phone": "+1415"}
    assert left.bulk == {"owner_id": "a" * 24}
    assert left.lists == ("A", "B")


@both
def test_a_new_record_has_nothing_to_be_emptied(target: ObjectType) -> None:
    row = Row(1, (1,), None, dict.fromkeys(target.fields), custom={CUSTOM[0]: None})
    assert left_to_write(target, CreateRequest((row,)), row) == Changes()


def test_changes_are_none_where_there_is_nothing_to_send() -> None:
    assert not Changes(unwritable=("salesforce_id",))
    assert Changes(update={"title": ""})
    assert Changes(bulk={"owner_id": None})
    assert Changes(lists=("A",))


def _with_mobile(number: str) -> Json:
    return {"phone_numbers": [{"type": "mobile", "raw_number": number}]}


@pytest.mark.parametrize(
    ("mobile", "written"),
    [
        # The plain number is held as the mobile one, which gets another: it would be gone.
        ("+4930222", {"mobile_phone": "+4930222", "direct_phone": "+4930111"}),
        # It stays the mobile one, in another spelling.
        ("+49 30 111", {}),
    ],
)
def test_a_plain_number_is_not_lost_with_the_typed_one_that_holds_it(
    mobile: str, written: Json
) -> None:
    row = Row(1, (1,), "p@a.com", {"phone_number": "+4930111", "mobile_phone": mobile})
    assert changes(CONTACT, row, _with_mobile("+4930111"), {}).update == written


def test_a_plain_number_that_comes_as_a_typed_one_is_written_once() -> None:
    row = Row(1, (1,), "p@a.com", {"phone_number": "+4930111", "mobile_phone": "+4930111"})
    answer: Json = {"phone_numbers": [{"type": "home", "raw_number": "+4930111"}]}
    assert changes(CONTACT, row, answer, {}).update == {"mobile_phone": "+4930111"}
