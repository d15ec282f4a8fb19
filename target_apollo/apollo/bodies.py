"""Bodies: what is sent as JSON, and what of an answer is JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import simplejson

JSON = dict[str, Any]


_ENCODER = msgspec.json.Encoder(decimal_format="number")
# What the fast writer makes of NaN, infinities and nothing.
_DOUBTFUL = (b"null", b"NaN", b"Infinity")


def encode_body(body: JSON | None) -> bytes | None:
    """Return a request's body as JSON.

    Decimals become numbers with all their digits; lone surrogates, which no UTF-8 can hold, become
    escapes, so that the one row that has them is refused and not the run. Raises ValueError for NaN
    and infinities and TypeError for what JSON has no form for.
    """
    if body is None:
        return None
    return _encode_plain(body) or _encode_exactly(body)


def _encode_plain(body: JSON) -> bytes | None:
    """Write a body of texts and usual numbers, as most are; None where the exact way must decide.

    The fast writer turns NaN into null without a word. A body that may have had one, or has one of
    these words in its text, is written the exact way.
    """
    try:
        content = _ENCODER.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return None if any(word in content for word in _DOUBTFUL) else content


def _encode_exactly(body: JSON) -> bytes:
    text: str = simplejson.dumps(body, use_decimal=True, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def decode_body(content: bytes) -> Any:
    """Return the value of an answer's body. Raises ValueError where it is no JSON."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        # The fast reader is strict about surrogates and big numbers: no reason to lose an answer.
        try:
            return json.loads(content)
        except RecursionError:
            raise ValueError("nested too deeply") from None
