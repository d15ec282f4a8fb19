"""Bodies: what is sent as JSON, and what of an answer is JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import simplejson

JSON = dict[str, Any]


def encode_body(body: JSON | None) -> bytes | None:
    """Return a request's body as ASCII JSON.

    Decimals become numbers with all their digits; lone surrogates, which no UTF-8 can hold, become
    escapes, so that the one row that has them is refused and not the run. Raises ValueError for NaN
    and infinities and TypeError for what JSON has no form for.
    """
    if body is None:
        return None
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
