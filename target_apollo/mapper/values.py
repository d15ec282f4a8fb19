"""The values of a lead, read without trusting their types. Pure: nothing here raises."""

from __future__ import annotations

from decimal import Decimal

from publicsuffixlist import PublicSuffixList

from target_apollo.model.values import bare_host

_LONGEST_NUMBER = 40

#: Characters of a value that a reason quotes; the verdict holds the whole value beside it.
LONGEST_SHOWN = 80


def text(value: object) -> str | None:
    """A string without blanks around it; None for null, for blanks only and for other types."""
    if isinstance(value, str):
        return value.strip() or None
    return None


def blank(value: object) -> bool:
    """Whether a value says nothing: null, or text of blanks only."""
    return value is None or (isinstance(value, str) and not value.strip())


def caseless(value: str) -> str:
    """A word, a key or a host as it is compared: trimmed, upper and lower case alike.

    Names of stages are compared by `model.suggestions.folded`, as the target does.
    """
    return value.strip().casefold()


def key_text(value: object) -> str | None:
    """One key value as people write it: ``42``, ``eu-17``; None for null, blanks and no key.

    Whole decimals equal the integer, since one tap writes ``7`` and another ``7.0``.
    """
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # Beyond that, a Decimal such as 1E+999999 would become a text of a million digits.
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _LONGEST_NUMBER:
        whole = value.to_integral_value()
        return str(int(whole)) if value == whole else str(value)
    return str(value)


def kind(value: object) -> str:
    """What a value is, in a word for a reason: ``text``, ``a number``, ``a list``, ``empty``."""
    if blank(value):
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def shown(value: object) -> str:
    """A value as a reason quotes it: in quotes and cut if it is long text, else in a word."""
    if isinstance(value, str) and value.strip():
        words = value.strip()
        return f"'{words if len(words) <= LONGEST_SHOWN else words[:LONGEST_SHOWN] + '…'}'"
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return str(value)
    return kind(value)


# A name under a top-level domain that does not exist is a typo, so unknown ones do not count.
_suffixes = PublicSuffixList(accept_unknown=False)


def registrable(written: str) -> str | None:
    """The domain that was registered for a host or URL; None if there is no host, or it is none.

    >>> registrable("https://shop.acme.co.uk/about"), registrable("co.uk"), registrable("acme.con")
    ('acme.co.uk', None, None)

    Both sections of the public suffix list count: ``acme.github.io`` can be registered,
    ``github.io`` can't. The list comes with its package; nothing is fetched.
    """
    host = bare_host(written)
    found: str | None = None if host is None else _suffixes.privatesuffix(host)
    return found
