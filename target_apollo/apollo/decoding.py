"""The JSON of requests and answers, and the parts of a refusal's body."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON = dict[str, Any]


def encode_body(body: JSON | None) -> bytes | None:
    """Return a request's body as JSON.

    A row's values are texts without lone surrogates, so JSON and UTF-8 can hold every one of them.
    """
    return None if body is None else msgspec.json.encode(body)


def decode_body(content: bytes) -> Any:
    """Return the value of an answer's body. Raises ValueError where it is no JSON."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        # msgspec refuses lone surrogates and big numbers, which are no reason to lose an answer.
        try:
            return json.loads(content)
        except RecursionError:
            raise ValueError("nested too deeply") from None


_LONGEST_TEXT = 500


@dataclass(frozen=True)
class Refusal:
    """The parts of a refusal's body, each empty if missing. `message` may hold personal data."""

    message: str = field(default="", repr=False)
    code: str = ""
    details: dict[str, Any] = field(default_factory=dict, repr=False)
    deleted_ids: tuple[str, ...] = ()
    is_json: bool = False


def read_refusal(content_type: str, content: bytes) -> Refusal:
    """Read the body of a 3xx or 4xx.

    JSON has its text in `error` or `message` or both (only `message` names the id of a missing
    record), and may have `error_code`, `error_details` and `deleted_contact_ids`. A 401 is plain
    text. HTML pages come from proxies and are dropped.
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
        deleted_ids=tuple(item for item in deleted if isinstance(item, str))
        if isinstance(deleted, list)
        else (),
        is_json=True,
    )


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
