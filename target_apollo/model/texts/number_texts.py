"""Reads numbers that people and spreadsheets write: with separators, blanks or a currency. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

_CURRENCY = r"(?:[$€£¥₹]|(?:EUR|USD|GBP|CHF|JPY|CAD|AUD|INR|US\$)\b)"
_AMOUNT = re.compile(
    rf"([+-]?)\s*({_CURRENCY}?)\s*([+-]?)([\d.,'’\s]*\d)\s*({_CURRENCY}?)", re.IGNORECASE
)
#: Whole groups of three digits after the first, with one separator.
_GROUPED = re.compile(r"\d{1,3}(?:([.,'’\s])\d{3})(?:\1\d{3})*")
_BLANK_OR_APOSTROPHE = re.compile(r"['’\s]")

#: Ends of the sentence ``'amount' must be a number, not …``.
_TEXT = "text"
_TWO_READINGS = "one whose separator may be that of thousands or of decimals"


def read_number(written: str) -> Decimal:
    """The number in a text, if it can be read in one way only.

    >>> read_number("1 234 567,50 €"), read_number("$1,234,567"), read_number("1,5")
    (Decimal('1234567.50'), Decimal('1234567'), Decimal('1.5'))

    Raises:
        ValueError: It is no number, or means two numbers, such as ``1,234``. The message is the end
            of a sentence and does not show the text.
    """
    found = _AMOUNT.fullmatch(written.strip())
    if found is None or (found[1] and found[3]) or (found[2] and found[5]):
        raise ValueError(_TEXT)
    digits = _without_groups(found[4], has_currency=bool(found[2] or found[5]))
    return Decimal(f"{found[1] or found[3]}{digits}")


def _without_groups(written: str, *, has_currency: bool) -> str:
    """Digits with a decimal point at most."""
    signs = {sign for sign in written if sign in ".,"}
    if _BLANK_OR_APOSTROPHE.search(written):
        whole, decimals = written, ""
        if signs:
            whole, _, decimals = written.rpartition(max(signs, key=written.rindex))
        if (
            not _GROUPED.fullmatch(whole)
            or signs & set(whole)
            or (signs and not decimals.isdigit())
        ):
            raise ValueError(_TEXT)
        return f"{_BLANK_OR_APOSTROPHE.sub('', whole)}.{decimals or 0}"
    if len(signs) == 2:
        decimal = max(signs, key=written.rindex)
        whole, _, decimals = written.rpartition(decimal)
        if decimal in whole or not _GROUPED.fullmatch(whole):
            raise ValueError(_TEXT)
        return f"{re.sub('[.,]', '', whole)}.{decimals}"
    if not signs:
        return written
    return _with_one_separator(written, signs.pop(), has_currency=has_currency)


def _with_one_separator(written: str, sign: str, *, has_currency: bool) -> str:
    if written.count(sign) > 1:
        if not _GROUPED.fullmatch(written):
            raise ValueError(_TEXT)
        return written.replace(sign, "")
    # A lone dot is the decimal point of every program; people also group thousands with it.
    may_group = _GROUPED.fullmatch(written) and not written.startswith("0")
    if may_group and (sign == "," or has_currency):
        raise ValueError(_TWO_READINGS)
    return written.replace(sign, ".")
