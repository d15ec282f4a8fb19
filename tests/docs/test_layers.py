"""Imports go down only, over all modules of the package, and never in a circle."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import target_apollo

PACKAGE = Path(target_apollo.__file__).parent
#: A room may import the rooms of the lines below its own, and itself.
LAYERS = (
    ("__init__", "__main__", "demo"),
    ("entry",),
    ("cli",),
    ("reporting",),
    ("target", "mapper", "tap"),
    ("sync",),
    ("config",),
    ("model",),
    ("apollo", "ledger"),
    ("system",),
)
#: It stands for Apollo in the tests of the others, so it shares no code with them.
APART = "sandbox"
MOST_ROOMS = 13
#: More than a reader takes in at a look: a folder that grows further has rooms of its own in it.
MOST_MODULES = 25
Graph = Mapping[str, frozenset[str]]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a module imports as it runs, in functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in MODULES:
                    yield name
                elif node.module in MODULES:
                    yield node.module


@functools.cache
def graph_of_the_package() -> Graph:
    return {name: frozenset(imported(path)) - {name} for name, path in MODULES.items()}


def room(module: str) -> str:
    """The entry of the package's root in which a module stands."""
    return [*module.split("."), "__init__"][1]


def rank(name: str) -> int:
    return next(place for place, rooms in enumerate(LAYERS) if name in rooms)


def goes_up(importer: str, target: str) -> bool:
    here, there = room(importer), room(target)
    if here == there:
        return False
    if APART in (here, there):
        return here not in ("cli", "demo")
    return rank(there) <= rank(here)


def circle(graph: Graph) -> list[str]:
    """The modules that can't be put into an order, each after those that it imports."""
    left = {name: set(targets) for name, targets in graph.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    while unused := [name for name in left if not any(name in left[other] for other in left)]:
        for name in unused:
            del left[name]
    return sorted(left)


def test_every_room_has_its_layer() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__pycache__"} == {name for layer in LAYERS for name in layer} | {APART}


def test_imports_go_down_only() -> None:
    assert [
        f"{name} -> {target}"
        for name, targets in graph_of_the_package().items()
        for target in sorted(targets)
        if goes_up(name, target)
    ] == []


def test_no_imports_go_in_a_circle() -> None:
    assert circle(graph_of_the_package()) == []


def test_a_circle_would_be_found() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"}), "d": frozenset()}
    assert circle({name: frozenset(targets) for name, targets in graph.items()}) == ["b", "c"]


def test_the_root_has_a_dozen_rooms() -> None:
    folders = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    assert len(folders) <= MOST_ROOMS


def test_no_folder_is_a_corridor_of_modules() -> None:
    folders = Counter(path.parent for path in PACKAGE.rglob("*.py"))
    assert {
        folder.relative_to(PACKAGE).as_posix(): count
        for folder, count in folders.items()
        if count > MOST_MODULES
    } == {}
