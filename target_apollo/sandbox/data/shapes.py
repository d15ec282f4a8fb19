"""Objects of answers before they have values, written as lists of their keys. Pure."""

from __future__ import annotations

from typing import Any

_MARKS: dict[str, Any] = {"+": True, "-": False, "0": 0}


def blank(names: str) -> dict[str, Any]:
    """An object with these keys and the values that their marks give.

    ``+`` is true, ``-`` false, ``0`` zero, ``[]`` and ``{}`` are empty; without a mark, null.
    """
    shape: dict[str, Any] = {}
    for name in names.split():
        if name.endswith(("[]", "{}")):
            shape[name[:-2]] = [] if name.endswith("[]") else {}
        elif name[-1] in _MARKS:
            shape[name[:-1]] = _MARKS[name[-1]]
        else:
            shape[name] = None
    return shape
