"""Normalises a record's values to the form in which they are compared and sent. Pure.

Text, numbers, ids, names of lists, phone numbers and addresses of pages. Times are in
`model.times`, values of custom fields in `model.custom_values`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.characters import bare, visible
from target_apollo.model.texts.number_texts import read_number
from target_apollo.model.texts.placeholders import NULL, is_no_name, is_placeholder
from target_apollo.model.texts.text_lists import read_list

#: Takes a property's name and value; gives the text that is written, None for nothing; raises
#: RecordError.
Normalise = Callable[[str, object], "str | None"]

_APOLLO_ID = re.compile(r"[0-9a-f]{24}")

_DIGIT, _NOT_A_DIGIT = re.compile(r"\d"), re.compile(r"\D+")
#: An extension behind a phone number: ``ext. 12``, ``x12``, ``#12``, ``Durchwahl 12``.
_EXTENSION = re.compile(
    r"(?<=\d)[\s,;/(-]*(?:ext(?:ension)?\.?|x|#|durchwahl|dw\.?|poste)\s*:?\s*\d{1,7}\)?$",
    re.IGNORECASE,
)
_SHORTEST_PHONE, _LONGEST_COUNTRY_CODE = 7, 3

_LINKEDIN = re.compile(r"(?:[a-z]{2,3}\.|mobile\.)?linkedin\.com/")

_BEHIND_PATH = re.compile(r"/*(?:[?#].*)?$")
#: Enough for every float. A number such as 1e100000 would need too much memory in plain digits.
_MOST_DIGITS = 400

_KINDS = {bool: "true or false", dict: "an object", list: "an array"}

_TRUE = {"true", "t", "yes", "y", "1", "on"}
_FALSE = {"false", "f", "no", "n", "0", "off"}


def text(name: str, value: object) -> str | None:
    """A trimmed string without control and invisible characters; None for null, blanks and ``\\N``.

    Numbers become their plain digits, since warehouses keep phone numbers and CRM ids as numbers.

    Raises:
        RecordError: The value is a boolean, object, array or a number of more than 400 digits.
    """
    if isinstance(value, str):
        written = visible(value)
        return written if written and written != NULL else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        kind = _KINDS.get(type(value), type(value).__name__)
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be text, not {kind}")
    try:
        return number_text(value)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' {problem}") from None


def typed_text(name: str, value: object) -> str | None:
    """As `text`, and None for placeholders such as ``N/A``, for fields that take no free text.

    Raises:
        RecordError: As `text`.
    """
    written = text(name, value)
    return None if written is None or is_placeholder(written) else written


def phone(name: str, value: object) -> str | None:
    """A phone number as it is written; None for a text without a digit.

    Raises:
        RecordError: As `text`.
    """
    written = text(name, value)
    return written if written and _DIGIT.search(written) else None


def url(name: str, value: object) -> str | None:
    """The address of a page as it is written, with a scheme or without; None for placeholders.

    Raises:
        RecordError: As `text`.
    """
    return typed_text(name, value)


def number_text(value: int | float | Decimal) -> str:
    """A number in plain digits, without exponent or trailing zeros, so equal numbers look equal.

    >>> number_text(Decimal("4.915E+10")), number_text(Decimal("2.50"))
    ('49150000000', '2.5')

    Raises:
        ValueError: Infinity, NaN or more than 400 digits. The message continues a sentence that
            begins with the property's name.
    """
    exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        raise ValueError("must be a number")
    if abs(exact.adjusted()) > _MOST_DIGITS:
        raise ValueError(f"must be a number of at most {_MOST_DIGITS} digits")
    written = f"{exact:f}"
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def number(name: str, value: object) -> str | None:
    """A number in plain digits, also of a text as people and spreadsheets write it.

    Raises:
        RecordError: It is no number, or one that can be read in two ways.
    """
    written = typed_text(name, value)
    if written is None:
        return None
    try:
        return number_text(Decimal(written))
    except InvalidOperation:
        pass
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' {problem}") from None
    try:
        return number_text(read_number(written))
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be a number, not {problem}") from None


def truth_of(written: str) -> bool | None:
    """Whether a word means true or false; None for other words.

    >>> truth_of("Yes"), truth_of("off"), truth_of("perhaps")
    (True, False, None)
    """
    word = bare(written).casefold()
    return True if word in _TRUE else False if word in _FALSE else None


def kind_of(value: object) -> str:
    """The type of a value in words, as in "must be a number, not text"."""
    return "text" if isinstance(value, str) else _KINDS.get(type(value), "a number")


def apollo_id(name: str, value: object) -> str | None:
    """An Apollo id: 24 hex digits in lower case.

    Raises:
        RecordError: The value is something else.
    """
    written = typed_text(name, value)
    if written is None:
        return None
    written = written.lower()
    if not is_apollo_id(written):
        raise RecordError(Reason.MALFORMED_ID, f"'{name}' must be an Apollo id (24 hex digits)")
    return written


def is_apollo_id(value: object) -> bool:
    """Whether a value is an Apollo id as `apollo_id` spells it."""
    return isinstance(value, str) and _APOLLO_ID.fullmatch(value) is not None


def names(name: str, value: object) -> tuple[str, ...]:
    """Names of lists, from an array of texts or from a single text; blanks are left out.

    A text may be an array in the notation of JSON, PostgreSQL or Python.

    Raises:
        RecordError: The value or an entry of the array is not text, or is an array in brackets or
            braces that can't be read.
    """
    texts = (text(name, entry) for entry in entries(name, value))
    return tuple(dict.fromkeys(entry for entry in texts if entry and not is_no_name(entry)))


def entries(name: str, value: object) -> list[object]:
    """The entries of an array, also of one that is written as text; of other values, the value.

    Raises:
        RecordError: It is a text in brackets or braces that can't be read.
    """
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        return [value]
    try:
        found = read_list(visible(value))
    except ValueError as problem:
        raise RecordError(
            Reason.WRONG_TYPE, f"'{name}' must be a name or an array, not {problem}"
        ) from None
    return [value] if found is None else found


def phone_digits(value: str) -> str:
    """The digits of a phone number, without extension and leading zeros, to compare notations."""
    if not value.isascii() or value[-1:].isdigit():
        value = _EXTENSION.sub("", value)
    return _NOT_A_DIGIT.sub("", value).lstrip("0")


def same_phone(one: str, other: str) -> bool:
    """Whether two phone numbers are one, by their `phone_digits`.

    Apollo writes a national number with the code of its country: ``030 123456`` comes back as
    ``+4930123456``.
    """
    short, long = sorted((one, other), key=len)
    return one == other or (
        len(short) >= _SHORTEST_PHONE
        and len(long) - len(short) <= _LONGEST_COUNTRY_CODE
        and long.endswith(short)
    )


def plain_url(value: str) -> str:
    """A URL without scheme, ``www.`` and trailing slash, to compare two notations of it.

    Apollo stores LinkedIn addresses in its own notation (``http://www.linkedin.com/in/…``), so of
    these the host of a country and what follows ``?`` or ``#`` are left out too.
    """
    plain = bare(value).lower().split("://", 1)[-1].removeprefix("www.").rstrip("/")
    linkedin = _LINKEDIN.match(plain)
    if linkedin is None:
        return plain
    path = _BEHIND_PATH.sub("", plain[linkedin.end() :])
    return bare(f"linkedin.com/{unquote(path)}").rstrip("/")
