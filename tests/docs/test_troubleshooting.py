"""docs/troubleshooting.md has every sentence that a user can be told, and none that is gone."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import target_apollo
from target_apollo.cli import COMMANDS
from target_apollo.mapper.rules import RULES
from target_apollo.mapper.settings import settings_schema
from target_apollo.model.outcomes import Reason
from target_apollo.sync import exit as ending
from tests.helpers.messages_in_code import GAP, Message, Source

ROOT = Path(__file__).parents[2]
PACKAGE = Path(target_apollo.__file__).parent
TOOLS = PACKAGE.parent / "docs" / "tools"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
#: A cure in fewer characters than this is none.
SHORTEST_CURE = 30
_SHORTEST_QUOTE = 8
_OF_THE_SDK = {"batch_config", "validate_records", "flattening_enabled", "stream_maps"}
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


NEW_MESSAGES = """
def _rain():
    return "The rain is new."
def _tell(logger, strength):
    found = []
    found.append("The sea is new.")
    logger.warning("The wind of %s is new.", strength)
    raise RunError(f"The sun of {strength} is new.")
    raise SettingsError(found)
    raise LedgerError(_rain())
class MoonError(RunError):
    def __init__(self):
        super().__init__("The moon is new.")
"""


def rows(page: str) -> Iterator[list[str]]:
    """The cells of each line of a table, but for heads and rulers."""
    lines = [*page.splitlines(), ""]
    for line, after in itertools.pairwise(lines):
        if line.startswith("|") and not line.startswith("|---") and not after.startswith("|---"):
            yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def spans(text: str) -> list[str]:
    """The code spans of a text, without their backticks."""
    return [found.strip() for _, found in _CODE_SPAN.findall(text)]


def quoted(page: str) -> list[str]:
    """The messages that a page quotes: the code spans of all cells but a row's last."""
    return [
        span
        for cells in rows(page)
        for cell in cells[:-1]
        for span in spans(cell)
        if " " in span.replace("…", "").strip()
    ]


def plain(text: str) -> str:
    """A message or a quotation with one way of writing blanks and what is put in."""
    return re.sub(r"\s*…[\s…]*", "…", " ".join(text.replace(GAP, "…").split()))


def not_on(page: str, messages: Iterable[Message]) -> list[str]:
    """The messages that no quotation of the page is a part of, for whoever must write one."""
    quotes = [plain(quote) for quote in quoted(page)]
    texts = [(message.place, plain(message.text)) for message in messages]
    return [
        f"{place}: {text}" for place, text in texts if not any(quote in text for quote in quotes)
    ]


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(PACKAGE, TOOLS)


def test_every_message_is_on_the_page(source: Source) -> None:
    assert len(source.messages) > 200
    assert not_on(PAGE, source.messages) == []


@pytest.mark.full
def test_a_message_that_is_new_is_missed(tmp_path: Path, source: Source) -> None:
    copy = tmp_path / "target_apollo"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "limits.py").open("a", encoding="utf-8") as module:
        module.write(NEW_MESSAGES)
    missing = "\n".join(not_on(PAGE, Source(copy).messages))
    found = re.findall(r"limits\.py:\d+: The (\w+)", missing)
    assert sorted(found) == ["moon", "rain", "sea", "sun", "wind"]


@pytest.mark.full
def test_no_entry_is_about_a_message_that_is_gone(source: Source) -> None:
    texts = {plain(text) for text in (*(m.text for m in source.messages), *source.literals)}
    # A quotation has no line break, so that it is in one of the texts or in none.
    all_texts = "\n".join(texts)
    assert [quote for quote in quoted(PAGE) if plain(quote) not in all_texts] == []


def test_a_quotation_says_enough_to_be_found() -> None:
    assert [
        quote for quote in quoted(PAGE) if len(plain(quote).replace("…", "")) < _SHORTEST_QUOTE
    ] == []


def test_every_entry_says_what_to_do() -> None:
    for cells in rows(PAGE.split("## Exceptions by name")[0]):
        assert len(cells[-1]) >= SHORTEST_CURE, cells


def test_every_reason_has_one_row() -> None:
    named = [span for cells in rows(PAGE) for span in spans(cells[0])]
    assert {reason.value for reason in Reason} <= set(named)
    words = {word for word in named if re.fullmatch(r"[a-z]+(_[a-z]+)+", word)}
    assert words == {reason.value for reason in Reason}
    assert [word for word in words if named.count(word) > 1] == []


def test_every_exit_code_has_a_row() -> None:
    first = [cells[0] for cells in rows(PAGE)]
    for code in (ending.OK, ending.FAILED, ending.MISCONFIGURED, ending.OUT_OF_QUOTA):
        assert first.count(str(code)) == 1
    assert "128 + signal" in first


def test_every_exception_is_named_and_no_other(source: Source) -> None:
    table = PAGE.split("## Exceptions by name")[1]
    named = [span for cells in rows(table) for span in spans(cells[0])]
    assert sorted(named) == sorted(name for name in source.exceptions if not name.startswith("_"))


def test_every_setting_and_field_that_the_page_names_exists(source: Source) -> None:
    options = {name for rule in RULES.values() for name in rule.__struct_fields__}
    known = {*source.literals, *settings_schema()["properties"], *options, *_OF_THE_SDK}
    named = {word for span in spans(PAGE) for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", span)}
    assert len(named) > 50
    assert sorted(named - known) == []


def test_every_command_that_the_page_names_exists() -> None:
    named = set(re.findall(r"apollo-sync ([a-z]+)", PAGE))
    assert named
    assert sorted(named - {*COMMANDS}) == []


def test_every_link_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        if path:
            assert (ROOT / "docs" / path).exists(), target
        else:
            assert anchor in anchors, target
