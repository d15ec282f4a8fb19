from __future__ import annotations

import json
from typing import Any

import pytest

from target_apollo.apollo.decoding import (
    CreatedRecord,
    decode_body,
    decode_created_accounts,
    decode_created_contacts,
)
from target_apollo.model.objects import OBJECTS, ObjectType

RECORD = {
    "id": "6b0171752e733d90a13c4f3c",
    "email": "ann@example.com",
    "contact_emails": [{"email": "ann@example.com", "position": 0}],
    "title": "Engineer",
    "created_at": "2026-01-01T00:00:00Z",
    "custom_field_errors": {},
}


def content(created: Any, existing: Any) -> bytes:
    return json.dumps({"created_contacts": created, "existing_contacts": existing}).encode()


def test_of_a_created_record_only_what_is_looked_at_is_kept() -> None:
    found = decode_created_contacts(content([RECORD], []))["created_contacts"][0]

    assert found == {
        "id": RECORD["id"],
        "email": "ann@example.com",
        "contact_emails": [{"email": "ann@example.com"}],
        "created_at": "2026-01-01T00:00:00Z",
        "custom_field_errors": {},
    }


def test_an_existing_record_is_kept_whole() -> None:
    assert decode_created_contacts(content([], [RECORD]))["existing_contacts"] == [RECORD]


@pytest.mark.parametrize("object_type", OBJECTS.values(), ids=lambda one: one.kind.value)
def test_all_that_rows_are_matched_by_is_kept(object_type: ObjectType) -> None:
    read = {
        object_type.fields[name].read for name in (object_type.match_field, *object_type.crm_ids)
    }
    names = {"name"} if "name" in object_type.fields else {"first_name", "last_name"}

    assert read | names <= CreatedRecord.__annotations__.keys()


@pytest.mark.parametrize(
    "answer",
    [
        {"entity_progress_job": {"id": "1"}},
        {"created_contacts": [RECORD]},
        {"created_contacts": ["an id"], "existing_contacts": []},
        {"created_contacts": [{**RECORD, "contact_emails": "?"}], "existing_contacts": []},
        [RECORD],
        None,
    ],
)
def test_an_answer_of_another_form_comes_whole(answer: Any) -> None:
    assert decode_created_contacts(json.dumps(answer).encode()) == answer


def test_an_answer_that_only_a_lenient_reader_takes_is_decoded_too() -> None:
    lenient = content([{**RECORD, "email": "lone \udc80"}], [])

    assert decode_created_contacts(lenient) == decode_body(lenient)


def test_the_lists_of_accounts_have_names_of_their_own() -> None:
    answer = {"created_accounts": [{"id": "1", "phone": "1"}], "existing_accounts": []}

    found = decode_created_accounts(json.dumps(answer).encode())

    assert found == {"created_accounts": [{"id": "1"}], "existing_accounts": []}


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the JSON reader says
        decode_created_contacts(b"<html>")
