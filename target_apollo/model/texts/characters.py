"""Removes invisible characters from text: zero width, directions, unusual blanks. Pure.

`visible` gives text as it is sent, `bare` text as names are compared. Text without such characters
is not changed, so that its rows do not count as changed.
"""

from __future__ import annotations

import re
import unicodedata

# Control characters look like garbage in a CRM and break its exports; tab and newline are kept.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")

_SURROGATE = re.compile(r"[\ud800-\udfff]")

#: Every blank except the plain space: no-break, thin, ideographic and so on.
_BLANK = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")

_LINE_END = re.compile(r"[\x85\u2028\u2029]")

#: Format characters (Cf) that are invisible: soft hyphen, zero-width space, word joiner, byte order
#: mark, marks of direction, tags. Not the few visible ones, such as Arabic signs over numbers, and
#: not the two joiners.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)

_JOINER = re.compile("[\u200c\u200d]")

#: Joiners, and variation selectors, which choose the shape of a sign: an emoji in color or black.
_SHAPING = re.compile("[\u034f\u180b-\u180d\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]")

#: Letters of scripts without case, their marks, and signs such as emoji with their skin tones.
_JOINED = frozenset({"Lo", "Mn", "Mc", "So", "Sk"})

_VIRAMA = 9


def visible(written: str) -> str:
    """A trimmed text without invisible characters, and with plain spaces for all other blanks.

    A joiner stays where it changes how the text looks: between two emoji, which become one, and in
    scripts such as Persian and Hindi. Elsewhere, as in a Latin name, it is removed.

    >>> visible("\\ufeffAnn\\u00a0L\\u200bee "), visible("\\U0001f469\\u200d\\U0001f467") == "👩‍👧"
    ('Ann Lee', True)
    """
    # isprintable() is fast, and false for every text with one of the characters above.
    if written.isprintable():
        return written.strip()
    plain = _LINE_END.sub("\n", _BLANK.sub(" ", written))
    plain = _UNSEEN.sub("", _CONTROL.sub("", plain))
    plain = _SURROGATE.sub("\ufffd", plain)
    return _JOINER.sub(_joiner_that_shapes, plain).strip()


def _joiner_that_shapes(found: re.Match[str]) -> str:
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    if before and unicodedata.combining(before) == _VIRAMA:
        return found[0]
    if before and after and _is_joined(before) and _is_joined(after):
        return found[0]
    return ""


def _is_joined(sign: str) -> bool:
    return unicodedata.category(sign) in _JOINED


def is_blank(value: object) -> bool:
    """Whether a value is null or a text in which nothing is seen."""
    return value is None or (isinstance(value, str) and not visible(value))


def bare(written: str) -> str:
    """A text for comparisons: as `visible`, with one spelling for texts that look the same.

    Letters are composed (NFC); joiners and variation selectors are removed.
    """
    plain = visible(written)
    if plain.isascii():
        return plain
    return unicodedata.normalize("NFC", _SHAPING.sub("", plain)).strip()
