"""Which of the sent values an answer shows, and which Apollo did not take."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.compare import holds, holds_custom, not_taken
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.sync.updates.changes import changes
from tests.helpers.single_record import (
    CUSTOM,
    LISTS,
    both,
    carry_out,
    contact,
    needed_by,
    new_record,
    rows,
)

quick = settings(deadline=None, max_examples=20)


@both
@quick
@given(st.data())
def test_an_update_that_was_taken_leaves_nothing_to_complain_of(
    object_type: ObjectType, data: st.DataObject
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = data.draw(rows(object_type))
    needed = changes(object_type, row, record, LISTS)
    after = carry_out(object_type, record, needed)
    assert not_taken(object_type, row, needed.update, after) == ()


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


# --- values that Apollo spells its own way

LONG = "A title of more than two hundred and fifty-five characters " * 6


@pytest.mark.parametrize(
    ("name", "sent", "shown"),
    [
        ("linkedin_url", "https://de.linkedin.com/in/Ann/?trk=x", "http://www.linkedin.com/in/ann"),
        ("linkedin_url", "linkedin.com/in/j%C3%BCrgen", "http://www.linkedin.com/in/ju\u0308rgen"),
        ("linkedin_url", "https://acme.example/", "http://www.acme.example"),
        ("first_name", "Jose\u0301", "Jos\u00e9"),
        ("title", LONG.strip(), LONG[:255]),
        ("title", LONG.strip(), LONG[:300].strip()),
    ],
)
def test_a_value_that_comes_back_in_another_spelling_is_held_and_was_taken(
    name: str, sent: str, shown: str
) -> None:
    field = CONTACT.fields[name]
    row = Row(1, (1,), None, {name: sent})
    assert holds(field, contact(**{name: shown}), sent)
    assert not_taken(CONTACT, row, {name: sent}, contact(**{name: shown}), contact()) == ()


@pytest.mark.parametrize(
    ("name", "sent", "shown"),
    [
        ("linkedin_url", "https://de.linkedin.com/in/ann", "http://www.linkedin.com/in/ann-lee"),
        ("linkedin_url", "https://acme.example/?id=1", "https://acme.example/?id=2"),
        ("first_name", "Jose", "Jos\u00e9"),
        ("title", "VP of Sales", "VP"),
        ("title", f"{LONG}!", f"{LONG[:254]}"),
    ],
)
def test_another_value_is_not_held(name: str, sent: str, shown: str) -> None:
    assert not holds(CONTACT.fields[name], contact(**{name: shown}), sent)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("030 1234567", "+49301234567"),
        ("+49 30 1234567 ext. 12", "+49301234567"),
        ("(415) 555-0100 x7", "+14155550100"),
        ("+49 30 1234567", "+49 30 1234567 ext. 12"),
    ],
)
def test_a_number_with_the_code_of_its_country_is_the_same_number(sent: str, shown: str) -> None:
    phones = [{"type": "mobile", "raw_number": shown, "sanitized_number": shown}]
    assert holds(CONTACT.fields["mobile_phone"], contact(phone_numbers=phones), sent)
    assert holds(ACCOUNT.fields["phone_number"], {"phone": shown}, sent)


@pytest.mark.parametrize(("sent", "shown"), [("1234567", "7654321"), ("0100", "+14155550100")])
def test_another_number_is_not_held(sent: str, shown: str) -> None:
    assert not holds(ACCOUNT.fields["phone_number"], {"phone": shown}, sent)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("5", 5.0),
        ("2.5", 2.5),
        ("true", True),
        ("2026-01-15", "2026-01-15T00:00:00.000+00:00"),
        ("2026-01-15T13:00:00+01:00", "2026-01-15T12:00:00Z"),
        ("Jose\u0301", "Jos\u00e9"),
    ],
)
def test_a_custom_field_is_held_in_whatever_type_it_is_shown(sent: str, shown: object) -> None:
    assert holds_custom({"typed_custom_fields": {"f": shown}}, "f", sent)


@pytest.mark.parametrize("shown", [["b", "a"], "b,a", "a; b"])
def test_several_options_are_held_in_whatever_form_and_order(shown: object) -> None:
    answer: Json = {"typed_custom_fields": {"f": shown}}
    assert holds_custom(answer, "f", "a,b")
    assert not holds_custom(answer, "f", "a,c")
    assert not holds_custom(answer, "f", None)
    assert holds_custom({"typed_custom_fields": {"f": []}}, "f", None)


@pytest.mark.parametrize(
    ("sent", "shown"), [("7", "007"), ("5", 6), ("true", False), ("ten", 10), ("2026-01-15", "x")]
)
def test_another_custom_value_is_not_held(sent: str, shown: object) -> None:
    assert not holds_custom({"typed_custom_fields": {"f": shown}}, "f", sent)
