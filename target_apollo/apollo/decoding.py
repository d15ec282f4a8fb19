"""JSON out and in: the bodies of requests and answers, and what a refusal's body says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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


_LONGEST_TEXT = 500


@dataclass(frozen=True)
class Refusal:
    """A refusal's parts, empty where it has none. `message` may hold personal data."""

    message: str = field(default="", repr=False)
    code: str = ""
    details: dict[str, Any] = field(default_factory=dict, repr=False)
    deleted_ids: tuple[str, ...] = ()
    is_json: bool = False


def read_refusal(content_type: str, content: bytes) -> Refusal:
    """Read the body of a 3xx or 4xx.

    JSON has its text in `error` or `message` or both (the id of a missing record stands in the
    second only), and may have `error_code`, `error_details` and
    `deleted_contact_ids`. A 401 is plain text. Pages (HTML) come from proxies: nothing of them is
    kept.
    """
    try:
        body = decode_body(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        plain = content_type.partition(";")[0].strip().lower() == "text/plain"
        return Refusal(message=content[:_LONGEST_TEXT].decode("utf-8", "replace") if plain else "")
    texts = (body.get("error"), body.get("message"))
    details = body.get("error_details")
    deleted = body.get("deleted_contact_ids")
    return Refusal(
        message=" ".join(text for text in texts if isinstance(text, str) and text),
        code=_text(body.get("error_code")) or _text(_part(details, "code")),
        details=details if isinstance(details, dict) else {},
        deleted_ids=tuple(one for one in deleted if isinstance(one, str))
        if isinstance(deleted, list)
        else (),
        is_json=True,
    )


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
