"""The setting `stream_maps`: what is wrong with it, whatever the streams are. Pure.

What an expression names is checked with the SCHEMA of its stream, in `target/stream_maps.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

#: Members of a stream's map that are no properties.
FILTER = "__filter__"
OPTIONS = ("__alias__", "__else__", FILTER, "__key_properties__", "__source__")
#: What stands for null in a setting that must be text.
REMOVED = "__NULL__"


def stream_maps_problems(maps: object) -> list[str]:
    """A sentence for each part of the setting that is of the wrong type, or no expression."""
    if maps is None:
        return []
    if not isinstance(maps, dict):
        return [
            "The setting 'stream_maps' must be an object of stream -> object of property -> "
            "expression."
        ]
    return [sentence for name, of_stream in maps.items() for sentence in _problems(name, of_stream)]


def leaves_out_all(maps: object) -> bool:
    """Whether the setting leaves out every stream, whatever the tap sends."""
    return (
        isinstance(maps, dict)
        and "__else__" in maps
        and all(of_stream is None or of_stream == REMOVED for of_stream in maps.values())
    )


def _problems(stream: str, of_stream: object) -> Iterator[str]:
    if of_stream is None or of_stream == REMOVED:
        return
    if stream == "__else__":
        yield "The setting 'stream_maps.__else__' must be null, if it is given."
    elif stream.startswith("__"):
        yield (
            f"The setting 'stream_maps.{stream}' is no stream: options of a stream stand within "
            "the stream's own object, and only `__else__: null` beside the streams."
        )
    elif not isinstance(of_stream, dict):
        yield (
            f"The setting 'stream_maps.{stream}' must be an object of property -> expression, "
            "or null for a stream that is left out."
        )
    else:
        for name, value in of_stream.items():
            fault = _fault(name, value, of_stream)
            if fault:
                yield f"The setting 'stream_maps.{stream}.{name}' {fault}."


def _fault(name: str, value: object, of_stream: Mapping[str, object]) -> str | None:
    """The end of a sentence on what is wrong with a member of a stream's map; else None."""
    if name == "__key_properties__":
        is_key = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
        return None if value is None or is_key else "must be a list of properties, or null"
    if name == "__else__":
        is_null = value in (None, REMOVED)
        return None if is_null else "must be null: it leaves out what the map does not name"
    if name in ("__alias__", "__source__"):
        if not isinstance(value, str) or not value.strip():
            return "must be the name of a stream"
        other = "__alias__" if name == "__source__" else "__source__"
        return f"can't be given beside {other}" if other in of_stream else None
    if name.startswith("__") and name.endswith("__") and name not in OPTIONS:
        return f"is no option (there are {', '.join(OPTIONS)})"
    if value is None or (value == REMOVED and name != FILTER):
        return None
    if not isinstance(value, str):
        return "must be an expression, written as text, or null for a property that is left out"
    return _syntax_fault(value)


def _syntax_fault(expression: str) -> str | None:
    try:
        statements = ast.parse(expression).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        statements = []
    if len(statements) == 1 and isinstance(statements[0], ast.Expr):
        return None
    return f"is no expression: `{expression}`"
