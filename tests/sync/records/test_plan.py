from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.sync.records.plan import (
    MAX_REQUEST_CHARACTERS,
    chunks,
    create_item,
    create_requests,
)

quick = settings(deadline=None, max_examples=25)

OWNERS = ("a" * 24, "b" * 24)
EMAIL = "ada@example.com"


def numbered(rows: list[Row]) -> list[Row]:
    return [with_values(row, number=number) for number, row in enumerate(rows, start=1)]


# --- requests

rows_to_create = st.lists(
    st.tuples(
        st.sampled_from([None, "absent", *OWNERS]), st.sampled_from([(), ("A",), ("A", "B")])
    ),
    max_size=30,
).map(
    lambda kinds: [
        Row(
            number,
            (number,),
            f"{number}@example.com",
            {} if owner == "absent" else {"owner_id": owner},
            lists=names,
        )
        for number, (owner, names) in enumerate(kinds)
    ]
)
either = st.sampled_from([CONTACT, ACCOUNT])


@quick
@given(either, rows_to_create, st.integers(1, 8), st.booleans())
def test_every_row_is_in_one_request_of_the_allowed_size(
    object_type: ObjectType, rows: list[Row], size: int, spare: bool
) -> None:
    requests = create_requests(object_type, rows, size, spare_existing=spare)
    assert all(1 <= len(request.rows) <= size for request in requests)
    assert sorted(row.number for request in requests for row in request.rows) == [
        row.number for row in rows
    ]


@quick
@given(either, rows_to_create, st.integers(1, 8), st.booleans())
def test_no_row_gets_the_owner_of_another(
    object_type: ObjectType, rows: list[Row], size: int, spare: bool
) -> None:
    for request in create_requests(object_type, rows, size, spare_existing=spare):
        for row in request.rows:
            assert request.owner_id in (None, row.values.get("owner_id"))


@quick
@given(either, rows_to_create, st.integers(1, 8))
def test_an_insert_gives_no_owner_to_what_exists(
    object_type: ObjectType, rows: list[Row], size: int
) -> None:
    for request in create_requests(object_type, rows, size, spare_existing=True):
        assert request.owner_id is None


@quick
@given(either, rows_to_create, st.integers(1, 8))
def test_grouping_never_costs_more_than_twice_the_fewest_requests(
    object_type: ObjectType, rows: list[Row], size: int
) -> None:
    requests = create_requests(object_type, rows, size, spare_existing=False)
    assert len(requests) <= 2 * -(-len(rows) // size)


@quick
@given(st.lists(st.sampled_from(OWNERS), max_size=20))
def test_an_account_s_owner_stands_in_its_item_and_splits_no_request(owners: list[str]) -> None:
    rows = [Row(n, (n,), f"{n}.example.com", {"owner_id": one}) for n, one in enumerate(owners)]
    requests = create_requests(ACCOUNT, rows, 100, spare_existing=False)
    assert [request.owner_id for request in requests] == [None] * bool(rows)


def test_a_thousand_new_rows_need_ten_requests() -> None:
    rows = [Row(n, (n,), f"{n}@example.com", {}) for n in range(1000)]
    assert len(create_requests(CONTACT, rows, 100, spare_existing=False)) == 10


# --- chunks

HEAVY = MAX_REQUEST_CHARACTERS // 2
weights = st.lists(st.sampled_from([0, 1, HEAVY // 2, HEAVY, HEAVY + 1, 3 * HEAVY]), max_size=12)


def weighing(number: int, weight: int) -> Row:
    held: Values = {"title": "x" * (weight // 2), "email": None}
    return Row(number, (number,), None, held, custom={"f": "x" * (weight - weight // 2)})


@quick
@given(weights, st.integers(1, 5))
def test_chunks_hold_all_rows_in_their_order(sizes: list[int], size: int) -> None:
    rows = [weighing(number, weight) for number, weight in enumerate(sizes)]
    assert [row for chunk in chunks(rows, size) for row in chunk] == rows


@quick
@given(weights, st.integers(1, 5))
def test_a_chunk_is_within_size_and_weight_unless_a_single_row_is_too_heavy(
    sizes: list[int], size: int
) -> None:
    for chunk in chunks([weighing(n, weight) for n, weight in enumerate(sizes)], size):
        weight = sum(sizes[row.number] for row in chunk)
        assert 1 <= len(chunk) <= size
        assert weight <= MAX_REQUEST_CHARACTERS or len(chunk) == 1


@quick
@given(st.integers(0, 30), st.integers(1, 5))
def test_light_rows_fill_their_chunks(count: int, size: int) -> None:
    found = chunks([weighing(number, 1) for number in range(count)], size)
    assert len(found) == -(-count // size)


# --- items


def test_an_item_calls_its_values_as_bulk_create_does() -> None:
    row = Row(1, (1,), EMAIL, {"email": EMAIL, "phone_number": "+1 5"}, custom={"f": "v"})
    assert create_item(CONTACT, row) == {
        "email": EMAIL,
        "phone": "+1 5",
        "typed_custom_fields": {"f": "v"},
    }


def test_an_item_leaves_out_what_is_to_be_cleared() -> None:
    row = Row(1, (1,), EMAIL, {"email": EMAIL, "title": None}, custom={"f": None})
    assert create_item(CONTACT, row) == {"email": EMAIL}


@pytest.mark.parametrize("name", ["owner_id", "website_url", "mobile_phone"])
def test_what_a_contact_s_item_does_not_take_stays_behind(name: str) -> None:
    assert create_item(CONTACT, Row(1, (1,), None, {name: "x"})) == {}


def test_an_account_s_item_takes_its_owner() -> None:
    row = Row(1, (1,), None, {"owner_id": OWNERS[0]})
    assert create_item(ACCOUNT, row) == {"owner_id": OWNERS[0]}


def test_a_new_contact_s_additional_addresses_stand_behind_its_own() -> None:
    row = Row(1, (1,), EMAIL, {"email": EMAIL}, more_emails=("b@example.com", "c@example.com"))
    assert create_item(CONTACT, row, frozenset({EMAIL, "c@example.com"})) == {
        "email": EMAIL,
        "contact_emails": [
            {"email": EMAIL, "position": 0},
            {"email": "b@example.com", "position": 1},
        ],
    }
    assert create_item(CONTACT, row, frozenset(row.more_emails)) == {"email": EMAIL}
