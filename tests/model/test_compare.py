"""What an answer shows to be missing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.compare import not_taken
from target_apollo.model.objects import CONTACT, Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.plan import changes
from tests.helpers.single_record import CUSTOM, LISTS, both, carry_out, contact, new_record, rows

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
