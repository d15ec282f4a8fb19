"""docs/CONTRIBUTING.md names what there is, and the imports go as it says."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.tools.hub_definition import HUB_FOLDER, PACKAGE_FOLDER
from docs.tools.install_lines import pages

ROOT = Path(__file__).resolve().parents[2]
#: Folders with files that the tools write.
MADE = (HUB_FOLDER, PACKAGE_FOLDER)
PACKAGE = ROOT / "target_apollo"
PAGE = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PAGE)))
#: What reads a clock, writes a log or touches the world.
IMPURE = {
    "ledger", "logging", "os", "pathlib", "random", "requests", "secrets", "socket",
    "sqlalchemy", "sqlite3", "subprocess", "sys", "threading", "time",
}  # fmt: skip


def commands() -> Iterator[str]:
    """Each command of the page: those on lines of their own, and `make …` in the text."""
    for line in re.findall(r"^ {4,}(\S.*)$", PAGE, re.MULTILINE):
        yield from line.partition("#")[0].strip().split(" && ")
    yield from (quoted for quoted in QUOTED if quoted.startswith("make "))


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    return set(phony.split())


def imports_of(path: Path) -> set[str]:
    """The first rooms of this package and the other packages that a module imports as it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "target_apollo":
            found |= {f"target_apollo.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.removeprefix("target_apollo.").partition(".")[0] for name in found}


def impure_imports(path: Path) -> set[str]:
    """What a module imports that reads or touches the world; Python's version is a constant."""
    found = imports_of(path) & IMPURE
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    of_sys = {ast.unparse(n) for n in nodes if isinstance(n, ast.Attribute)}
    used = {name for name in of_sys if name.startswith("sys.")}
    return found - {"sys"} if used <= {"sys.version_info"} else found


def modules_of(room: str) -> list[Path]:
    modules = sorted((PACKAGE / room).rglob("*.py")) if room.endswith("/") else [PACKAGE / room]
    assert modules, room
    return modules


def test_every_make_target_that_the_page_names_is_there() -> None:
    named = {shlex.split(line)[1] for line in commands() if line.startswith("make ")}
    assert named
    assert named - targets() == set()


def test_the_page_names_no_command_of_another_kind() -> None:
    assert {shlex.split(line)[0] for line in commands()} == {
        "make", ".venv/bin/python", ".venv/bin/ruff", ".venv/bin/mypy",
    }  # fmt: skip


def test_every_path_that_the_page_names_is_there() -> None:
    words = [word for line in commands() for word in shlex.split(line)]
    paths = [
        word for word in (*QUOTED, *words) if re.fullmatch(r"[\w./-]+\.(py|md|yml|toml)", word)
    ]
    paths += [quoted for quoted in QUOTED if re.fullmatch(r"(target_apollo|tests)/[\w/]+/", quoted)]
    folders = (ROOT, PACKAGE)
    # The one that must not be there is named too.
    missing = {path for path in paths if not any((folder / path).exists() for folder in folders)}
    assert missing == {"utils.py"}


@pytest.mark.full
@pytest.mark.parametrize(
    "line",
    [line for line in commands() if "-m docs.tools." in line],
    ids=lambda line: line[-20:],
)
def test_a_module_that_the_page_runs_leaves_a_renewed_tree_as_it_is(
    line: str, tmp_path: Path
) -> None:
    made = [path for folder in MADE for path in (ROOT / folder).rglob("*.yml")]
    before = {path: path.read_bytes() for path in (ROOT / "README.md", *pages(ROOT), *made)}
    for path in (ROOT / "pyproject.toml", *before):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    subprocess.run([sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, timeout=60, check=True)
    for path, text in before.items():
        assert (tmp_path / path.relative_to(ROOT)).read_bytes() == text, path


def test_decisions_do_no_input_or_output() -> None:
    (listed,) = re.findall(r"^Decisions are pure: (.*?) do no I/O", PAGE, re.MULTILINE | re.DOTALL)
    pure = [path for name in re.findall(r"`([\w/.]+)`", listed) for path in modules_of(name)]
    assert len(pure) > 10
    assert {path.name: impure_imports(path) for path in pure} == {path.name: set() for path in pure}
