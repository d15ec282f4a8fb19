"""Normalises a record's values to the form in which they are compared and sent. Pure.

Text, ids, phone numbers and times; and values of custom fields, which Apollo takes as text in a
form that depends on the field's type. The mapper's rules use the same `moment`, so the target can
read every time that they accept.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote

from target_apollo.apollo import CustomField
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.characters import bare, visible
from target_apollo.model.texts.number_texts import read_number
from target_apollo.model.texts.placeholders import NULL, is_no_name, is_placeholder, is_zero_date
from target_apollo.model.texts.suggestions import no_such
from target_apollo.model.texts.text_lists import read_list

if sys.version_info >= (3, 11):
    _read_iso = datetime.fromisoformat
else:  # Python 3.10 reads neither a closing Z nor fractions of any length.
    from backports.datetime_fromisoformat import datetime_fromisoformat as _read_iso

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


_KINDS = {bool: "true or false", dict: "an object", list: "an array"}


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


Normalise = Callable[[str, object], "str | None"]

_OF_SEVERAL_OPTIONS = frozenset({"multipicklist", "multi_select"})
#: Between options in one text, as CRMs export them.
_SEVERAL, _TWO = re.compile(r"[;,\n]"), 2

_TRUE = {"true", "t", "yes", "y", "1", "on"}

_FALSE = {"false", "f", "no", "n", "0", "off"}
#: Checked first, since each version of Python parses other forms. Warehouses write a blank before
#: the offset, or UTC in place of Z.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d)?)(\.\d+)?( ?)(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
#: Seconds since 1970 have ten digits from 2001 to 2286, milli- and microseconds 13 and 16.
_EPOCH = re.compile(r"(\d{10}|\d{13}|\d{16})(\.\d+)?", re.ASCII)
_DIGITS_OF_SECONDS = 10
#: A date whose day and month may be either of its first two numbers.
_TWO_ORDERS = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}(?:[T ,].*)?", re.ASCII)
#: A blank before an offset, which Python does not read.
_BLANK_OFFSET = re.compile(r" (?=[+-]\d\d(?::?\d\d)?$)")


def normaliser_of(field: CustomField) -> Normalise:
    """The normaliser of a custom field's values."""
    if field.type == "picklist":
        return _option_of(field)
    if field.type in _OF_SEVERAL_OPTIONS:
        return _options_of(field)
    return _NORMALISERS.get(field.type, _text)


