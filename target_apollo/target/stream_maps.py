"""The expressions of `stream_maps`: what is wrong with one, and why one fails on a record. Pure.

An expression that can work on no row is a wrong setting, and is found at the SCHEMA: each of its
names must be there, and it must work on one of some made-up rows of the types that the SCHEMA says.
One that works on some rows only costs the others, each with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatch
from typing import Any

from singer_sdk.mapper import CustomStreamMap

from target_apollo.config.stream_maps import FILTER, OPTIONS, REMOVED

#: Properties that taps may send though the SCHEMA does not name them.
_METADATA = "_sdc_"
_LONGEST_SHOWN = 200
#: Errors by which an expression may fail on every row; most are the SDK's evaluator's own.
_OF_THE_EXPRESSION = frozenset(
    {
        "AttributeDoesNotExist",
        "FeatureNotAvailable",
        "FunctionNotDefined",
        "OperatorNotDefined",
        "TypeError",
    }
)


@dataclass(frozen=True)
class Definition:
    """The entry of `stream_maps` that a stream map is made from.

    Attributes:
        name: The name of the entry; empty if there is none.
        members: Its members; None if it removes the stream, or if there is no entry.
    """

    name: str = ""
    members: Mapping[str, Any] | None = None

    @property
    def removes(self) -> bool:
        """Whether the entry removes the stream."""
        return bool(self.name) and self.members is None

    @property
    def expressions(self) -> dict[str, str]:
        """The filter and the computed properties, each with its expression."""
        return {
            name: text
            for name, text in (self.members or {}).items()
            if isinstance(text, str) and text != REMOVED and (name == FILTER or name not in OPTIONS)
        }


def definitions_of(maps: Mapping[str, Any], stream: str) -> list[Definition]:
    """The entries that apply to a stream, in the order of the SDK's stream maps.

    Args:
        maps: The setting `stream_maps`.
        stream: The name that the tap gives the stream.
    """
    found = [Definition()]
    for name, given in maps.items():
        members = given if isinstance(given, dict) else None
        is_own = members is None or "__source__" not in members
        source = name if members is None or is_own else members["__source__"]
        if stream == source or fnmatch(stream, source):
            if is_own:
                found[0] = Definition(name, members)
            else:
                found.append(Definition(name, members))
    return found


def wrong_expressions(
    stream_map: CustomStreamMap,
    definition: Definition,
    stream: str,
    schema: Mapping[str, Any],
    *,
    tries: bool,
) -> list[str]:
    """A sentence for each expression that can work on no row of a stream.

    Args:
        stream: The name that the tap gives the stream.
        schema: The schema of the stream, before the stream map.
        tries: Whether to try the expressions with values of the types that the schema says.
    """
    problems = []
    for name, text in definition.expressions.items():
        expression = _Expression(stream_map, name, text)
        why = _unknown_part(expression, schema["properties"])
        if why is None and tries:
            why = _always_fails(expression, schema)
        if why:
            shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
            problems.append(
                f"The setting 'stream_maps.{definition.name}.{name}' can't be used for stream "
                f"'{stream}': in `{shown}`, {why}."
            )
    return problems


def failure_of(
    stream_map: CustomStreamMap, definition: Definition, record: Mapping[str, Any]
) -> str | None:
    """Why a stream map fails on a record, without any value; None if no expression of it does."""
    for name, text in definition.expressions.items():
        expression = _Expression(stream_map, name, text)
        try:
            expression.value(record)
        except Exception as problem:  # noqa: BLE001 - an expression may raise anything
            return f"stream_maps can't compute '{name}': {_cause(problem, expression, record)}"
        if name == FILTER and not _is_kept(expression, record):
            return None
    return None


class _Expression:
    """One expression of a stream map, with the names that the SDK documents for it."""

    def __init__(self, stream_map: CustomStreamMap, name: str, text: str) -> None:
        self._map = stream_map
        self._name = name
        self._text = text
        self.tree = ast.parse(text).body[0]
        self.evaluator = stream_map.expr_evaluator

    def names(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The names that it may use for a record."""
        found = {
            **record,
            "_": record,
            "record": record,
            "config": self._map.map_config,
            "__stream_name__": self._map.stream_alias,
            "__original_stream_name__": self._map.stream_name,
        }
        if self._map.fake:
            found["fake"] = self._map.fake
        if self._name in record and self._name != FILTER:
            found["self"] = record[self._name]
        return found

    def value(self, record: Mapping[str, Any]) -> Any:
        """Its value for a record; raises whatever the expression raises."""
        self.evaluator.names = self.names(record)
        return self.evaluator.eval(self._text, previously_parsed=self.tree)

    @property
    def used_names(self) -> list[str]:
        """The names that it asks for, in their order."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        own = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
        called = {
            id(node.func)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        found = [node.id for node in nodes if node.id not in own and id(node) not in called]
        return list(dict.fromkeys(found))

    def properties_used(self, record: Mapping[str, Any]) -> list[str]:
        """The properties of a record that it asks for by their names, or as `self`."""
        own = [self._name if name == "self" else name for name in self.used_names]
        quoted = [
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        return [name for name in dict.fromkeys(own + quoted) if name in record]


def _is_kept(expression: _Expression, record: Mapping[str, Any]) -> bool:
    return bool(expression.value(record))


def _unknown_part(expression: _Expression, properties: Mapping[str, Any]) -> str | None:
    """What an expression names that there is not, for a sentence; None if there is all of it."""
    if not isinstance(expression.tree, ast.Expr):
        return "there is a statement where an expression must be"
    functions = expression.evaluator.functions
    known = {**functions, **expression.names(dict.fromkeys(properties))}
    for name in expression.used_names:
        if name not in known and not name.startswith(_METADATA):
            near = get_close_matches(name, [one for one in known if not one.startswith("__")], 1)
            return f"the stream has no '{name}'" + (f" (did you mean '{near[0]}'?)" if near else "")
    for node in ast.walk(expression.tree.value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id not in functions:
                return (
                    f"there is no function '{node.func.id}' (there are "
                    f"{', '.join(sorted(functions))})"
                )
        elif isinstance(node, ast.expr) and type(node) not in expression.evaluator.nodes:
            return f"{type(node).__name__} is nothing that stream maps can do"
    return None


def _always_fails(expression: _Expression, schema: Mapping[str, Any]) -> str | None:
    """How an expression fails on every row, for a sentence; None if it may work on some."""
    problem: Exception | None = None
    for row in _rows(schema):
        try:
            expression.value(row)
        except Exception as wrong:  # noqa: BLE001 - an expression may raise anything
            if type(wrong).__name__ not in _OF_THE_EXPRESSION:
                # With another value it may work.
                return None
            problem = problem or wrong
        else:
            return None
    return None if problem is None else f"every row fails ({_text_of(problem)})"


def _text_of(problem: Exception) -> str:
    return str(problem).rstrip(".") or type(problem).__name__


class _UnknownPart(Exception):
    """An expression asks for a part of an object whose properties are not known."""


class _AnyObject(dict[str, Any]):
    """Stands for an object whose properties are not known."""

    def __missing__(self, name: str) -> Any:
        raise _UnknownPart(name)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - that of a dict
        """Raises `_UnknownPart`: any object may have the property."""
        return self[name]


#: Values of a JSON type, by which an expression is tried.
_SAMPLES: Mapping[str, Sequence[Any]] = {
    "string": ("1", "a", "2026-01-31T12:00:00Z", '{"a": 1}', "[1]"),
    "integer": (1,),
    "number": (1, Decimal("1.5")),
    "boolean": (True,),
    "array": (["1"], [1], [_AnyObject()]),
    "object": (_AnyObject(),),
    "null": (None,),
}


def _rows(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of the types that a schema says: first of values, then of nulls."""
    possible = {name: _types(of) for name, of in schema["properties"].items()}
    for kind, samples in _SAMPLES.items():
        for sample in samples:
            yield {
                name: sample if kind in kinds else _SAMPLES[kinds[0]][0]
                for name, kinds in possible.items()
            }


