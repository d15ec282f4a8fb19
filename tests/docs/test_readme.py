"""The README says what is true, in one reading, and its project runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from target_apollo.config.schema import SCHEMA
from target_apollo.config.validation import problems_of
from target_apollo.demo.crm_rows import crm_rows
from target_apollo.demo.meltano import install_plugins
from target_apollo.demo.sandbox import API_KEY, running_sandbox
from target_apollo.demo.warehouse import fill
from tests.helpers.databases import own_database
from tests.helpers.how_tos import Block, Reader, blocks_of, lacks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 150
MOST_LINES_OF_PROJECT = 30
(PROJECT,) = (block.text for block in blocks_of(README) if block.language == "yaml")
LOADER = yaml.safe_load(PROJECT)["plugins"]["loaders"][0]


def test_it_is_read_in_one_go() -> None:
    assert len(README.splitlines()) <= MOST_LINES
    assert len(PROJECT.splitlines()) <= MOST_LINES_OF_PROJECT


def test_it_names_no_test_and_no_table_of_the_reference() -> None:
    assert "tests/" not in README
    assert "<!--" not in README


def test_each_link_and_picture_is_there() -> None:
    targets = re.findall(r"\]\(([^)\s#]+)", README)
    assert targets
    missing = [to for to in targets if not to.startswith("https:") and not (ROOT / to).exists()]
    assert missing == []


def test_its_project_has_settings_that_the_target_knows() -> None:
    assert {one["name"] for one in LOADER["settings"]} <= SCHEMA["properties"].keys()
    assert problems_of({"api_key": "a", **LOADER["config"]}, SCHEMA) == []


def test_the_variables_of_its_project_are_those_of_its_settings() -> None:
    (tap,) = yaml.safe_load(PROJECT)["plugins"]["extractors"]
    plugins = {"TAP_POSTGRES_": tap, "TARGET_APOLLO_": LOADER}
    variables = {
        prefix + setting["name"].upper()
        for prefix, plugin in plugins.items()
        for setting in plugin["settings"]
    }
    named = set(re.findall(r"\b(?:TAP_POSTGRES|TARGET_APOLLO)_[A-Z_]+", README))
    assert named <= variables


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Who has copied the project, and has a warehouse and the local Apollo."""
    install_plugins()
    project = tmp_path / "project"
    (project / ".meltano").mkdir(parents=True)
    (project / ".meltano" / "extractors").symlink_to(ROOT / ".meltano" / "extractors")
    text = re.sub(r"    pip_url: \.\S* .*\n", "", PROJECT)
    assert text != PROJECT
    (project / "meltano.yml").write_text(text, encoding="utf-8")
    with running_sandbox(tmp_path / "sandbox.log") as sandbox, own_database() as database:
        fill(database.url, crm_rows(accounts=20, contacts=40, workspace=sandbox.workspace()))
        (project / ".env").write_text(
            f"TAP_POSTGRES_SQLALCHEMY_URL={database.url}\n"
            f"TARGET_APOLLO_API_KEY={API_KEY}\nTARGET_APOLLO_API_URL={sandbox.api_url}\n",
            encoding="utf-8",
        )
        yield Reader(project, {}, {}, sandbox.page.rstrip("/"))


@pytest.mark.full
def test_its_commands_bring_the_rows_of_a_warehouse_to_apollo(reader: Reader) -> None:
    commands = [
        line.partition("   # ")[0].strip()
        for line in re.findall(r"^    (.+)$", README, re.MULTILINE)
        if re.search(r"(meltano run|apollo-sync|meltano invoke) ", line) and "five real" not in line
    ]
    said = [
        "Usable.",
        "nothing was written.",
        "ended with exit code 0: received 10",
        "unchanged 10",
        "all well",
    ]
    assert len(commands) == len(said)
    for command, expected in zip(commands, said, strict=True):
        assert reader.run(Block("bash", (), command, 1)) == 0, reader.output
        assert lacks(reader.output, expected) == "", reader.output
