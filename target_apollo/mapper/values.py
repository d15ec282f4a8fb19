"""Values of a lead, whose types are not trusted: reading and quoting. No function raises."""

from __future__ import annotations

from decimal import Decimal

from target_apollo.model.texts.characters import bare, is_blank, visible

_LONGEST_NUMBER = 40

#: Most characters of a value that a reason quotes; the verdict also has the whole value.
LONGEST_SHOWN = 80


def text(value: object) -> str | None:
    """A text without blanks around it and unseen characters; None for nothing and other types."""
    if isinstance(value, str):
        return visible(value) or None
    return None


def caseless(value: str) -> str:
    """A word, a key or a host in the form in which it is compared: trimmed, without upper case.

    Names of stages are compared by `model.texts.spelling.folded`, as in the target.
    """
    return bare(value).casefold()


def key_text(value: object) -> str | None:
    """One key value as text, such as ``42`` or ``eu-17``; None for blanks and other types.

    ``7.0`` gives ``7``, since one tap writes ``7`` and another ``7.0``.
    """
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # The limit keeps a Decimal such as 1E+999999 from becoming a text of a million digits.
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _LONGEST_NUMBER:
        whole = value.to_integral_value()
        return str(int(whole)) if value == whole else str(value)
    return str(value)


def kind(value: object) -> str:
    """The type of a value in words, for a reason: ``text``, ``a number``, ``a list``, ``empty``."""
    if is_blank(value):
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def shown(value: object) -> str:
    """A value for a reason: text in quotes (cut if it is long), a number, else its `kind`."""
    if isinstance(value, str) and value.strip():
        trimmed = value.strip()
        return f"'{trimmed if len(trimmed) <= LONGEST_SHOWN else trimmed[:LONGEST_SHOWN] + '…'}'"
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return str(value)
    return kind(value)