def _types(schema: object) -> tuple[str, ...]:
    """The types of a property as `_SAMPLES` has them; all of them if the schema says none."""
    given = schema.get("type") if isinstance(schema, dict) else None
    kinds = [given] if isinstance(given, str) else given
    known = tuple(kind for kind in _SAMPLES if isinstance(kinds, list) and kind in kinds)
    return known or tuple(_SAMPLES)


#: Name of an exception -> what it says of a row.
_CAUSES: Mapping[str, str] = {
    "AttributeDoesNotExist": "a value lacks a part, or is of another type",
    "IndexError": "a value lacks a part",
    "IterableTooLong": "a value is too long",
    "KeyError": "a value lacks a part",
    "NumberTooHigh": "a number is too large",
    "TypeError": "a value is of another type",
    "ValueError": "a value can't be read",
    "ZeroDivisionError": "it divides by zero",
}


def _cause(problem: Exception, expression: _Expression, record: Mapping[str, Any]) -> str:
    kind = type(problem).__name__
    missing = getattr(problem, "name", None)
    if kind == "NameNotDefined":
        return f"the row has no '{missing}'"
    null = [name for name in expression.properties_used(record) if record[name] is None]
    if null:
        return " and ".join(f"'{name}' is null" for name in null)
    return _CAUSES.get(kind, f"it fails ({kind})")
