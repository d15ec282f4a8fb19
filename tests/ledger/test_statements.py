from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    event,
    insert,
    literal_column,
    select,
    update,
)

from target_apollo.ledger import Intent, Ledger, LinkOutcome, LinkStatus, Place
from target_apollo.ledger.database import KEYS, WRITES, Address, ManyRows, array_of

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


LINK = Place("team", "contact", "contacts")


def test_a_key_that_comes_twice_in_a_batch_keeps_its_last_outcome_and_what_the_first_one_tells(
    ledger: Ledger,
) -> None:
    created = LinkOutcome("1", LinkStatus.CREATED, "a" * 24, "hash", match_hash="sha256:1")
    refused = LinkOutcome("1", LinkStatus.ERROR, error='a "text" with \\ and, {braces} and NULL')
    ledger.record_outcomes(LINK, "run-1", [created, LinkOutcome("2", LinkStatus.ERROR), refused])
    # A key that comes again in the statement itself.
    ledger.record_outcomes(LINK, "run-2", [created, created])
    ledger.record_outcomes(LINK, "run-2", [refused])

    link = ledger.links(LINK, ["1"])["1"]
    assert (link.status, link.error) == (LinkStatus.ERROR, refused.error)
    assert (link.apollo_id, link.match_hash) == ("a" * 24, "sha256:1")


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_batch_is_one_statement_in_postgresql(ledger: Ledger) -> None:
    sent: list[str] = []

    @event.listens_for(ledger._engine, "before_cursor_execute")
    def note(_c: object, _d: object, statement: str, *_: object) -> None:
        sent.append(statement)

    ledger.record_intents(LINK, "run-1", [Intent(str(number)) for number in range(1_000)])
    assert sum("INSERT INTO apollo_row_links" in one for one in sent) == 1
    assert len(sent) <= 5
    assert len(ledger.links(LINK, list(map(str, range(1_000))))) == 1_000


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    )
)
def test_texts_of_an_array_arrive_as_they_are(
    values: list[str | None], postgresql_server: str
) -> None:
    with psycopg.connect(postgresql_server) as server:
        (found,) = server.execute("SELECT %s::text[]", [array_of(values)]).fetchone() or ()
    assert found == values
