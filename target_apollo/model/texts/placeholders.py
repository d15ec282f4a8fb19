"""Words that sources write where they have no value, such as ``N/A``. Pure.

They are read as nothing where no real value looks like them: in phone numbers, numbers, dates, true
or false, e-mail addresses, domains, addresses of pages, ids and lists. Names and free text are
kept, since people are called None, Null and Na. Target and mapper have these words from here.
"""

from __future__ import annotations

import re

from target_apollo.model.texts.characters import is_blank, visible

#: Null as PostgreSQL's COPY and MySQL export it; no name and no text is this by chance.
NULL = "\\N"

#: In lower case.
WORDS = frozenset({
    "\\n", "null", "(null)", "<null>", "none", "nil", "n/a", "#n/a", "n.a.", "na", "<na>", "nan",
    "nat", "undefined",
})  # fmt: skip
#: Words that are also names of lists and options: NA is North America.
_NAMES = frozenset({"na"})

#: A date of zeros, as MySQL has it for none.
_ZERO_DATE = re.compile(r"0000-00-00(?:[T ]00:00(?::00(?:\.0+)?)?)?Z?")

_DASHES = "-\u2010\u2011\u2012\u2013\u2014_.? "


def is_placeholder(written: str) -> bool:
    """Whether a trimmed text stands for no value in a field that takes no free text.

    >>> is_placeholder("N/A"), is_placeholder("--"), is_placeholder("0"), is_placeholder("nah")
    (True, True, False, False)
    """
    return written.lower() in WORDS or not written.strip(_DASHES)


def is_no_name(written: str) -> bool:
    """Whether a text stands for no name of a list or option."""
    return is_placeholder(written) and written.lower() not in _NAMES


def is_zero_date(written: str) -> bool:
    """Whether a text is a date of zeros."""
    return _ZERO_DATE.fullmatch(written) is not None


def is_nothing(value: object) -> bool:
    """Whether a value is null, blank, a placeholder or a date of zeros.

    For values that are neither names nor free text.
    """
    if is_blank(value):
        return True
    if not isinstance(value, str):
        return False
    written = visible(value)
    return is_placeholder(written) or is_zero_date(written)
