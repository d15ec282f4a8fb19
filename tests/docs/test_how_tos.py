"""Each command of docs/how-to, run for real: sandbox, PostgreSQL and Meltano."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from target_apollo.cli import COMMANDS
from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import problems_of
from target_apollo.demo.crm_rows import crm_rows
from target_apollo.demo.meltano import install_plugins
from target_apollo.demo.postgres import PostgresServer
from target_apollo.demo.sandbox import running_sandbox
from target_apollo.demo.warehouse import fill
from tests.helpers.databases import own_database
from tests.helpers.how_tos import HOW_TOS, Block, Reader, blocks_of, lacks

PAGES = sorted(path.name for path in HOW_TOS.glob("*.md"))


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
@pytest.mark.parametrize("name", PAGES)
def test_what_a_how_to_says_can_be_done(
    name: str, reader: Reader, warehouse: PostgresServer
) -> None:
    for block in blocks_of((HOW_TOS / name).read_text(encoding="utf-8")):
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


@pytest.mark.parametrize("name", PAGES)
def test_each_how_to_has_commands_and_looks_at_what_they_say(name: str) -> None:
    blocks = list(blocks_of((HOW_TOS / name).read_text(encoding="utf-8")))
    assert any(block.is_a("run") for block in blocks)
    assert any(block.is_a("output") for block in blocks)


@pytest.mark.parametrize("name", PAGES)
def test_each_command_and_link_of_a_how_to_exists(name: str) -> None:
    page = (HOW_TOS / name).read_text(encoding="utf-8")
    assert set(re.findall(r"apollo-sync ([a-z]+)", page)) <= set(COMMANDS)
    for target in re.findall(r"\]\(([^)\s#]+)", page):
        assert (HOW_TOS / target).exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_what_a_how_to_shows_of_a_file_is_in_it(name: str) -> None:
    page = HOW_TOS / name
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.option("from"):
            shown = page.with_suffix("") / block.option("from")
            assert block.text in shown.read_text(encoding="utf-8"), f"{name}:{block.line}"


def test_the_index_leads_to_every_page() -> None:
    docs = HOW_TOS.parent
    linked = set(re.findall(r"\]\(([^)#]+)\)", (docs / "README.md").read_text(encoding="utf-8")))
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - {"README.md"}
    assert linked == pages | {"../README.md"}


def test_output_that_is_missing_is_found_missing() -> None:
    assert lacks("one\ntwo\nthree\n", "one\nthree") == ""
    assert lacks("one\ntwo\nthree\n", "three\none") == "one"
    assert lacks("one\n", "four") == "four"


@pytest.mark.full
def test_a_command_that_fails_is_told_by_its_exit_code(reader: Reader) -> None:
    assert reader.run(Block("bash", ("run",), "export KEPT=7\nfalse\ntrue\n", 1)) == 1
    assert reader.run(Block("bash", ("run",), "echo kept $KEPT\n", 1)) == 0
    assert reader.output == "kept 7\n"
