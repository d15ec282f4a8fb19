"""Each command of docs/how-to and docs/explanation, run for real: sandbox, PostgreSQL, Meltano."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from target_apollo.cli import COMMANDS
from target_apollo.config.schema import SCHEMA
from target_apollo.config.validation import problems_of
from target_apollo.demo.crm_rows import crm_rows
from target_apollo.demo.meltano import install_plugins
from target_apollo.demo.postgres import PostgresServer
from target_apollo.demo.sandbox import running_sandbox
from target_apollo.demo.warehouse import fill
from tests.helpers.databases import own_database
from tests.helpers.how_tos import HOW_TOS, Block, Reader, blocks_of, lacks

DOCS = HOW_TOS.parent
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for folder in ("how-to", "explanation")
    for path in (DOCS / folder).glob("*.md")
)
#: Pages without commands that can be followed here, and the test that holds what they say.
TESTED_ELSEWHERE = {
    "explanation/ledger.md": "promises/test_modes.py",
    "explanation/promises.md": "docs/test_promises.py",
    "explanation/quota.md": "promises/test_modes.py",
    "explanation/state.md": "promises/test_state.py",
    "how-to/bigquery.md": "docs/test_warehouses.py",
    "how-to/dbt.md": "docs/test_warehouses.py",
    "how-to/deals.md": "promises/objects/test_deals.py",
    "how-to/lists.md": "promises/objects/test_mirrored_lists.py",
    "how-to/own-rows.md": "docs/test_own_rows.py",
    "how-to/qualify-leads.md": "docs/test_qualify_leads.py",
    "how-to/redshift.md": "docs/test_warehouses.py",
    "how-to/results.md": "promises/test_results.py",
    "how-to/sequences.md": "promises/objects/test_sequence_members.py",
    "how-to/snowflake.md": "docs/test_warehouses.py",
    "how-to/tasks.md": "promises/objects/test_tasks.py",
}
#: Beginning of a command that no test runs as it stands -> why.
NOT_RUN = {
    "cp .secrets.example": "the file is in the repository's folder, not in the reader's",
    "meltano select tap-": "this warehouse is not here",
    "meltano invoke tap-": "this warehouse is not here",
    "meltano run dbt-postgres": "no dbt here; tests/docs/test_warehouses.py runs the SQL",
    "export MELTANO_ENVIRONMENT=prod": "tests/promises/test_many_teams.py sets these",
    "export DAGSTER_DATABASE_URL": "`make engines` sets these",
    "export AIRFLOW__DATABASE": "`make engines` sets these",
}
FOLLOWED = [page for page in PAGES if page not in TESTED_ELSEWHERE]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    install_plugins()
    folder = tmp_path_factory.mktemp("warehouse")
    with running_sandbox(folder / "sandbox.log") as sandbox:
        rows = crm_rows(accounts=20, contacts=40, workspace=sandbox.workspace())
    with own_database() as database:
        fill(database.url, rows)
        yield database


@pytest.fixture
def reader(tmp_path: Path, warehouse: PostgresServer) -> Iterator[Reader]:
    with running_sandbox(tmp_path / "sandbox.log") as sandbox:
        # What the pages' first lines say that their reader has; nothing else is set for them.
        in_project = {
            "TAP_POSTGRES_HOST": warehouse.host,
            "TAP_POSTGRES_PORT": str(warehouse.port),
            "TAP_POSTGRES_USER": warehouse.user,
            "TAP_POSTGRES_PASSWORD": warehouse.password,
            "TAP_POSTGRES_DATABASE": warehouse.database,
        }
        environment = {"DATABASE_URL": warehouse.url}
        yield Reader(tmp_path / "project", environment, in_project, sandbox.page.rstrip("/"))


@pytest.mark.full
@pytest.mark.parametrize("name", FOLLOWED)
def test_what_a_how_to_says_can_be_done(
    name: str, reader: Reader, warehouse: PostgresServer
) -> None:
    for block in blocks_of((DOCS / name).read_text(encoding="utf-8")):
        here = f"{name}:{block.line}"
        if block.option("file"):
            reader.write(block)
        elif block.is_a("run") and block.language == "sql":
            with psycopg.connect(warehouse.url) as connection:
                connection.execute(block.text.encode())
        elif block.is_a("run"):
            assert reader.run(block) == int(block.option("exit", "0")), f"{here}\n{reader.output}"
        elif block.is_a("output"):
            assert lacks(reader.output, block.text) == "", f"{here}\n{reader.output}"
        elif block.is_a("settings"):
            settings = {"api_key": "a", **yaml.safe_load(block.text)}
            assert problems_of(settings, SCHEMA) == [], here


@pytest.mark.parametrize("name", FOLLOWED)
def test_each_how_to_has_commands_and_looks_at_what_they_say(name: str) -> None:
    blocks = list(blocks_of((DOCS / name).read_text(encoding="utf-8")))
    assert any(block.is_a("run") for block in blocks)
    assert any(block.is_a("output") for block in blocks)


@pytest.mark.parametrize("page", TESTED_ELSEWHERE)
def test_what_is_tested_elsewhere_is_there(page: str) -> None:
    assert (DOCS / page).exists()
    assert (DOCS.parent / "tests" / TESTED_ELSEWHERE[page]).exists()


@pytest.mark.parametrize("name", PAGES)
def test_each_command_and_link_of_a_how_to_exists(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!tap-)apollo-sync ([a-z]+)", page)) <= set(COMMANDS)
    for target in re.findall(r"\]\(([^)\s#]+)", page):
        assert (DOCS / name).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_what_a_how_to_shows_of_a_file_is_in_it(name: str) -> None:
    page = DOCS / name
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.option("from"):
            shown = page.with_suffix("") / block.option("from")
            assert block.text in shown.read_text(encoding="utf-8"), f"{name}:{block.line}"


@pytest.mark.parametrize("name", PAGES)
def test_each_command_is_run_or_there_is_a_reason(name: str) -> None:
    for block in blocks_of((DOCS / name).read_text(encoding="utf-8")):
        is_run = block.is_a("run") or block.option("file") or block.option("engine")
        if block.language == "bash" and not is_run and not block.is_a("once"):
            assert block.text.startswith(tuple(NOT_RUN)), f"{name}:{block.line}"


@pytest.mark.parametrize("name", PAGES)
def test_programs_on_a_page_compile(name: str) -> None:
    for block in blocks_of((DOCS / name).read_text(encoding="utf-8")):
        if block.language == "python" and block.option("file"):
            compile(block.text, block.option("file"), "exec")


def test_the_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"}
    assert linked == pages


def test_output_that_is_missing_is_found_missing() -> None:
    assert lacks("one\ntwo\nthree\n", "one\nthree") == ""
    assert lacks("one\ntwo\nthree\n", "three\none") == "one"
    assert lacks("one\n", "four") == "four"


@pytest.mark.full
def test_a_command_that_fails_is_told_by_its_exit_code(reader: Reader) -> None:
    assert reader.run(Block("bash", ("run",), "export KEPT=7\nfalse\ntrue\n", 1)) == 1
    assert reader.run(Block("bash", ("run",), "echo kept $KEPT\n", 1)) == 0
    assert reader.output == "kept 7\n"
