"""What a refusal says: Apollo's error bodies, of which there are several shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from target_apollo.apollo.bodies import decode_body

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
