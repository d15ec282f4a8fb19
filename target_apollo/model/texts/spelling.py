"""Compares names, whatever their spelling, and suggests the one that a misspelled name means. Pure.

Columns, fields and labels are compared by their letters and digits (`letters_of`); stages and
sequences by their words (`folded`).

Sentences about misspelled names are logged, and with a wrong mapping a value may be anything, also
personal data. So a value is shown only if it is so similar to a known name that it must be a
misspelling of it. No e-mail address is ever shown, neither the value nor a similar one.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from target_apollo.model.texts.characters import bare

_Value = TypeVar("_Value")

#: Least similarity (difflib's ratio, 0 to 1) at which a value counts as a misspelled name.
_SLIP = 0.8
#: Least similarity at which a known name is suggested.
_ALIKE = 0.6
#: Longer values are no names, and comparing them takes long.
_LONGEST = 200

_MOST_LISTED = 20

_NOT_A_LETTER = re.compile(r"[\s_-]+")


def letters_of(name: str) -> str:
    """The letters and digits of a name, without case, as columns and labels are compared.

    >>> letters_of("E-Mail"), letters_of("First Name"), letters_of("first_name2")
    ('email', 'firstname', 'firstname2')
    """
    plain = name if name.isascii() else unicodedata.normalize("NFKC", bare(name))
    return "".join(filter(str.isalnum, plain.casefold()))


def folded(name: str) -> str:
    """A name as stages and sequences are compared: no case, one blank for each " ", "-" and "_".

    Invisible characters are removed (`characters.bare`), so names that look the same are equal.
    """
    blanks = _NOT_A_LETTER.sub(" ", name)
    # Two blanks with an invisible character between them also become one blank.
    plain = blanks if blanks.isascii() and blanks.isprintable() else bare(blanks)
    return _NOT_A_LETTER.sub(" ", plain).strip().casefold()


def value_of(named: Mapping[str, _Value], name: str) -> _Value | None:
    """The value for a name in a setting, which may spell the name in another way."""
    if not named or name in named:
        return named.get(name)
    letters = letters_of(name)
    return next((value for key, value in named.items() if letters_of(key) == letters), None)


def spelled_as(name: str, known: Collection[str]) -> str:
    """A name as it is spelled among known names; as it is if it is not among them."""
    if name in known:
        return name
    letters = letters_of(name)
    same = [one for one in known if letters_of(one) == letters] if letters else []
    return same[0] if len(same) == 1 else name


def meant(label: str, known: Iterable[str]) -> list[str]:
    """The labels among the known ones that a label or a column's name means, best spelling only.

    One of exactly this spelling goes before one that has only its letters and digits.

    >>> meant("tier", ["Tier", "tier", "T-ier"]), meant("TIER", ["Tier", "T-ier"])
    (['tier'], ['Tier', 'T-ier'])
    """
    letters = letters_of(label)
    same = [one for one in known if letters_of(one) == letters and (letters or one == label)]
    return [one for one in same if one == label] or same


# --- misspelled names


def no_such(what: str, name: str, value: str, known: Iterable[str]) -> str:
    """The sentence for a value of the property `name` that is not among the known names.

    >>> no_such("contact stage", "stage", "Intrested", ["Interested", "New"])
    "Apollo has no contact stage 'Intrested' ('stage'); did you mean 'Interested'?"
    >>> no_such("contact stage", "stage", "555-1234", ["Interested", "New"])
    "Apollo has no contact stage of the name in 'stage'; it has Interested, New"
    """
    names = list(dict.fromkeys(known))
    by_folded = {folded(known_name): known_name for known_name in reversed(names)}
    near = _nearest(folded(value), by_folded, _ALIKE)
    if near is None:
        listed = ", ".join(names[:_MOST_LISTED]) or "none"
        if len(names) > _MOST_LISTED:
            listed += f" and {len(names) - _MOST_LISTED} more"
        return f"Apollo has no {what} of the name in '{name}'; it has {listed}"
    hint = f"did you mean '{by_folded[near]}'?"
    if _nearest(folded(value), [near], _SLIP) is None:
        return f"Apollo has no {what} of the name in '{name}'; {hint}"
    return f"Apollo has no {what} '{' '.join(value.split())}' ('{name}'); {hint}"


def nearest_address(address: str, ids: Mapping[str, str]) -> str | None:
    """The id of the user whose e-mail address is most similar to an address, or None.

    All addresses are in lower case; `ids` is e-mail address -> user id.

    >>> nearest_address("robin.repp@one.example", {"robin.rep@one.example": "64f0"})
    '64f0'
    """
    near = _nearest(address, ids, _SLIP)
    return None if near is None else ids[near]


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name of which a name must be a misspelling, or None.

    >>> nearest_name("Shoe sise", ["Shoe Size", "Tier"])
    'Shoe Size'
    """
    by_letters = {letters_of(one): one for one in known}
    near = _nearest(letters_of(name), by_letters, _SLIP)
    return None if near is None else by_letters[near]


def _nearest(value: str, known: Iterable[str], likeness: float) -> str | None:
    if len(value) > _LONGEST:
        return None
    return next(iter(difflib.get_close_matches(value, list(known), n=1, cutoff=likeness)), None)
