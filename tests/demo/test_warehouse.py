"""The demo's rows are the dirty CRM that they claim to be, and PostgreSQL holds them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.demo.crm_rows import CrmRows, Table, Workspace, crm_rows
from target_apollo.demo.postgres import PostgresServer
from target_apollo.demo.warehouse import WarehouseError, change_some, drop, fill
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts import domains, emails
from tests.helpers.databases import own_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKSPACE = Workspace(("ann@apollo.example",), ("New", "Replied"), ("Cold",))


@pytest.fixture(scope="module")
def rows() -> CrmRows:
    return crm_rows(workspace=WORKSPACE)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_database() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    yield server.url
    drop(server.url)


def verdict(normalise: Callable[[], str | None], missing: Reason) -> str | Reason:
    """The match key as the target reads it, or why there is none."""
    try:
        return normalise() or missing
    except RecordError as error:
        return error.rejection.reason


@pytest.mark.full
def test_the_same_seed_gives_the_same_rows() -> None:
    assert crm_rows(seed=3) == crm_rows(seed=3)
    assert crm_rows(seed=3) != crm_rows(seed=4)


@settings(max_examples=25, deadline=None)
@given(accounts=st.integers(0, 60), contacts=st.integers(0, 300), seed=st.integers())
def test_every_row_is_good_or_bad_and_every_good_one_has_a_key(
    accounts: int, contacts: int, seed: int
) -> None:
    made = crm_rows(accounts=accounts, contacts=contacts, seed=seed)
    for table, count in ((made.accounts, accounts), (made.contacts, contacts)):
        assert len(table.rows) == count
        assert len(table.bad) + len(table.row_of_key) + len(table.duplicates) == count


def test_contacts_have_the_key_or_the_fault_that_is_written_down(rows: CrmRows) -> None:
    key_of_row = {number: key for key, number in rows.contacts.row_of_key.items()}
    for row in rows.contacts.rows:
        number, email = row["id"], row["email"]
        found = verdict(lambda email=email: emails.email("email", email), Reason.MISSING_EMAIL)
        fault = rows.contacts.bad.get(number)
        if fault not in (None, Reason.UNKNOWN_NAME):
            # Some faults are placeholders, which are read as no value.
            assert found in (fault, Reason.MISSING_EMAIL), number
        elif number in key_of_row:
            assert found == key_of_row[number]


def test_accounts_have_the_key_or_the_fault_that_is_written_down(rows: CrmRows) -> None:
    key_of_row = {number: key for key, number in rows.accounts.row_of_key.items()}
    for row in rows.accounts.rows:
        number, domain = row["id"], row["domain"]
        found = verdict(
            lambda domain=domain: domains.domain("domain", domain), Reason.MISSING_DOMAIN
        )
        fault = rows.accounts.bad.get(number)
        if fault not in (None, Reason.UNKNOWN_NAME):
            assert found in (fault, Reason.MISSING_DOMAIN), number
        elif number in key_of_row:
            assert found == key_of_row[number]


def test_every_kind_of_dirt_is_there(rows: CrmRows) -> None:
    assert set(rows.accounts.bad_by_reason) == {
        "missing_domain", "malformed_domain", "unknown_name",
    }  # fmt: skip
    assert set(rows.contacts.bad_by_reason) == {
        "missing_email", "malformed_email", "unknown_name",
    }  # fmt: skip
    assert rows.accounts.duplicates
    assert rows.contacts.duplicates
    emails = [str(row["email"]) for row in rows.contacts.rows if row["email"]]
    assert any(email != email.strip() for email in emails)
    assert any(email != email.lower() for email in emails)
    domains = [str(row["domain"]) for row in rows.accounts.rows if row["domain"]]
    assert any(domain.startswith("https://www.") for domain in domains)
    assert any(not domain.isascii() for domain in domains)
    assert any(key.startswith("xn--") for key in rows.accounts.row_of_key)
    assert any(not str(row["first_name"]).isascii() for row in rows.contacts.rows)
    assert any(row["title"] is None for row in rows.contacts.rows)
    assert any(row["account_domain"] for row in rows.contacts.rows)


def test_bad_rows_stay_below_the_limit_at_which_a_run_fails(rows: CrmRows) -> None:
    for table in (rows.accounts, rows.contacts):
        assert len(table.bad) < 0.05 * len(table.rows)


@pytest.mark.full
def test_no_two_people_of_one_company_share_a_name(rows: CrmRows) -> None:
    twice = set(rows.contacts.duplicates)
    names = Counter(
        (row["first_name"], str(row["last_name"]).strip().lower(), row["organization_name"])
        for row in rows.contacts.rows
        if row["organization_name"] and row["id"] in set(rows.contacts.row_of_key.values()) - twice
    )
    assert max(names.values()) == 1


def test_postgres_holds_every_row(url: str, rows: CrmRows) -> None:
    fill(url, rows)
    with psycopg.connect(url) as connection:
        for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts)):
            columns = ", ".join(table.rows[0])
            held = connection.execute(f"select {columns} from crm.{name} order by id").fetchall()
            assert held == [tuple(row.values()) for row in table.rows]


def test_filling_again_replaces_what_was_there(url: str, rows: CrmRows) -> None:
    fill(url, rows)
    fill(url, crm_rows(accounts=3, contacts=5))
    assert counts(url) == (3, 5)


def test_a_change_touches_that_many_rows_and_says_which(url: str, rows: CrmRows) -> None:
    fill(url, rows)
    changes = change_some(url, rows, contacts=40, accounts=10)
    assert (len(changes.contacts), len(changes.accounts)) == (40, 10)
    with psycopg.connect(url) as connection:
        for name, table, changed in (
            ("accounts", rows.accounts, changes.accounts),
            ("contacts", rows.contacts, changes.contacts),
        ):
            assert set(changed) <= set(table.row_of_key) - table.keys_twice
            newest = max(row["updated_at"] for row in table.rows)
            later = connection.execute(
                f"select id from crm.{name} where updated_at > %s", [newest]
            ).fetchall()
            assert {number for (number,) in later} == {table.row_of_key[key] for key in changed}


def test_a_schema_of_someone_else_is_left_alone(url: str, rows: CrmRows) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create schema crm")
        connection.execute("create table crm.precious (id int)")
    with pytest.raises(WarehouseError, match="did not make"):
        fill(url, rows)
    with pytest.raises(WarehouseError, match="did not make"):
        drop(url)
    with psycopg.connect(url) as connection:
        connection.execute("select * from crm.precious")
        connection.execute("drop schema crm cascade")


def test_a_server_that_does_not_answer_is_told_as_a_sentence(rows: CrmRows) -> None:
    with pytest.raises(WarehouseError, match="could not be filled"):
        fill("postgresql://me@127.0.0.1:1/nowhere", rows)


def counts(url: str) -> tuple[int, int]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select (select count(*) from crm.accounts), (select count(*) from crm.contacts)"
        ).fetchone()
    assert found is not None
    return found[0], found[1]


def test_an_empty_table_has_no_reasons() -> None:
    assert Table().bad_by_reason == {}
