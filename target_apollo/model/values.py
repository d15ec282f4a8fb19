"""Normalises a record's values to the form in which they are compared and sent. Pure.

Text, ids, phone numbers and times; and values of custom fields, which Apollo takes as text in a
form that depends on the field's type. The mapper's rules use the same `moment`, so the target can
read every time that they accept.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation

from target_apollo.apollo import CustomField
from target_apollo.model.characters import bare, visible
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.suggestions import no_such

if sys.version_info >= (3, 11):
    _read_iso = datetime.fromisoformat
else:  # Python 3.10 reads neither a closing Z nor fractions of any length.
    from backports.datetime_fromisoformat import datetime_fromisoformat as _read_iso

_APOLLO_ID = re.compile(r"[0-9a-f]{24}")

_NOT_A_DIGIT = re.compile(r"\D+")
#: Enough for every float. A number such as 1e100000 would need too much memory in plain digits.
_MOST_DIGITS = 400


def text(name: str, value: object) -> str | None:
    """A trimmed string without control and invisible characters; None for null and blank text.

    Numbers become their plain digits, since warehouses keep phone numbers and CRM ids as numbers.

    Raises:
        RecordError: The value is a boolean, object, array or a number of more than 400 digits.
    """
    if isinstance(value, str):
        return visible(value) or None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        kind = _KINDS.get(type(value), type(value).__name__)
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be text, not {kind}")
    try:
        return number_text(value)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' {problem}") from None


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
    written = text(name, value)
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

    Raises:
        RecordError: The value or an entry of the array is not text.
    """
    written = value if isinstance(value, list) else [value]
    texts = (text(name, entry) for entry in written)
    return tuple(dict.fromkeys(entry for entry in texts if entry))


def phone_digits(value: str) -> str:
    """The digits of a phone number without leading zeros, to compare two notations of it."""
    return _NOT_A_DIGIT.sub("", value).lstrip("0")


def plain_url(value: str) -> str:
    """A URL without scheme, ``www.`` and trailing slash, to compare two notations of it.

    Apollo stores LinkedIn addresses in its own notation (``http://www.linkedin.com/in/…``).
    """
    return value.strip().lower().split("://", 1)[-1].removeprefix("www.").rstrip("/")


Normalise = Callable[[str, object], "str | None"]

_TRUE = {"true", "t", "yes", "y", "1"}

_FALSE = {"false", "f", "no", "n", "0"}
#: Checked first, since each version of Python parses other forms. Warehouses write a blank before
#: the offset, or UTC in place of Z.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)


def normaliser_of(field: CustomField) -> Normalise | None:
    """The normaliser of a custom field's values; None for a type that can't be written safely.

    Apollo documents no form for values with several options, so such fields are not written.
    """
    if field.type in ("multipicklist", "multi_select"):
        return None
    if field.type == "picklist":
        return _option_of(field)
    return {"number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime}.get(
        field.type, _text
    )


def _text(name: str, value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(name, value)


def _number(name: str, value: object) -> str | None:
    written = text(name, value)
    if written is None:
        return None
    try:
        number = Decimal(written)
    except InvalidOperation:
        number = Decimal("NaN")
    try:
        return number_text(number)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' {problem}") from None


def _boolean(name: str, value: object) -> str | None:
    written = _text(name, value)
    if written is None:
        return None
    if written.lower() in _TRUE | _FALSE:
        return "true" if written.lower() in _TRUE else "false"
    raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be true or false")


def _date(name: str, value: object) -> str | None:
    written = text(name, value)
    if written is None:
        return None
    if not _is_moment(written):
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be a date (YYYY-MM-DD)")
    return written[:10]


def _datetime(name: str, value: object) -> str | None:
    written = text(name, value)
    if written is None:
        return None
    if not _is_moment(written):
        raise RecordError(
            Reason.WRONG_TYPE, f"'{name}' must be a date and time (YYYY-MM-DDTHH:MM:SS)"
        )
    return written


def _is_moment(written: str) -> bool:
    """Whether a text is a date, with or without a time, in a form that Apollo takes.

    It accepts fewer forms than `moment`, since the text is sent unchanged.
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
        if option_id is None:
            what = f"option of the custom field '{field.label}'"
            raise RecordError(Reason.UNKNOWN_NAME, no_such(what, name, written, options))
        return option_id

    return option


def moment(written: object) -> datetime | None:
    """An aware time, in UTC where the text has no zone; None where the value is no time.

    It accepts ISO 8601, a date (as its midnight), and the forms of warehouses:
    ``2026-01-01 12:00:00+00`` (PostgreSQL) and ``2026-01-01 12:00:00 UTC`` (BigQuery).

    >>> moment("2026-01-01T12:00:00Z").isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    if not isinstance(written, str):
        return None
    spelled = written.strip()
    if spelled.endswith((" UTC", "z")):
        spelled = spelled.removesuffix(" UTC").removesuffix("z") + "Z"
    try:
        parsed = _read_iso(spelled)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
