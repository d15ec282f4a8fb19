"""Gives each value of the settings the type that the schema wants, whatever it is written as. Pure.

Files, environment variables and Meltano write one value in several ways: 0.7 as a float, a Decimal
or text, true as ``"yes"``, an object as JSON. What can't be read stays as it is, so that the check
of the settings names it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from target_apollo.model.values import truth_of

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)

#: What may be written for a setting, by its type in the schema.
ALLOWED: Final = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a JSON array, or names with commas between them",
    "object": "a JSON object",
}

#: The settings of text for which an empty text is a value: no ledger, no source, no verdicts.
_MAY_BE_EMPTY: Final = frozenset({"ledger_url", "source", "verdicts_path"})


def type_of(setting: Mapping[str, Any]) -> str:
    """The type that the schema gives a setting, without null; ``string`` where it gives none."""
    types = setting.get("type", "string")
    return next(one for one in ([types] if isinstance(types, str) else types) if one != "null")


def with_types(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are set, each with the type of the schema where its value can be read so.

    A setting of null counts as not set, and so does an empty text, but for the few settings of
    which that is a value. A name such as ``field_policy.title`` sets a part of an object.

    Args:
        given: Settings by name; those that the schema lacks stay.
    """
    properties = schema["properties"]
    typed: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        whole, _, part = name.partition(".")
        if part and type_of(properties.get(whole, {})) == "object":
            if value is not None:
                parts.setdefault(whole, {})[part] = _without_decimals(value)
        elif name in properties:
            found = typed_value(name, value, properties[name])
            if found is not None:
                typed[name] = found
        elif value is not None:
            typed[name] = value
    for name, of_object in parts.items():
        known = typed.get(name, {})
        typed[name] = {**known, **of_object} if isinstance(known, dict) else known
    return typed


def typed_value(name: str, value: object, setting: Mapping[str, Any]) -> Any:
    """The value of a setting with the setting's type; None where it is not set.

    It stays as it is where it can't be read.
    """
    kind = type_of(setting)
    if isinstance(value, str):
        if not value.strip() and not (kind == "string" and name in _MAY_BE_EMPTY):
            return None
        return value if kind == "string" else _read(value.strip(), kind)
    plain = _without_decimals(value)
    if kind == "integer" and isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain


def not_finite(value: object) -> bool:
    """Whether a value is NaN or infinite, which no rule of a JSON schema refuses."""
    return isinstance(value, float) and not math.isfinite(value)


def _read(text: str, kind: str) -> Any:
    if kind == "boolean":
        truth = truth_of(text)
        return text if truth is None else truth
    if kind in ("integer", "number"):
        if not _NUMBER.fullmatch(text):
            return text
        number = _without_decimals(Decimal(text))
        return number if kind == "number" or isinstance(number, int) else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        is_whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if is_whole else float(value)
    if isinstance(value, Mapping):
        return {name: _without_decimals(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_decimals(inner) for inner in value]
    return value
