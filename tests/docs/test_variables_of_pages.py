"""No page relies on an environment variable that it does not set, nor name in its "You need"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Every shell has them.
_EVERYWHERE = frozenset({"HOME", "PATH", "PWD", "USER"})
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)
#: A line of code, and what it reads and sets. A backslash or single quotes keep a dollar as it is.
_READ = re.compile(r"(?<![\\$])\$\{?([A-Za-z_]\w*)")
_SET = re.compile(
    r"(?:^|[\s;&|(])(?:export\s+)?([A-Za-z_]\w*)=|\bfor\s+(\w+)\s+in\b|\bread\s+(?:-r\s+)?(\w+)"
)
_COMMANDS = re.compile(r"[;|&]+")
_QUOTED = re.compile(r"'[^']*'")


def code_of(page: str) -> Iterator[str]:
    """The lines of commands, in their order: fenced as shell or Meltano's YAML, or indented."""
    found = [(one.start(), one[2]) for one in _FENCE.finditer(page) if one[1] in ("bash", "sh")]
    outside = _FENCE.sub(lambda one: re.sub(r"[^\n]", " ", one[0]), page)
    found += [(one.start(), one[0]) for one in _INDENTED.finditer(outside)]
    for _, text in sorted(found):
        yield from text.splitlines()


def not_set(page: str) -> list[str]:
    """The variables that a page's commands read before anything on the page has set them."""
    needed = " ".join(re.findall(r"\bYou need\b.*?(?=\n\n|\Z)", page, re.DOTALL | re.IGNORECASE))
    known = _EVERYWHERE | set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", needed))
    missing: list[str] = []
    for line in code_of(page):
        for command in _COMMANDS.split(line):
            # A command reads a variable before it sets it, as in `export PATH=$PATH:bin`.
            read = _READ.findall(_QUOTED.sub("", command))
            missing += [name for name in read if name not in known]
            known |= {name for names in _SET.findall(command) for name in names if name}
    return missing


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_sets_each_variable_that_its_commands_read(path: Path) -> None:
    assert not_set(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ("```bash run\ncurl $HOST\n```\n", ["HOST"]),
        ("```bash run\nexport HOST=a\n```\n\n    curl ${HOST}\n", []),
        ("    curl $HOST\n\n```bash\nHOST=a\n```\n", ["HOST"]),
        ("You need the database in `HOST`.\n\n    psql $HOST\n", []),
        ("```sh\nfor one in a b; do echo $one; done\n```\n", []),
        ("    A=1 echo $A\n", ["A"]),
        ("```python\nx = '$HOST'\n```\n", []),
        ("    sed 's/a$HOST/b/'\n", []),
    ],
)
def test_what_is_missing_is_found(page: str, missing: list[str]) -> None:
    assert not_set(page) == missing
