"""No input can become code: the package neither evaluates text nor unpickles bytes.

Expressions in stream maps are evaluated by the SDK, with simpleeval, which knows no attributes that
begin with an underscore and no imports; they stand in the settings and never in a record.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import target_apollo

SOURCES = sorted(Path(target_apollo.__file__).parent.rglob("*.py"))
MODULES = {
    "cloudpickle",
    "code",
    "codeop",
    "dill",
    "joblib",
    "marshal",
    "pickle",
    "runpy",
    "shelve",
    "simpleeval",
}
BUILTINS = {"__import__", "compile", "eval", "exec"}
METHODS = {"unsafe_load", "full_load", "popen", "system"}
NAMED = {"shell": True, "verify": False, "allow_pickle": True}


def dynamic(source: str) -> list[str]:
    """What a module uses that could run its input, or trust any host."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [n.name for n in node.names if n.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [m for m in [node.module or ""] if m.partition(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in BUILTINS:
                found.append(called.id)
            if isinstance(called, ast.Attribute) and called.attr in METHODS:
                found.append(called.attr)
            found += [
                f"{word.arg}={word.value.value}"
                for word in node.keywords
                if word.arg in NAMED
                and isinstance(word.value, ast.Constant)
                and word.value.value is NAMED[word.arg]
            ]
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml; yaml.unsafe_load('')",
        "eval('1')",
        "exec('1')",
        "import os; os.system('x')",
        "run('x', shell=True)",
        "requests.get('x', verify=False)",
    ],
)
def test_what_is_looked_for_is_found(source: str) -> None:
    assert dynamic(source)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_module_runs_its_input(path: Path) -> None:
    assert dynamic(path.read_text(encoding="utf-8")) == []


def test_all_modules_are_looked_at() -> None:
    assert len(SOURCES) > 100
