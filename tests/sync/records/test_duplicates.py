from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.rows import Row, Values
from target_apollo.sync.records.duplicates import collapse

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
