from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    insert,
    literal_column,
    select,
    update,
)

from target_apollo.ledger.database import WRITES, Address
from target_apollo.ledger.statements import KEYS, ManyRows

people = Table(
    "people",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("age", Integer),
)
ADD = ManyRows(["name", "age"], lambda _: insert(people))
AGES = ManyRows(
    ["least"],
    lambda _: (
        select(people.c.name, people.c.age)
        .where(people.c.age >= bindparam("least"), people.c.name.in_([literal_column(KEYS)]))
        .order_by(people.c.name)
    ),
)
GROW = ManyRows(
    ["age"],
    lambda _: (
        update(people).where(people.c.name.in_([literal_column(KEYS)])).values(age=bindparam("age"))
    ),
)


def test_rows_are_written_found_and_changed_by_their_keys(ledger_url: str) -> None:
    address = Address.of(ledger_url)
    address.make_private_file()
    with address.engine().connect() as database:
        database.execution_options(**{WRITES: True})
        with database.begin():
            people.create(database)
            ADD.execute(database, [("Ada", 36), ("Bob", 7), ("Cy %s ?", 50)])
            GROW.change(database, (8,), ["Bob", "nobody"])

            found = AGES.find(database, (8,), ["Ada", "Bob", "Cy %s ?", "nobody"])
            of_age = AGES.find(database, (18,), ["Bob", "Cy %s ?"])

    assert list(map(tuple, found)) == [("Ada", 36), ("Bob", 8), ("Cy %s ?", 50)]
    assert list(map(tuple, of_age)) == [("Cy %s ?", 50)]


def test_no_row_is_no_work(ledger_url: str) -> None:
    address = Address.of(ledger_url)
    address.make_private_file()
    with address.engine().connect() as database:
        # The table is not there: a statement would fail.
        ADD.execute(database, [])


def test_parameters_in_another_order_than_the_statement_takes_them_are_a_defect(
    ledger_url: str,
) -> None:
    address = Address.of(ledger_url)
    address.make_private_file()
    with address.engine().connect() as database, pytest.raises(AssertionError):
        ManyRows(["age", "name"], lambda _: insert(people)).execute(database, [(1, "Ada")])
