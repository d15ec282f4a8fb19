"""In a wave no record of Apollo occurs twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.records.plan import waves

quick = settings(deadline=None, max_examples=25)

EMAILS = ("ada@example.com", "bob@example.com", "cy@example.com")


def numbered(rows: list[Row]) -> list[Row]:
    return [with_values(row, number=number) for number, row in enumerate(rows, start=1)]


rows_of_many_kinds = st.lists(
    st.builds(
        lambda key, email, apollo_id: Row(0, (key,), email, {"email": email}, apollo_id=apollo_id),
        st.integers(1, 5),
        st.sampled_from(EMAILS),
        st.sampled_from([None, None, "1" * 24, "2" * 24]),
    ),
    max_size=12,
).map(numbered)


def identities(row: Row) -> set[str]:
    return {one for one in (row.match_key, row.apollo_id) if one}


@quick
@given(rows_of_many_kinds)
def test_no_wave_holds_an_apollo_record_twice(rows: list[Row]) -> None:
    for wave in waves(CONTACT, rows):
        seen = [identity for row in wave for identity in identities(row)]
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("object_type", "name"),
    [(object_type, name) for object_type in (CONTACT, ACCOUNT) for name in object_type.crm_ids],
    ids=lambda value: value if isinstance(value, str) else value.kind.value,
)
def test_rows_that_apollo_recognises_by_one_crm_id_are_not_in_one_wave(
    object_type: ObjectType, name: str
) -> None:
    rows = [Row(n, (n,), f"{n}.example.com", {name: "0035e00000X"}) for n in (1, 2)]
    assert waves(object_type, rows) == [[rows[0]], [rows[1]]]


@quick
@given(rows_of_many_kinds)
def test_waves_hold_every_row_once(rows: list[Row]) -> None:
    found = sorted(row.number for wave in waves(CONTACT, rows) for row in wave)
    assert found == [row.number for row in rows]


@quick
@given(rows_of_many_kinds)
def test_rows_of_one_apollo_record_are_written_in_the_order_in_which_they_came(
    rows: list[Row],
) -> None:
    order = [row for wave in waves(CONTACT, rows) for row in wave]
    for identity in {one for row in rows for one in identities(row)}:
        numbers = [row.number for row in order if identity in identities(row)]
        assert numbers == sorted(numbers)


@quick
@given(rows_of_many_kinds)
def test_a_wave_keeps_the_order_of_its_rows(rows: list[Row]) -> None:
    for wave in waves(CONTACT, rows):
        numbers = [row.number for row in wave]
        assert numbers == sorted(numbers)


@quick
@given(st.integers(0, 50))
def test_rows_of_different_records_need_one_wave(count: int) -> None:
    rows = [Row(n, (n,), f"{n}@example.com", {}) for n in range(count)]
    assert waves(CONTACT, rows) == ([rows] if rows else [])
