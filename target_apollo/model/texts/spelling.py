"""Compares names of columns, fields and labels, whatever their case and separators. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from target_apollo.model.texts.characters import bare

_Value = TypeVar("_Value")


def letters_of(name: str) -> str:
    """The letters and digits of a name, without case, as names are compared.

    >>> letters_of("E-Mail"), letters_of("First Name"), letters_of("first_name2")
    ('email', 'firstname', 'firstname2')
    """
    plain = name if name.isascii() else unicodedata.normalize("NFKC", bare(name))
    return "".join(filter(str.isalnum, plain.casefold()))


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
