"""Reads JSON that other programs write and strict JSON forbids, where its meaning is certain. Pure.

Target and mapper call it for lines that `msgspec` refuses. In them are NaN and Infinity, which
pandas and Python's own `json` write; half of a surrogate pair; numbers of thousands of digits; or
the byte order mark of files that were made on Windows.
"""

from __future__ import annotations

import codecs
import json
from decimal import Context, Decimal, InvalidOperation, Overflow, Underflow
from typing import Any

#: Neither Python nor `msgspec` reads whole numbers of 4,300 digits.
_MOST_WHOLE_DIGITS = 4000
#: A number keeps all its digits; one beyond these powers of ten would fill the memory as text.
NUMBERS = Context(
    prec=8 << 20,
    Emax=999_999,
    Emin=-999_999,
    traps=[InvalidOperation, Overflow, Underflow],
)


def read_lenient(line: bytes) -> Any:
    """The value of a JSON text that strict JSON forbids.

    NaN, Infinity and numbers out of all range are None, half of a surrogate pair is U+FFFD, and of
    two members of one name the last counts. Numbers with a fraction are Decimals.

    >>> read_lenient(b'{"a": NaN, "b": 1e9999999, "c": 0.10}')
    {'a': None, 'b': None, 'c': Decimal('0.10')}

    Raises:
        ValueError: It is no JSON even so, or not UTF-8.
        RecursionError: It is nested too deep.
    """
    found = json.loads(
        line.removeprefix(codecs.BOM_UTF8).decode(),
        parse_constant=_none,
        parse_float=_number,
        parse_int=_whole_number,
    )
    # Written by its code unit, half of a pair is the only text that no UTF-8 has a form for.
    return _in_utf_8(found) if b"\\u" in line else found


def _none(_constant: str) -> None:
    return None


def _number(written: str) -> Decimal | None:
    try:
        return NUMBERS.create_decimal(written)
    except ArithmeticError:
        return None


def _whole_number(written: str) -> int | None:
    return int(written) if len(written) <= _MOST_WHOLE_DIGITS else None


def _in_utf_8(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_in_utf_8(entry) for entry in value]
    if isinstance(value, dict):
        return {_in_utf_8(name): _in_utf_8(entry) for name, entry in value.items()}
    return value
