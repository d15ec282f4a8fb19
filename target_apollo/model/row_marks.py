"""The text by which a record of Apollo tells which row it is of. Pure.

It is in a custom field that people see, so it is readable: ``tap-hubspot/deals/4711`` is the row
4711 of stream ``deals`` of source ``tap-hubspot``; without a source it is ``deals/4711``. No two
rows have one text: slashes, commas and percent signs within a part are spelled as in a URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from target_apollo.model.rows import KeyFlag
from target_apollo.model.values import number_text

#: Longest text; Apollo documents no length for a custom field of text, and cuts what is too long.
LONGEST = 200

_ESCAPED = frozenset("%/,")


def mark_of(source: str, stream: str, key: Sequence[object]) -> str:
    """The text of a row.

    >>> mark_of("tap-hubspot", "deals", (4711,)), mark_of("", "crm/deals", ("a/b", 2))
    ('tap-hubspot/deals/4711', 'crm%2Fdeals/a%2Fb,2')

    Args:
        source: The setting `source`; may be empty.
        key: Values of the row's source key. The number 17 and the text "17" are one row.
    """
    before = "/".join(_part(one) for one in (source, stream) if one)
    own = ",".join(_part(_written(one)) for one in key)
    text = f"{before}/{own}"
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"{before[: LONGEST - 50]}/sha256:{digest}"


def _written(value: object) -> str:
    """A value of a key as text; equal numbers have one text."""
    if isinstance(value, KeyFlag):
        return "true" if value.value else "false"
    if isinstance(value, (int, Decimal)):
        try:
            return number_text(value)
        except ValueError:
            # Too many digits to be spelled out.
            return str(value.normalize() if isinstance(value, Decimal) else value)
    return str(value)


def _part(text: str) -> str:
    """A part of the text; what would be read as another part, or not be seen, is spelled out."""
    last = len(text) - 1
    return "".join(
        _spelled_out(sign)
        if sign in _ESCAPED or not sign.isprintable() or (sign == " " and place in (0, last))
        else sign
        for place, sign in enumerate(text)
    )


def _spelled_out(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
