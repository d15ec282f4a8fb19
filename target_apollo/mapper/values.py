"""Reading the values of a record without trusting their types. Pure: nothing here raises.

Which domains a company can own, by the public suffix list. Pure; nothing is fetched.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from publicsuffixlist import PSLFILE, PublicSuffixList

from target_apollo.model.values import bare_host

_LONGEST_NUMBER = 40

LONGEST_SHOWN = 80

"""Characters of a value that a reason quotes; the verdict holds the whole value beside it."""


def text(value: object) -> str | None:
    """A string without blanks around it; None for null, for blanks only and for other types."""
    if isinstance(value, str):
        return value.strip() or None
    return None


def blank(value: object) -> bool:
    """Whether a value says nothing: null, or text of blanks only."""
    return value is None or (isinstance(value, str) and not value.strip())


def caseless(value: str) -> str:
    """A key or a host as it is compared: trimmed, upper and lower case alike.

    Names of stages and the like are compared by `model.suggestions.folded`, as the target does.
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


_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_LONGEST_HOST = 253

_MOST_PARENTS = 4096

# A name under a top-level domain that does not exist is a typo, so unknown ones do not count.
_suffixes = PublicSuffixList(accept_unknown=False)

_listed = frozenset(
    line.split()[0].lstrip("!*.")
    for line in Path(PSLFILE).read_text("utf-8").splitlines()
    if line.strip() and not line.startswith("//")
)
#: Suffixes under which every name that is not listed itself can be registered: ``com``, ``co.uk``.
_plain_parents: set[str] = set()


def registrable(written: str) -> str | None:
    """The domain that was registered for a host or URL; None if there is no host, or it is none.

    >>> registrable("https://shop.acme.co.uk/about"), registrable("co.uk"), registrable("acme.con")
    ('acme.co.uk', None, None)

    Both sections of the list count: ``acme.github.io`` can be registered, ``github.io`` can't.
    """
    # Nearly all leads have a bare name under one of a few suffixes. The list's algorithm need not
    # run for those: it gives the name itself, if it did so for another name beside it.
    label, _, parent = written.partition(".")
    if (
        parent in _plain_parents
        and _LABEL.fullmatch(label)
        and written not in _listed
        and label != "www"
        and not label.startswith("xn--")
        and len(written) <= _LONGEST_HOST
    ):
        return written
    host = bare_host(written)
    if host is None:
        return None
    found: str | None = _suffixes.privatesuffix(host)
    if found == host == written:
        _remember(parent)
    return found


def _remember(parent: str) -> None:
    """Take note of a suffix, unless it has rules for names that are not listed."""
    stranger = f"xn0strangerxn0.{parent}"
    if len(_plain_parents) < _MOST_PARENTS and _suffixes.privatesuffix(stranger) == stranger:
        _plain_parents.add(parent)
