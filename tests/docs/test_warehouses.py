"""The pages on warehouses and dbt: their projects are Meltano's, and their SQL runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jinja2
import psycopg
import pytest
import yaml

from target_apollo.config.schema import SCHEMA
from target_apollo.config.validation import problems_of
from target_apollo.model.columns import field_of
from target_apollo.model.objects.registry import OBJECTS, ObjectKind
from tests.helpers.databases import own_database
from tests.helpers.how_tos import HOW_TOS, Block, blocks_of

PAGES = ["bigquery.md", "redshift.md", "snowflake.md"]
MODELS = {"accounts": "account_key", "contacts": "contact_key"}
COMPANIES = [
    ("crm", "1", "Engines", "https://Engines.example", "London", "A@x.example", "2026-01-05"),
]
PEOPLE = [
    (
        *("crm", "7", "Ada@engines.example", "Ada", "L.", "Analyst", "1"),
        None,
        "lead",
        False,
        "2026-01-01",
    ),
    (*("shop", "9", " ada@engines.example", "Ada", "L."), *(None,) * 5, "2026-01-02"),
    (*("crm", "8", "t@engines.example", "T", "T", None, "1"), None, "lead", True, "2026-01-01"),
    (*("crm", "10", None, "No", "Address", None, "1"), None, "lead", False, "2026-01-01"),
    (*("crm", "11", "grace@engines.example", "G.", "H.", None, "1"), *(None,) * 3, "2026-01-01"),
]
Database = psycopg.Connection[tuple[Any, ...]]


def blocks(page: str) -> list[Block]:
    return list(blocks_of((HOW_TOS / page).read_text(encoding="utf-8")))


def project(page: str) -> dict[str, Any]:
    (found,) = (block for block in blocks(page) if block.is_a("meltano"))
    (extractor,) = yaml.safe_load(found.text)["plugins"]["extractors"]
    return dict(extractor)


@pytest.mark.parametrize("page", PAGES)
def test_an_extractor_sets_only_what_it_declares(page: str) -> None:
    extractor = project(page)
    assert extractor["config"].keys() <= {setting["name"] for setting in extractor["settings"]}
    assert {"namespace", "pip_url", "executable", "capabilities"} <= extractor.keys()


@pytest.mark.parametrize("page", PAGES)
def test_the_variables_of_a_page_are_those_of_its_extractor(page: str) -> None:
    extractor = project(page)
    prefix = extractor["namespace"].upper()
    known = {f"{prefix}_{setting['name'].upper()}" for setting in extractor["settings"]}
    given = [block for block in blocks(page) if block.language == "text"]
    named = {line.partition("=")[0] for block in given for line in block.text.splitlines()}
    assert named <= known
    assert named


@pytest.mark.parametrize("page", [*PAGES, "dbt.md"])
def test_the_settings_of_a_page_are_taken(page: str) -> None:
    shown = [yaml.safe_load(block.text) for block in blocks(page) if block.is_a("settings")]
    assert shown
    assert [problems_of({"api_key": "a", **one}, SCHEMA) for one in shown] == [[] for _ in shown]


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Database]:
    """A database with the tables and the views of the page on dbt, and some people in it."""
    with own_database() as server, psycopg.connect(server.url, autocommit=True) as database:
        for block in blocks("dbt.md"):
            if block.is_a("source"):
                database.execute(block.text.encode())
            if block.option("model"):
                name = block.option("model")
                select = jinja2.Template(block.text).render(ref=str, config=lambda **_: "")
                database.execute(f"create view {name} as {select}".encode())
        yield database


@pytest.fixture
def people(warehouse: Database) -> Database:
    warehouse.execute("truncate stg_people, stg_companies")
    with warehouse.cursor() as cursor:
        cursor.executemany(f"insert into stg_companies values ({', '.join(['%s'] * 7)})", COMPANIES)
        cursor.executemany(f"insert into stg_people values ({', '.join(['%s'] * 11)})", PEOPLE)
    return warehouse


def rows(database: Database, model: str) -> list[dict[str, Any]]:
    cursor = database.execute(f"select * from {model} order by 1".encode())
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("model", MODELS)
def test_each_column_of_a_model_fits_a_field(people: Database, model: str) -> None:
    kind = OBJECTS[ObjectKind(model)]
    columns = rows(people, model)[0].keys() - {MODELS[model], "updated_at"}
    known = {*kind.fields, *kind.named_fields}
    assert {name for name in columns if name not in known and not field_of(kind, name)} == set()


def test_a_model_has_each_address_once_under_the_key_of_its_row(people: Database) -> None:
    found = rows(people, "contacts")
    assert [(row["contact_key"], row["email"]) for row in found] == [
        ("crm:11", "grace@engines.example"),
        ("shop:9", "ada@engines.example"),
    ]


def test_a_company_that_changes_changes_the_rows_of_its_people(people: Database) -> None:
    people.execute("update stg_companies set company_name = 'E.', updated_at = '2026-02-01'")
    grace = rows(people, "contacts")[0]
    assert (grace["organization_name"], grace["updated_at"].month) == ("E.", 2)


def test_an_account_has_one_row_a_domain(people: Database) -> None:
    (account,) = rows(people, "accounts")
    assert (account["account_key"], account["domain"]) == ("crm:1", "https://engines.example")
