"""What a row is recognised by, and the key that it has in its source."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as with_values

from target_apollo.model.objects import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.rows import Mode
from target_apollo.sync.plan import collapse
from tests.helpers.row_parsers import EMAIL, OTHER, read, reason_of

# --- identity


@pytest.mark.parametrize("mode", [Mode.INSERT, Mode.UPSERT])
@pytest.mark.parametrize(
    ("object_type", "reason"), [(CONTACT, Reason.MISSING_EMAIL), (ACCOUNT, Reason.MISSING_DOMAIN)]
)
def test_a_new_record_needs_what_it_is_recognised_by(
    mode: Mode, object_type: ObjectType, reason: Reason
) -> None:
    assert reason_of({"id": 1}, mode=mode, object_type=object_type) is reason


def test_an_upsert_by_apollo_id_needs_no_e_mail() -> None:
    assert read({"id": 1, "apollo_id": OTHER}).apollo_id == OTHER


def test_an_insert_needs_the_e_mail_even_with_an_apollo_id() -> None:
    record: dict[str, object] = {"id": 1, "apollo_id": OTHER}
    assert reason_of(record, mode=Mode.INSERT) is Reason.MISSING_EMAIL


def test_an_insert_has_no_use_for_an_apollo_id() -> None:
    assert read({"id": 1, "email": EMAIL, "apollo_id": OTHER}, mode=Mode.INSERT).apollo_id is None


def test_an_update_goes_to_the_record_s_apollo_id() -> None:
    assert read({"id": 1, "apollo_id": OTHER.upper()}, mode=Mode.UPDATE).apollo_id == OTHER


def test_an_update_without_an_apollo_id_is_left_to_the_ledger() -> None:
    assert read({"id": 1, "title": "Dr"}, mode=Mode.UPDATE).apollo_id is None


def test_an_update_goes_by_the_single_key_where_the_stream_has_no_apollo_id() -> None:
    row = read({"id": OTHER.upper()}, mode=Mode.UPDATE, properties=frozenset({"id"}))
    assert row.apollo_id == OTHER


def test_an_update_never_takes_the_key_for_a_missing_apollo_id() -> None:
    assert read({"id": OTHER, "apollo_id": None}, mode=Mode.UPDATE).apollo_id is None


def test_a_key_of_two_parts_is_no_apollo_id() -> None:
    own = {"mode": Mode.UPDATE, "key": ("id", "tenant"), "properties": frozenset({"id", "tenant"})}
    assert read({"id": OTHER, "tenant": 1}, **own).apollo_id is None


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_an_object_or_array_is_no_key(value: object) -> None:
    assert reason_of({"id": value, "email": EMAIL}) is Reason.WRONG_TYPE


def test_a_malformed_apollo_id_refuses_the_record() -> None:
    record: dict[str, object] = {"id": 1, "email": EMAIL, "apollo_id": "42"}
    assert reason_of(record) is Reason.MALFORMED_ID


# --- the source key


def test_the_key_is_what_the_key_properties_hold() -> None:
    row = read({"id": 4, "title": "eu", "email": EMAIL}, key=("title", "id"))
    assert row.key == ("eu", 4)


def test_a_stream_without_a_key_is_keyed_by_what_apollo_recognises() -> None:
    assert read({"email": EMAIL}, key=()).key == (EMAIL,)
    assert read({"apollo_id": OTHER}, key=()).key == (OTHER,)


@pytest.mark.parametrize(
    "record", [{"id": None}, {}], ids=["a key that is null", "a key that no record has"]
)
def test_records_without_a_key_value_are_never_taken_for_the_same(
    record: dict[str, object],
) -> None:
    emails = ["ada@example.com", "bob@example.com"]
    try:
        rows = [read({**record, "email": email}) for email in emails]
    except RecordError:
        return
    assert [row.match_key for row in collapse(rows)] == emails


def test_a_row_decides_about_the_records_that_it_stands_for() -> None:
    row = with_values(read({"id": 1, "email": EMAIL}), supersedes=(3, 5), number=9)
    assert row.numbers == (3, 5, 9)
