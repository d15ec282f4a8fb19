"""A contact's plain phone number, which is written as the direct one."""

from __future__ import annotations

import pytest

from target_apollo.model.compare import not_taken
from target_apollo.model.objects import CONTACT, Json
from target_apollo.model.rows import Row, Values
from target_apollo.sync.plan import changes
from tests.helpers.single_record import contact, needed_by


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
