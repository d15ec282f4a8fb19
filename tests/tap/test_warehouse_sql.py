"""The SQL of docs/how-to/results.md, run on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from target_apollo.ledger import source_key

DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "results.md").read_text(encoding="utf-8")
SPELL, *_ = [block for block in re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)
             if "create or replace function" in block]  # fmt: skip
Database = psycopg.Connection[tuple[Any, ...]]

# PostgreSQL holds neither NUL nor half a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=600)


@pytest.fixture(scope="module")
def spelling(postgresql_server: str) -> Iterator[Database]:
    url = postgresql_server.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as database:
        database.execute(SPELL.encode())
        yield database
        database.rollback()


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts | st.emails())
@example("ann@customer.example")
@example("Zoë@müller.example")
@example("＠")
@example('\x7f\x1f\b\f\n\r\t"\\/')
@example("\U0001f600")
@example("x" * 498)
@example("x" * 499)
@example("")
def test_a_text_key_is_spelled_as_the_ledger_does(spelling: Database, value: str) -> None:
    (found,) = spelling.execute("select apollo_source_key(%s)", [value]).fetchone() or ()
    assert found == source_key([value])


@pytest.mark.parametrize("number", [0, 7, -12, 10**17])
def test_a_whole_number_is_found_by_its_digits(spelling: Database, number: int) -> None:
    (found,) = spelling.execute("select %s::bigint::text", [number]).fetchone() or ()
    assert found == source_key([number])


def test_several_keys_are_joined_by_commas(spelling: Database) -> None:
    query = "select 7::text || ',' || apollo_source_key('de')"
    (found,) = spelling.execute(query).fetchone() or ()
    assert found == source_key([7, "de"])
