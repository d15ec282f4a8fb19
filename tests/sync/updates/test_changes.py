"""What a row changes in a record, and where each change goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.match_keys import name_fields
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.sync.records.plan import CreateRequest, create_item, create_requests
from target_apollo.sync.updates.changes import Changes, changes, left_to_write
from tests.helpers.single_record import (
    CUSTOM,
    LISTS,
    apply,
    both,
    carry_out,
    contact,
    empty_record,
    needed_by,
    new_record,
    rows,
    seen,
    written_fields,
)

quick = settings(deadline=None, max_examples=20)


# --- laws


@both
@quick
@given(st.data())
def test_a_record_that_holds_a_row_needs_no_change(
    object_type: ObjectType, data: st.DataObject
) -> None:
    row = data.draw(rows(object_type))
    needed = changes(object_type, row, new_record(object_type, row), LISTS)
    held = {field.name for field in written_fields(object_type)}
    assert not seen(object_type, needed)
    assert not held & set(needed.unwritable)


@both
@quick
@given(st.data())
def test_after_its_changes_a_record_holds_the_row(
    object_type: ObjectType, data: st.DataObject
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = data.draw(rows(object_type))
    after = carry_out(object_type, record, changes(object_type, row, record, LISTS))
    assert not seen(object_type, changes(object_type, row, after, LISTS))


@both
@quick
@given(st.data())
def test_changes_touch_nothing_that_the_row_does_not_carry(
    object_type: ObjectType, data: st.DataObject
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = data.draw(rows(object_type))
    after = carry_out(object_type, record, changes(object_type, row, record, LISTS))
    carried = {object_type.fields[name].read for name in row.values}
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
    object_type: ObjectType, data: st.DataObject
) -> None:
    row = data.draw(rows(object_type))
    needed = changes(object_type, row, None, LISTS)
    names = [f.update or f.bulk for f in map(object_type.fields.__getitem__, row.values)]
    custom = {"typed_custom_fields"} if row.custom else set()
    assert {*needed.update, *needed.bulk} == {*names, *custom}
    assert needed.lists == row.lists


@both
@quick
@given(st.data())
def test_a_new_record_holds_its_row_after_what_bulk_create_left_behind(
    object_type: ObjectType, data: st.DataObject
) -> None:
    drawn = data.draw(rows(object_type))
    row = Row(1, (1,), drawn.match_key, {k: v for k, v in drawn.values.items() if v},
              {k: v for k, v in drawn.custom.items() if v}, drawn.lists)  # fmt: skip
    request = CreateRequest((row,))
    if object_type is CONTACT and row.values.get("owner_id"):
        request = CreateRequest((row,), row.values["owner_id"])
    record = apply(object_type, empty_record(object_type), create_item(object_type, row))
    if request.owner_id:
        record["owner_id"] = request.owner_id
    after = carry_out(object_type, record, left_to_write(object_type, request, row))
    assert not seen(object_type, changes(object_type, row, after, LISTS))


@both
@quick
@given(st.data())
def test_nothing_is_left_to_write_of_a_row_whose_item_has_all_its_values(
    object_type: ObjectType, data: st.DataObject
) -> None:
    row, request = data.draw(rows(object_type)), CreateRequest(())
    carried = {name: v for name, v in row.values.items() if name in object_type.item_names}
    whole = Row(1, (1,), row.match_key, carried, row.custom)
    assert request.has_all_values(object_type, whole)
    assert not left_to_write(object_type, request, whole)
    if left_to_write(object_type, request, row):
        assert not request.has_all_values(object_type, row)


@both
@quick
@given(st.data())
def test_a_new_record_holds_its_row_after_the_second_step(
    object_type: ObjectType, data: st.DataObject
) -> None:
    drawn = data.draw(rows(object_type))
    row = Row(1, (1,), drawn.match_key, {k: v for k, v in drawn.values.items() if v},
              {k: v for k, v in drawn.custom.items() if v}, drawn.lists)  # fmt: skip
    request = CreateRequest((row,), identity_only=True)
    (item,) = request.items(object_type)
    record = apply(object_type, empty_record(object_type), item)
    left = left_to_write(object_type, request, row)
    after = carry_out(object_type, record, left)
    assert not seen(object_type, changes(object_type, row, after, LISTS))
    sent = {object_type.fields[name].create for name in row.values} & set(item)
    assert len(sent) + len(left.unwritable) <= len(row.values)


# --- where changes go


def test_a_contact_s_owner_and_page_go_with_bulk_update() -> None:
    values: Values = {"owner_id": "a" * 24, "linkedin_url": "linkedin.com/in/ada", "title": "VP"}
    needed = needed_by(CONTACT, values, contact())
    assert needed.update == {"title": "VP"}
    assert needed.bulk == {"owner_id": "a" * 24, "linkedin_url": "linkedin.com/in/ada"}


@both
def test_a_text_is_emptied_by_an_empty_text_and_an_id_by_null(object_type: ObjectType) -> None:
    text, an_id = ("title", "account_id") if object_type is CONTACT else ("name", "owner_id")
    record = {**empty_record(object_type), text: "x", an_id: "a" * 24}
    assert needed_by(object_type, {text: None, an_id: None}, record).update == {
        text: "",
        an_id: None,
    }


def test_a_custom_field_is_emptied_by_an_empty_text() -> None:
    row = Row(1, (1,), None, {}, custom={CUSTOM[0]: None, CUSTOM[1]: "x"})
    record = contact(typed_custom_fields={CUSTOM[0]: "old", CUSTOM[1]: "x"})
    needed = changes(CONTACT, row, record, {})
    assert needed.update == {"typed_custom_fields": {CUSTOM[0]: ""}}


@pytest.mark.parametrize(
    ("object_type", "name"), [(CONTACT, "salesforce_id"), (ACCOUNT, "linkedin_url")]
)
def test_a_field_that_only_new_records_take_is_reported_and_not_sent(
    object_type: ObjectType, name: str
) -> None:
    needed = needed_by(object_type, {name: "x"}, empty_record(object_type))
    assert not needed
    assert needed.unwritable == (name,)


def test_a_record_is_added_to_the_lists_that_it_is_not_on() -> None:
    row = Row(1, (1,), None, {}, lists=("A", "B", "not made yet"))
    record = contact(label_ids=[LISTS["B"], "9" * 24])
    assert changes(CONTACT, row, record, LISTS).lists == ("A", "not made yet")


def test_changes_are_none_where_there_is_nothing_to_send() -> None:
    assert not Changes(unwritable=("salesforce_id",))
    assert Changes(update={"title": ""})
    assert Changes(bulk={"owner_id": None})
    assert Changes(lists=("A",))


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


def test_the_first_of_two_steps_carries_the_keys_alone() -> None:
    values: Values = {"email": "a@b.de", "first_name": "A", "last_name": "B", "title": "VP",
                      "hubspot_id": "7", "owner_id": "a" * 24, "phone_number": "+1"}  # fmt: skip
    row = Row(1, (1,), "a@b.de", values, {CUSTOM[0]: "x"}, ("A",), more_emails=("c@d.de",))
    (request,) = create_requests(CONTACT, [row], 100, spare_existing=False, identity_only=True)
    assert request.owner_id is None
    assert request.items(CONTACT) == [{"email": "a@b.de", "hubspot_id": "7"}]
    left = left_to_write(CONTACT, request, row)
    assert left.update == {
        "first_name": "A", "last_name": "B", "title": "VP", "direct_phone": "+1",
        "typed_custom_fields": {CUSTOM[0]: "x"},
    }  # fmt: skip
    assert left.bulk == {"owner_id": "a" * 24}
    assert left.lists == ("A",)
    assert left.unwritable == ("contact_emails",)


@pytest.mark.parametrize(
    ("match_key", "more", "sent"),
    [
        ("a@b.de", (), {"email"}),
        ("linkedin_url:linkedin.com/in/a", (), {"email", "linkedin_url"}),
        ("a@b.de", (f"custom:{CUSTOM[0]}:x",), {"email", "typed_custom_fields"}),
        ("a@b.de", ("name:a b|c",), {"email", "first_name", "last_name", "organization_name"}),
    ],
)
def test_the_first_step_carries_the_keys_of_match_on(
    match_key: str, more: tuple[str, ...], sent: set[str]
) -> None:
    names = ("email", "first_name", "last_name", "organization_name", "linkedin_url")
    values: Values = dict.fromkeys(names, "x")
    row = Row(1, (1,), match_key, values, {CUSTOM[0]: "x", CUSTOM[1]: "y"}, more_keys=more)
    (item,) = CreateRequest((row,), identity_only=True).items(CONTACT)
    assert item.keys() == sent


@pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT])
def test_the_first_step_names_those_who_have_no_other_key(object_type: ObjectType) -> None:
    values: Values = dict.fromkeys(name_fields(object_type), "x")
    row = Row(1, (1,), "name:x", values)
    assert CreateRequest((row,), identity_only=True).items(object_type) == [values]


@both
def test_a_new_record_has_nothing_to_be_emptied(object_type: ObjectType) -> None:
    row = Row(1, (1,), None, dict.fromkeys(object_type.fields), custom={CUSTOM[0]: None})
    assert left_to_write(object_type, CreateRequest((row,)), row) == Changes()
