"""docs/ARCHITECTURE.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import target_apollo
from tests.docs.test_layers import LAYERS

PACKAGE = Path(target_apollo.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
#: Files that a record's way may be told with.
MOST_FILES = 10


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]


def files_in(text: str) -> set[str]:
    return set(re.findall(r"[\w/]+\.py", text))


def test_every_file_that_the_page_names_is_there() -> None:
    named = files_in(PAGE)
    assert len(named) > 20
    roots = (PACKAGE, PACKAGE.parent)
    assert {path for path in named if not any((root / path).is_file() for root in roots)} == set()


def test_every_room_of_the_package_is_on_the_page() -> None:
    rooms = {name for layer in LAYERS for name in layer if (PACKAGE / name).is_dir()} - {"demo"}
    assert {room for room in rooms if f"{room}/" not in PAGE} == set()


def test_the_way_of_a_record_is_drawn_with_at_most_ten_files() -> None:
    drawn = re.findall(r"```mermaid\n(.*?)```", section("The way of a record"), re.DOTALL)
    assert len(drawn) == 1
    assert len(files_in(drawn[0])) <= MOST_FILES


def test_a_dozen_questions_have_their_file() -> None:
    rows = re.findall(
        r"^\| (?!question|---)(.+?) \| (`.+`.*) \|$", section("Where do I look"), re.MULTILINE
    )
    assert len(rows) >= 12
