"""The documentation builds as a site without a dead link, and its pages ask no other host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / ".mkdocs.yml"
#: A file that a page takes from another host: an image, script or style, not a link to follow.
_TAKEN = re.compile(r"""<(?:img|script|iframe|source)[^>]+src="?(?:https?:)?//|url\(["']?https?:""")


def _leaves(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [leaf for part in parts for leaf in _leaves(part)]  # type: ignore[union-attr]


def test_each_page_has_one_place_in_the_menu() -> None:
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    menu = _leaves(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["nav"])
    assert sorted(menu) == sorted(pages)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_a_heading_stands_by_itself(page: Path) -> None:
    """Behind a table it would be a row of it, and links to it would be dead."""
    flags = re.DOTALL | re.MULTILINE
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=flags)
    assert re.findall(r"[^\n]\n(#+ .*)", text) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # With --quiet it would count no warning.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(CONFIG), "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.full
def test_no_page_takes_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    taking = {page.name for page in pages if _TAKEN.search(page.read_text(encoding="utf-8"))}
    assert taking == set()


@pytest.mark.full
def test_each_block_is_shown_as_one(site: Path) -> None:
    pages = {page.name: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    assert [name for name, text in pages.items() if "```" in text] == []


@pytest.mark.full
def test_diagrams_are_drawn_and_the_search_has_its_words(site: Path) -> None:
    assert "pictures/start-1.svg" in (site / "start.html").read_text(encoding="utf-8")
    assert "mermaid" not in (site / "ARCHITECTURE.html").read_text(encoding="utf-8")
    assert "max_rejected_percent" in (site / "search" / "search_index.json").read_text("utf-8")
