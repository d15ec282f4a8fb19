"""Reads arrays that sources write as text: JSON, PostgreSQL's and Python's notation. Pure."""

from __future__ import annotations

import ast
import re

import msgspec

#: An element of a PostgreSQL array: in quotes with escapes, or without either.
_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^",{}\\]*?))\s*(,|\Z)', re.DOTALL)

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def read_list(written: str) -> list[object] | None:
    """The entries of a text that is an array; None for a text that is a single name.

    >>> read_list('["A", "B"]'), read_list("{A,\\"B, C\\",NULL}"), read_list("['A']")
    (['A', 'B'], ['A', 'B, C', None], ['A'])
    >>> read_list("[Sales] Leads") is None
    True

    Raises:
        ValueError: It looks like an array and can't be read as one.
    """
    if written[:1] == "{" and written[-1:] == "}":
        return _of_postgresql(written[1:-1])
    if written[:1] != "[" or written[-1:] != "]":
        return None
    try:
        found: object = msgspec.json.decode(written)
    except (ValueError, RecursionError):
        found = _of_python(written)
    if isinstance(found, list):
        return found
    if "," in written or '"' in written:
        raise ValueError("an array in brackets that can't be read")
    # A name such as [VIP].
    return None


def _of_python(written: str) -> object:
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _of_postgresql(inner: str) -> list[object]:
    entries: list[object] = []
    place, goes_on = 0, bool(inner.strip())
    while goes_on:
        found = _ELEMENT.match(inner, place)
        if found is None:
            raise ValueError("an array in braces that can't be read")
        quoted, bare, comma = found.groups()
        if quoted is not None:
            entries.append(_ESCAPED.sub(r"\1", quoted))
        else:
            entries.append(None if bare.upper() == "NULL" else bare)
        place, goes_on = found.end(), comma == ","
    return entries
