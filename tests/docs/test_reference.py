"""The tables of docs/reference are those of the code, and so are the pictures of diagrams."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.tools.diagrams import PICTURES, Diagram, all_diagrams, with_pictures
from docs.tools.markdown import places_of, table, with_tables
from docs.tools.reference import TABLES
from target_apollo.config.schema import SCHEMA
from target_apollo.model.outcomes import Outcome, Reason

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "reference").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_the_tables_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_tables(text, TABLES) == text, "run: make reference"


def test_each_table_has_one_place() -> None:
    places = [place for page in PAGES for place in places_of(page.read_text(encoding="utf-8"))]
    assert sorted(places) == sorted(TABLES)


def test_all_settings_outcomes_and_reasons_are_in_their_tables() -> None:
    names = [name for name, one in SCHEMA["properties"].items() if "default" in one]
    assert [name for name in names if f"`{name}`" not in TABLES["settings"]()] == []
    assert all(f"`{one.value}`" in TABLES["outcomes"]() for one in Outcome)
    assert all(f"`{one.value}`" in TABLES["reasons"]() for one in Reason)


def test_each_line_of_a_table_has_its_cells() -> None:
    for name, make in TABLES.items():
        widths = {line.count("|") for line in make().splitlines()}
        assert len(widths) == 1, name


def test_a_place_is_filled_and_the_rest_stays() -> None:
    page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"
    filled = with_tables(page, {"x": lambda: table(("h",), [("1",)])})
    assert filled == "a\n<!-- x: begin -->\n| h |\n|---|\n| 1 |\n<!-- x: end -->\nb\n"


@pytest.mark.parametrize("diagram", list(all_diagrams(DOCS)), ids=lambda diagram: diagram.name)
def test_the_picture_of_a_diagram_was_drawn_from_it(diagram: Diagram) -> None:
    picture = (DOCS / PICTURES / diagram.file).read_text(encoding="utf-8")
    assert diagram.mark in picture, "run: make pictures"
    assert "http://" not in picture.replace("http://www.w3.org/", "")


def test_diagrams_are_pictures_on_the_site() -> None:
    page = "```mermaid\na\n```\n\n```mermaid\nb\n```\n"
    shown = with_pictures(page, "how-to/x.md")
    assert re.findall(r"!\[Diagram\]\((\S+)\)", shown) == [
        "../pictures/x-1.svg",
        "../pictures/x-2.svg",
    ]
    assert "mermaid" not in shown
