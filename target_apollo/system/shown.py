"""What may be shown of a text: in a terminal, in a log, and as a key in the ledger. Pure.

Names of streams, properties, teams, users, lists and stages come from taps and from Apollo. In a
terminal their control characters would move its cursor, and their marks of direction would turn the
words beside them around.
"""

from __future__ import annotations

import json
import re

#: In characters. A longer name is cut.
LONGEST_NAME = 200

#: The signs that are read as an @, and its form in a URL.
_AT = re.compile("[@\uff20\ufe6b]|%40")


class Lines(str):
    """A text of several lines that this program wrote itself: its line ends stay in the log."""

    __slots__ = ()


def printable(text: str) -> str:
    """A text with control characters, marks of direction and line ends replaced.

    >>> printable("a\\x1b[2Jb"), printable("two\\nlines")
    ('a�[2Jb', 'two�lines')
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, whose line ends stay."""
    return "\n".join(map(printable, text.split("\n")))


def name_shown(name: str) -> str:
    """A name as `printable`, and cut if it is long.

    >>> len(name_shown("x" * 5000))
    201
    """
    return printable(name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…")


def escaped(json_text: str) -> str:
    """A text in JSON with escapes for what a terminal would carry out; it reads as the same value.

    >>> escaped('"a\u202eb"')
    '"a\\u202eb"'
    """
    if json_text.replace("\n", "").isprintable():
        return json_text
    return "".join(
        sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in json_text
    )


def may_be_address(text: str) -> bool:
    """Whether a text could be an e-mail address, also a malformed or encoded one.

    >>> may_be_address("Ann <ann@x"), may_be_address("ann%40x.example"), may_be_address("eu-17")
    (True, True, False)
    """
    return _AT.search(text) is not None
