"""The Singer SDK's private names stand in one module, and each of them is there and does its part.

A failure here tells what a release of the SDK has changed.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import pkgutil
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from singer_sdk import InlineMapper, Stream, Tap, Target
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

import target_apollo
from target_apollo.config import sdk
from target_apollo.config.sdk import CheckedPlugin, OwnBookmark

MOST_PRIVATE_NAMES = 4
PACKAGE = Path(target_apollo.__file__).parent
SEAM = "target_apollo.config.sdk"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages([str(PACKAGE)], "target_apollo."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def imports_of(module: ModuleType) -> set[str]:
    """Private modules and names that a module imports from the SDK."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.split(".")[0] == "singer_sdk" and any(map(is_private, name.split("."))):
                found.add(name.rpartition(".")[2])
    return found


@cache
def own_names(kind: type) -> frozenset[str]:
    """The private names that a class itself defines or sets."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind)))
    found = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return frozenset(filter(is_private, (found | vars(kind).keys()) - {"_abc_impl"}))


def sdk_names(kind: type) -> frozenset[str]:
    """The private names of the SDK's classes above a class."""
    bases = [base for base in kind.__mro__ if base.__module__.startswith("singer_sdk")]
    return frozenset().union(*map(own_names, bases))


def classes(module: ModuleType) -> Iterator[type]:
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            yield kind


def overrides_of(module: ModuleType) -> set[str]:
    """Private names of the SDK that classes of a module define, set or read of themselves."""
    found: set[str] = set()
    for kind in classes(module):
        theirs = sdk_names(kind)
        if theirs:
            tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind)))
            read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            found |= theirs & (read | vars(kind).keys())
    return found


OF_OBJECTS = sdk_names(Target) | sdk_names(Tap) | sdk_names(InlineMapper) | sdk_names(Stream)


def reads_of(module: ModuleType) -> set[str]:
    """Private names that a module reads of the SDK's objects from outside."""
    tree = ast.parse(inspect.getsource(module))
    if not any("singer_sdk" in ast.unparse(node) for node in tree.body):
        return set()
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        and node.attr in OF_OBJECTS
    }


def private_names(module: ModuleType) -> set[str]:
    return imports_of(module) | overrides_of(module) | reads_of(module)


@pytest.mark.full
def test_no_other_module_uses_a_private_name_of_the_sdk() -> None:
    found = {
        module.__name__: names
        for module in modules()
        if module.__name__ != SEAM and (names := private_names(module))
    }
    assert not found, f"private names of the SDK outside {SEAM}: {found}"


def test_the_private_names_are_few_and_each_has_its_reason() -> None:
    found = private_names(sdk)
    assert len(found) <= MOST_PRIVATE_NAMES, found
    assert {name for name in found if f"{name}``" not in (sdk.__doc__ or "")} == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from singer_sdk.plugin_base import _ConfigInput", {"_ConfigInput"}),
        ("import singer_sdk._logging", {"_logging"}),
        ("from singer_sdk import Target\ndef f(t): return t._sinks_active", {"_sinks_active"}),
        ("from singer_sdk import Target\nclass T(Target):\n  _mapper = 1", {"_mapper"}),
        ("from singer_sdk import Target\nclass T(Target):\n  _own = 1", set()),
        (
            "from singer_sdk import Target\nclass T(Target):\n  def f(self): self._config",
            {"_config"},
        ),
        ("class T:\n  def f(self): self._config", set()),
    ],
)
def test_the_search_finds_private_names(
    source: str, found: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "searched.py").write_text(source + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "searched", raising=False)
    module = importlib.import_module("searched")
    assert private_names(module) == found


# --- each private name does its part


class Plugin(CheckedPlugin, Target):
    """A target that notes what the SDK asks of it."""

    name = "target-noted"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {"given": {"type": "integer"}}}
    signals: list[int]

    def __init__(self, **arguments: Any) -> None:
        self.signals = []
        super().__init__(**arguments)

    def check_settings(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        return {**given, "added": 1}, ["wrong"] if given.get("given") == "secret" else []

    def on_signal(self, signal_number: int) -> None:
        self.signals.append(signal_number)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_the_sdk_has_settings_checked_by_validate_config() -> None:
    with pytest.raises(ConfigValidationError) as refused:
        Plugin(config={"given": "secret"})
    assert refused.value.errors == ["wrong"], "PluginBase no longer calls _validate_config"


def test_the_sdk_reads_settings_from_config() -> None:
    found = dict(Plugin(config={"given": 1}).config)
    assert found == {"given": 1, "added": 1}, "PluginBase.config no longer reads _config"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sdk_hands_signals_to_handle_termination(number: signal.Signals) -> None:
    plugin = Plugin(config={})
    signal.raise_signal(number)
    assert plugin.signals == [number], "PluginBase no longer calls _handle_termination"


class Marks(OwnBookmark):
    """A stream of one record."""

    name = "marks"
    replication_key = "at"
    schema = th.PropertiesList(th.Property("at", th.DateTimeType)).to_dict()

    def get_records(self, context: object) -> Iterator[dict[str, Any]]:
        yield {"at": "2026-01-01T00:00:00+00:00"}


class Marking(Tap):
    """A tap of that stream."""

    name = "tap-marking"

    def discover_streams(self) -> list[Stream]:
        return [Marks(self)]


def test_the_sdk_moves_bookmarks_by_increment_stream_state(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tap = Marking(config={})
    tap.sync_all()
    assert "2026-01-01" in capsys.readouterr().out
    assert "2026-01-01" not in str(tap.state), "Stream no longer calls _increment_stream_state"


def test_the_sdk_sets_up_the_log_as_it_makes_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    monkeypatch.setenv("TARGET_NOTED_LOGLEVEL", "warning")
    try:
        sdk.set_up_log(Plugin)
        assert len(root.handlers) == len(before) + 1
        assert root.level == logging.WARNING
    finally:
        root.handlers[:] = before
        root.setLevel(level)
