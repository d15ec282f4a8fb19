from __future__ import annotations

from datetime import datetime, timezone

from target_apollo.model.objects.registry import ACCOUNT, CONTACT
from target_apollo.model.rows import Row
from target_apollo.sync.dry_run import simulated_answers
from target_apollo.sync.records.plan import CreateRequest, create_item
from target_apollo.sync.updates.changes import changes, left_to_write

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=timezone.utc)
ID = "d" * 24
CUSTOM = "a" * 24


def contact_row(**values: str | None) -> Row:
    return Row(1, (1,), "ann@firm.com", {"email": "ann@firm.com", **values}, {CUSTOM: "7"})


def test_a_created_record_needs_only_what_bulk_create_does_not_carry() -> None:
    row = contact_row(title="CEO", phone_number="+1 555 0100", mobile_phone="+1 555 0101")

    record = simulated_answers.created_record(CONTACT, create_item(CONTACT, row), ID, NOW)

    assert changes(CONTACT, row, record, {}).update == {"mobile_phone": "+1 555 0101"}
    assert changes(CONTACT, row, record, {}).bulk == {}


def test_the_owner_and_the_lists_of_a_request_are_its_records() -> None:
    record = simulated_answers.created_record(
        CONTACT, {}, ID, NOW, owner_id="o" * 24, label_ids=["l1"]
    )

    assert record["owner_id"] == "o" * 24
    assert record["label_ids"] == ["l1"]


def test_a_record_holds_what_it_was_last_given() -> None:
    row = contact_row(title="CEO", phone_number="+1 555 0100", mobile_phone="+1 555 0101")
    record = simulated_answers.created_record(CONTACT, create_item(CONTACT, row), ID, NOW)
    left = left_to_write(CONTACT, CreateRequest((row,)), row)

    record = simulated_answers.changed_record(CONTACT, record, left.update, NOW, bulk=False)

    assert not changes(CONTACT, row, record, {})


def test_an_account_holds_what_it_was_last_given() -> None:
    row = Row(1, (1,), "firm.com", {"domain": "firm.com", "name": "Firm", "phone_number": "1"})
    record = simulated_answers.created_record(
        ACCOUNT, {"domain": "firm.com", "name": "Former"}, ID, NOW
    )

    record = simulated_answers.changed_record(
        ACCOUNT, record, {"name": "Firm", "phone": "1"}, NOW, bulk=False
    )

    assert not changes(ACCOUNT, row, record, {})


def test_an_empty_value_empties_a_field() -> None:
    record = simulated_answers.created_record(
        CONTACT, {"title": "CEO", "typed_custom_fields": {CUSTOM: "7"}}, ID, NOW
    )

    record = simulated_answers.changed_record(
        CONTACT, record, {"title": "", "typed_custom_fields": {CUSTOM: ""}}, NOW, bulk=False
    )

    assert record["title"] is None
    assert record["typed_custom_fields"] == {}


def test_of_a_record_that_was_not_read_nothing_more_is_known() -> None:
    record = simulated_answers.changed_record(
        CONTACT,
        {"id": ID},
        {"title": "CEO", "mobile_phone": "1", "typed_custom_fields": {CUSTOM: "7"}},
        NOW,
        bulk=False,
    )

    assert set(record) == {"id", "title", "updated_at"}


def test_lists_are_only_added_to() -> None:
    assert simulated_answers.on_lists({"id": ID, "label_ids": ["a"]}, ["b", "a"])["label_ids"] == [
        "a",
        "b",
    ]
