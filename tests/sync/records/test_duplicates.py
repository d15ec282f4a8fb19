from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.rows import Row, Values
from target_apollo.sync.records.duplicates import collapse, duplicates, waves

quick = settings(deadline=None, max_examples=25)

OWNERS = ("a" * 24, "b" * 24)
EMAILS = ("ada@example.com", "bob@example.com", "cy@example.com")
FIELDS = ("title", "first_name", "owner_id")

values = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from([None, "x", "y", "z"]))
# A source key keeps its e-mail; several keys can have the same one.
EMAIL_OF = {1: EMAILS[0], 2: EMAILS[0], 3: EMAILS[1], 4: EMAILS[2], 5: None}
lists = st.lists(st.sampled_from(["A", "B", "C"]), unique=True).map(tuple)


def numbered(rows: list[Row]) -> list[Row]:
    return [with_values(row, number=number) for number, row in enumerate(rows, start=1)]


def row_of(key: int, held: Values, custom: Values, names: tuple[str, ...]) -> Row:
    email = EMAIL_OF[key]
    return Row(
        number=0,
        key=(key,),
        match_key=email,
        values={**held, "email": email} if email else held,
        custom=custom,
        lists=names,
        apollo_id=None if email else "f" * 24,
    )


rows_of_few_keys = st.lists(
    st.builds(row_of, st.sampled_from(list(EMAIL_OF)), values, values, lists), max_size=10
).map(numbered)
rows_of_unshared_records = rows_of_few_keys.map(
    lambda rows: [row for row in rows if row.key != (2,)]
)

rows_of_many_kinds = st.lists(
    st.builds(
        lambda key, email, apollo_id: Row(0, (key,), email, {"email": email}, apollo_id=apollo_id),
        st.integers(1, 5),
        st.sampled_from(EMAILS),
        st.sampled_from([None, None, "1" * 24, "2" * 24]),
    ),
    max_size=12,
).map(numbered)


@dataclass
class Record:
    """A record in Apollo, as writing rows one by one would leave it."""

    values: Values = field(default_factory=dict)
    custom: Values = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)

    def write(self, row: Row) -> None:
        self.values.update(row.values)
        self.custom.update(row.custom)
        self.lists.update(row.lists)


def written(rows: list[Row], *, by_key: bool) -> dict[object, Record]:
    records: dict[object, Record] = {}
    for row in rows:
        of = row.key if by_key else (row.match_key or row.apollo_id)
        records.setdefault(of, Record()).write(row)
    return records


# --- rows of one source key


@quick
@given(rows_of_unshared_records)
def test_rows_of_one_key_collapse_into_one(rows: list[Row]) -> None:
    keys = [row.key for row in collapse(CONTACT, rows)]
    assert len(keys) == len(set(keys))
    assert set(keys) == {row.key for row in rows}


@quick
@given(rows_of_few_keys)
def test_what_a_key_s_rows_leave_behind_is_what_writing_them_one_by_one_would(
    rows: list[Row],
) -> None:
    assert written(collapse(CONTACT, rows), by_key=True) == written(rows, by_key=True)


@quick
@given(rows_of_few_keys)
@example(
    numbered(
        [
            row_of(1, {"title": "from key 1"}, {}, ()),
            row_of(2, {"title": "from key 2"}, {}, ()),
            row_of(1, {"first_name": "from key 1"}, {}, ()),
        ]
    )
)
def test_a_record_with_several_keys_ends_as_writing_them_one_by_one_would_leave_it(
    rows: list[Row],
) -> None:
    assert written(collapse(CONTACT, rows), by_key=False) == written(rows, by_key=False)


def test_rows_stay_apart_between_which_another_key_writes_the_same_record() -> None:
    rows = numbered([row_of(key, {"title": "x"}, {}, ()) for key in (1, 1, 2, 1, 1)])
    assert [row.numbers for row in collapse(CONTACT, rows)] == [(1, 2), (3,), (4, 5)]


@quick
@given(rows_of_few_keys)
def test_every_record_is_decided_about_by_one_row(rows: list[Row]) -> None:
    decided = [number for row in collapse(CONTACT, rows) for number in row.numbers]
    assert sorted(decided) == [row.number for row in rows]


@quick
@given(rows_of_unshared_records)
def test_a_row_stands_at_the_place_of_its_last_record(rows: list[Row]) -> None:
    numbers = [row.number for row in collapse(CONTACT, rows)]
    assert numbers == sorted(numbers)
    assert numbers == sorted({row.key: row.number for row in rows}.values())


@quick
@given(rows_of_few_keys)
def test_collapsing_what_is_collapsed_changes_nothing(rows: list[Row]) -> None:
    assert collapse(CONTACT, collapse(CONTACT, rows)) == collapse(CONTACT, rows)


def test_a_row_of_somebody_else_takes_over_nothing_of_the_row_before_it() -> None:
    ada = {"email": EMAILS[0], "first_name": "Ada", "last_name": "Lee", "title": "Countess"}
    bob = {"email": EMAILS[1], "first_name": "Bob", "last_name": "Kay"}
    before = Row(1, (1,), EMAILS[0], ada, custom={"c" * 24: "x"}, lists=("A",), apollo_id="f" * 24)

    (row,) = collapse(CONTACT, [before, Row(2, (1,), EMAILS[1], bob)])

    assert row == Row(2, (1,), EMAILS[1], bob, supersedes=(1,))


def test_a_person_with_a_new_address_is_still_the_same() -> None:
    before = {"email": EMAILS[0], "first_name": "Ada", "title": "Countess"}
    after = {"email": EMAILS[1], "first_name": "Ada"}

    (row,) = collapse(CONTACT, [Row(1, (1,), EMAILS[0], before), Row(2, (1,), EMAILS[1], after)])

    assert row.values == {**after, "title": "Countess"}


def test_an_id_and_an_e_mail_that_only_the_earlier_row_carries_are_kept() -> None:
    before = Row(1, (1,), EMAILS[0], {"email": EMAILS[0]}, apollo_id="f" * 24)
    (row,) = collapse(CONTACT, [before, Row(2, (1,), None, {"title": "x"})])
    assert (row.match_key, row.apollo_id) == (EMAILS[0], "f" * 24)


# --- waves


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


# --- the duplicate audit


@quick
@given(rows_of_few_keys)
def test_the_audit_lists_the_keys_that_share_a_match_key(rows: list[Row]) -> None:
    shared: dict[str, list[tuple[object, ...]]] = {}
    for row in rows:
        if row.match_key:
            shared.setdefault(row.match_key, []).append(row.key)
    expected = [tuple(dict.fromkeys(keys)) for keys in shared.values() if len(set(keys)) > 1]
    assert list(duplicates(rows).values()) == expected
