"""Reads times and dates as sources and Apollo write them. Pure.

The mapper's rules use the same `moment`, so the target can read every time that they accept.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.placeholders import is_zero_date
from target_apollo.model.values import kind_of, typed_text

if sys.version_info >= (3, 11):
    _read_iso = datetime.fromisoformat
else:  # Python 3.10 reads neither a closing Z nor fractions of any length.
    from backports.datetime_fromisoformat import datetime_fromisoformat as _read_iso

#: Checked first, since each version of Python parses other forms. Warehouses write a blank before
#: the offset, or UTC instead of Z.
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
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=timezone.utc)


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
    return iso_text(found)


def iso_text(when: datetime) -> str:
    """A time in ISO 8601, with Z for UTC.

    >>> iso_text(datetime(2026, 1, 31, 12, tzinfo=timezone.utc))
    '2026-01-31T12:00:00Z'
    """
    return when.isoformat().replace("+00:00", "Z")


def _date_text(name: str, value: object) -> str | None:
    written = typed_text(name, value)
    return None if written is None or is_zero_date(written) else written


def _no_date(written: str, value: object) -> str:
    """The end of a sentence on what should be a date."""
    if _TWO_ORDERS.fullmatch(written):
        return "one whose day and month may be either number"
    return kind_of(value)


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
