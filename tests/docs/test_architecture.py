"""docs/ARCHITECTURE.md and docs/MODULES.md name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import target_apollo
from tests.docs.test_layers import LAYERS

PACKAGE = Path(target_apollo.__file__).parent
DOCS = PACKAGE.parent / "docs"
PAGE = (DOCS / "ARCHITECTURE.md").read_text(encoding="utf-8")
OTHER_PAGE = (DOCS / "MODULES.md").read_text(encoding="utf-8")
#: A newcomer reads two screens.
MOST_LINES = 150
#: Files that a record's way may be told with.
MOST_FILES = 10
#: Who looks for more finds it in the other page.
FEWEST_QUESTIONS, MOST_QUESTIONS = 12, 20


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]


def files_in(text: str) -> set[str]:
    return set(re.findall(r"[\w/]+\.py", text))


@pytest.mark.parametrize("page", [PAGE, OTHER_PAGE], ids=["ARCHITECTURE", "MODULES"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = files_in(page)
    assert len(named) > 20
    roots = (PACKAGE, PACKAGE.parent)
    assert {path for path in named if not any((root / path).is_file() for root in roots)} == set()


def test_every_function_that_a_question_names_is_in_its_file() -> None:
    named = re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", PAGE + OTHER_PAGE)
    assert named
    assert [
        f"{name} in {path}"
        for name, path in named
        if not re.search(rf"\b{name}\b", (PACKAGE / path).read_text(encoding="utf-8"))
    ] == []


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= MOST_LINES


def test_every_room_of_the_package_is_on_the_page() -> None:
    rooms = {name for layer in LAYERS for name in layer if (PACKAGE / name).is_dir()} - {"demo"}
    assert {room for room in rooms if f"{room}/" not in PAGE} == set()


def test_the_way_of_a_record_is_drawn_with_at_most_ten_files() -> None:
    drawn = re.findall(r"```mermaid\n(.*?)```", section("The way of a record"), re.DOTALL)
    assert len(drawn) == 1
    assert len(files_in(drawn[0])) <= MOST_FILES


def test_a_newcomers_questions_have_their_file() -> None:
    rows = re.findall(
        r"^\| (?!question|---)(.+?) \| (`.+`.*) \|$", section("Where do I look"), re.MULTILINE
    )
    assert FEWEST_QUESTIONS <= len(rows) <= MOST_QUESTIONS
