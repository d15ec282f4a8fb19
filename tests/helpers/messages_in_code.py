"""Collects the sentences for users from the source code: errors, warnings and refusals.

It takes the text that is raised, logged as a warning or an error, passed to an exception or to one
of the functions named below, or made by an exception class. If such a place uses a function or a
variable, it follows it to the text that it returns or holds. A value that is put into a text is
represented by a `GAP`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

GAP = "\0"
#: Least characters of fixed text; shorter ones are arguments, not sentences.
SHORTEST = 12
#: Functions that take a sentence for the user, beside the package's own exceptions.
_TELLING = re.compile(
    r"warning|error|critical|exception|log|_?refuse|_refusal|_?lost|_?fault|_otherwise|"
    r"RunEnd|Rejection|Finding|InvalidInputLine|InvalidRecord|InvalidJSONSchema|"
    r"\w*(?:_problem|Error|Exception|SystemExit)"
)
_PLACEHOLDER = re.compile(r"%(?:\.\d+)?[sdfgr%]|\{[\w.!:]*\}")
#: Exit codes: a sentence may be in a tuple with one of them.
_CODES = {"FAILED", "MISCONFIGURED", "OUT_OF_QUOTA"}
#: The label of an endpoint is no sentence.
_LABEL = re.compile(r"(?:GET|POST|PUT|PATCH) /")
#: Module with texts of Apollo, which users see as refusals of Apollo, and its functions for them.
_SPOKEN_BY_APOLLO = "sandbox"
_APOLLO_SPEAKS = {
    "unprocessable",
    "not_found",
    "Refusal",
    "refusal",
    "_refusal",
    "record_not_found",
}


@dataclass(frozen=True)
class Message:
    """A sentence, and its place in the source: ``apollo/oauth.py:95``."""

    text: str
    place: str


class Source:
    """The parsed modules of a package and of other folders."""

    def __init__(self, *roots: Path) -> None:
        self.modules = {
            path.relative_to(root).as_posix(): tuple(
                ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            )
            for root in roots
            for path in sorted(root.rglob("*.py"))
        }
        self.collectors = {name: _Collector(self, name) for name in self.modules}

    @cached_property
    def exceptions(self) -> dict[str, str]:
        """Name of each exception class of the package -> its module."""
        bases = {
            node.name: ([_name(base) for base in node.bases], module)
            for module, nodes in self.modules.items()
            for node in nodes
            if isinstance(node, ast.ClassDef)
        }

        def is_exception(name: str) -> bool:
            if name in bases:
                return any(is_exception(base) for base in bases[name][0])
            return name.endswith(("Error", "Exception"))

        return {name: module for name, (_, module) in bases.items() if is_exception(name)}

    @cached_property
    def messages(self) -> list[Message]:
        """Every sentence, once for each place."""
        messages = {
            message for collector in self.collectors.values() for message in collector.messages()
        }
        return sorted(messages, key=lambda message: (message.place, message.text))

    @cached_property
    def literals(self) -> frozenset[str]:
        """Every text literal in the source."""
        return frozenset(
            text
            for nodes in self.modules.values()
            for node in nodes
            if (text := _text(node)) is not None
        )

    @cached_property
    def functions(self) -> dict[str, list[tuple[str, ast.FunctionDef]]]:
        """Name -> the functions and methods of this name, each with its module."""
        by_name: dict[str, list[tuple[str, ast.FunctionDef]]] = {}
        for module, nodes in self.modules.items():
            for node in nodes:
                if isinstance(node, ast.FunctionDef):
                    by_name.setdefault(node.name, []).append((module, node))
        return by_name


class _Collector:
    """Collects the sentences of one module; the collectors of others collect those it leads to."""

    def __init__(self, source: Source, module: str) -> None:
        self._source = source
        self._module = module
        self._followed: set[str] = set()
        self._assigned: dict[str, list[ast.expr]] = {}
        for node in source.modules[module]:
            self._note(node)

    def _note(self, node: ast.AST) -> None:
        """Notes the values that a name gets: by assignment, addition or append."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assigned.setdefault(_name(target), []).append(node.value)
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)) and node.value is not None:
            self._assigned.setdefault(_name(node.target), []).append(node.value)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "append"
        ):
            self._assigned.setdefault(_name(node.func.value), []).extend(node.args)

    def messages(self) -> Iterator[Message]:
        """The sentences of the module; some occur twice."""
        for node in self._source.modules[self._module]:
            if isinstance(node, ast.ClassDef) and node.name in self._source.exceptions:
                yield from self._body(node)
            elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                if not self._is_apollo_speaking(node.exc):
                    yield from self._arguments(node.exc)
            elif isinstance(node, ast.Call) and self._tells(node):
                yield from self._arguments(node)
            elif (
                isinstance(node, ast.Tuple) and _name(node.elts[0] if node.elts else node) in _CODES
            ):
                yield from self._sentence(node)

    def _is_apollo_speaking(self, call: ast.Call) -> bool:
        return self._module.startswith(_SPOKEN_BY_APOLLO) and _name(call.func) in _APOLLO_SPEAKS

    def _tells(self, call: ast.Call) -> bool:
        name = _name(call.func)
        if self._is_apollo_speaking(call):
            return False
        if name == "write":
            # Text that is written to stderr is meant for the user.
            return isinstance(call.func, ast.Attribute) and _name(call.func.value) == "stderr"
        return name in self._source.exceptions or _TELLING.fullmatch(name) is not None

    def _body(self, node: ast.ClassDef) -> Iterator[Message]:
        """The sentences in the body of an exception class."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from self._sentence(inner.value)
            elif isinstance(inner, ast.Dict):
                for value in inner.values:
                    yield from self._sentence(value)
            elif isinstance(inner, ast.Call) and _name(inner.func) == "__init__":
                yield from self._arguments(inner)

    def _arguments(self, call: ast.Call) -> Iterator[Message]:
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            yield from self._sentence(argument)

    def _sentence(self, node: ast.AST) -> Iterator[Message]:
        text = _text(node)
        if text is not None:
            fixed = " ".join(piece.strip() for piece in text.split(GAP)).strip()
            if len(fixed) >= SHORTEST and " " in fixed and not _LABEL.match(fixed):
                yield Message(text, f"{self._module}:{getattr(node, 'lineno', 0)}")
        elif isinstance(
            node, (ast.List, ast.Tuple, ast.BoolOp, ast.ListComp, ast.IfExp, ast.BinOp)
        ):
            for inner in ast.iter_child_nodes(node):
                yield from self._sentence(inner)
        elif isinstance(node, ast.Dict):
            for value in node.values:
                yield from self._sentence(value)
        elif isinstance(node, (ast.Starred, ast.Subscript)):
            yield from self._sentence(node.value)
        elif isinstance(node, ast.Name):
            yield from self._named(node.id)
        elif isinstance(node, ast.Call):
            if _name(node.func) in ("join", "str", "format", "get", "replace"):
                yield from self._arguments(node)
                if isinstance(node.func, ast.Attribute):
                    yield from self._sentence(node.func.value)
            yield from self._returned(node.func)

    def _named(self, name: str) -> Iterator[Message]:
        """The sentences that a variable or constant of the module may hold."""
        if name not in self._followed:
            self._followed.add(name)
            for value in self._assigned.get(name, []):
                yield from self._sentence(value)

    def _returned(self, function: ast.expr) -> Iterator[Message]:
        """The sentences that a function returns, which is of this module or imported."""
        name = _name(function)
        if not name or f"{name}()" in self._followed:
            return
        self._followed.add(f"{name}()")
        defined = self._source.functions.get(name, [])
        here = [entry for entry in defined if entry[0] == self._module]
        imported = defined if isinstance(function, ast.Name) or len(defined) == 1 else []
        for module, definition in here or imported:
            collector = self if here else self._source.collectors[module]
            for node in ast.walk(definition):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield from collector._sentence(node.value)


def _text(node: ast.AST) -> str | None:
    """A text literal with a `GAP` for each value in it; None for other expressions."""
    if isinstance(node, ast.Constant):
        return _PLACEHOLDER.sub(GAP, node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None and right is None else (left or GAP) + (right or GAP)
    return None


def _name(node: ast.AST) -> str:
    """The last part of a dotted name; empty for other expressions."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