def _text(name: str, value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(name, value)


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


def _boolean(name: str, value: object) -> str | None:
    written = _text(name, value)
    if written is None or is_placeholder(written):
        return None
    found = truth_of(written)
    if found is None:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be true or false, not {_kind(value)}")
    return "true" if found else "false"


def truth_of(written: str) -> bool | None:
    """Whether a word means true or false; None for other words.

    >>> truth_of("Yes"), truth_of("off"), truth_of("perhaps")
    (True, False, None)
    """
    word = bare(written).casefold()
    return True if word in _TRUE else False if word in _FALSE else None


def date(name: str, value: object) -> str | None:
    """A date as ``YYYY-MM-DD``; None for placeholders and dates of zeros.

    Raises:
        RecordError: It is no date.
    """
    written = _date_text(name, value)
    if written is None:
        return None
    if _is_moment(written):
        return written[:10]
    found = _of_epoch(written)
    if found is None:
        raise RecordError(
            Reason.WRONG_TYPE,
            f"'{name}' must be a date (YYYY-MM-DD), not {_no_date(written, value)}",
        )
    return found.date().isoformat()


def date_time(name: str, value: object) -> str | None:
    """A date, or a date and time in ISO 8601; None for placeholders and dates of zeros.

    Raises:
        RecordError: It is none.
    """
    written = _date_text(name, value)
    if written is None:
        return None
    if _is_moment(written):
        return _with_iso_zone(written)
    found = _of_epoch(written)
    if found is None:
        raise RecordError(
            Reason.WRONG_TYPE,
            f"'{name}' must be a date and time (YYYY-MM-DDTHH:MM:SS), not "
            f"{_no_date(written, value)}",
        )
    return found.isoformat().replace("+00:00", "Z")


def _date_text(name: str, value: object) -> str | None:
    written = typed_text(name, value)
    return None if written is None or is_zero_date(written) else written


def _kind(value: object) -> str:
    return "text" if isinstance(value, str) else _KINDS.get(type(value), "a number")


def _no_date(written: str, value: object) -> str:
    """The end of a sentence on what should be a date."""
    if _TWO_ORDERS.fullmatch(written):
        return "one whose day and month may be either number"
    return _kind(value)


def _with_iso_zone(written: str) -> str:
    """A time without a blank before its zone, and with Z for UTC."""
    shape = _MOMENT.fullmatch(written)
    if shape is None or not (shape[4] or shape[5] == "UTC"):
        return written
    zone = (shape[5] or "").replace("UTC", "Z")
    if zone[:1] in ("+", "-"):
        zone = f"{zone[:3]}:{zone[3:].lstrip(':') or '00'}"
    return written[: shape.start(4)] + zone


def _of_epoch(written: str) -> datetime | None:
    """The time that a count of seconds, milliseconds or microseconds since 1970 means, in UTC."""
    found = _EPOCH.fullmatch(written)
    if found is None:
        return None
    scale = 10 ** (len(found[1]) - _DIGITS_OF_SECONDS)
    microseconds = int(Decimal(written) / scale * 1_000_000)
    return _FIRST_MOMENT + timedelta(microseconds=microseconds)


_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _is_moment(written: str) -> bool:
    """Whether a text is a date, with or without a time, in a form that Apollo takes.

    It accepts fewer forms than `moment`, since the text is sent nearly unchanged.
    """
    shape = _MOMENT.fullmatch(written)
    if shape is None:
        return False
    try:
        datetime.fromisoformat(f"{shape[1]} {shape[2] or '00:00'}")
    except ValueError:
        return False
    return True


def _option_of(field: CustomField) -> Normalise:
    options = {visible(name): option for name, option in field.options.items()}
    whatever_case = {bare(name).casefold(): option for name, option in options.items()}
    ids = set(field.options.values())

    def option(name: str, value: object) -> str | None:
        written = _text(name, value)
        if written is None or written in ids:
            return written
        option_id = options.get(written) or whatever_case.get(bare(written).casefold())
        if option_id is None and is_no_name(written):
            return None
        if option_id is None:
            what = f"option of the custom field '{field.label}'"
            raise RecordError(Reason.UNKNOWN_NAME, no_such(what, name, written, options))
        return option_id

    return option


_NORMALISERS: Mapping[str, Normalise] = {
    "number": number,
    "currency": number,
    "boolean": _boolean,
    "date": date,
    "datetime": date_time,
    "phone": phone,
    "url": url,
    "email": typed_text,
}


#: Types of custom fields whose values are read as what they are.
KNOWN_TYPES = frozenset({*_NORMALISERS, *_OF_SEVERAL_OPTIONS, "picklist", "string", "textarea"})


def _options_of(field: CustomField) -> Normalise:
    """The normaliser of a field that holds several options: their ids, joined by commas.

    Apollo documents that values of custom fields are text, and an option's id where there are
    options; it documents no form for several. Their order is that of the field's options, since
    the order in a row means nothing.
    """
    option_of = _option_of(field)
    order = {option: place for place, option in enumerate(field.options.values())}

    def options(name: str, value: object) -> str | None:
        found: set[str] = set()
        for entry in entries(name, value):
            try:
                found.update(filter(None, [option_of(name, entry)]))
            except RecordError:
                parts = _SEVERAL.split(entry) if isinstance(entry, str) else []
                if len(parts) < _TWO:
                    raise
                found.update(filter(None, [option_of(name, part) for part in parts]))
        return ",".join(sorted(found, key=order.__getitem__)) or None

    return options


def moment(written: object) -> datetime | None:
    """An aware time, in UTC where the text has no zone; None where the value is no time.

    It accepts ISO 8601, a date (as its midnight), the forms of warehouses, such as
    ``2026-01-01 12:00:00+00`` (PostgreSQL) and ``2026-01-01 12:00:00 UTC`` (BigQuery), and seconds,
    milli- or microseconds since 1970, as text or as a number.

    >>> moment("2026-01-01T12:00:00Z").isoformat(), moment(1767268800000).isoformat()
    ('2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')
    """
    if not isinstance(written, str):
        is_number = type(written) in (int, float, Decimal)
        return _of_epoch(str(written)) if is_number else None
    spelled = written.strip()
    if spelled[:_DIGITS_OF_SECONDS].isdigit():
        found = _of_epoch(spelled)
        if found is not None:
            return found
    if spelled.endswith((" UTC", "z")):
        spelled = spelled.removesuffix(" UTC").removesuffix("z") + "Z"
    elif " " in spelled[_DIGITS_OF_SECONDS + 1 :]:
        spelled = _BLANK_OFFSET.sub("", spelled)
    try:
        parsed = _read_iso(spelled)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
