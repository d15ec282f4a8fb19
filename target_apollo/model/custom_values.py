"""Values of custom fields as Apollo takes them: always text, by the type of the field. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation

from target_apollo.apollo import CustomField
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.suggestions import no_such
from target_apollo.model.values import number_text, text

Normalise = Callable[[str, object], "str | None"]

_TRUE = {"true", "t", "yes", "y", "1"}
_FALSE = {"false", "f", "no", "n", "0"}
#: Python's own reading of dates takes more forms or fewer, by its version. Warehouses write a blank
#: before the offset, or UTC for Z.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)


def normaliser_of(field: CustomField) -> Normalise | None:
    """How values of a custom field are spelled; None for a type that can't be written safely.

    Apollo documents no form for values of several options, so none is guessed.
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
    """Whether a text is a date, with or without a time and its offset from UTC."""
    shape = _MOMENT.fullmatch(written)
    if shape is None:
        return False
    try:
        datetime.fromisoformat(f"{shape[1]} {shape[2] or '00:00'}")
    except ValueError:
        return False
    return True


def _option_of(field: CustomField) -> Normalise:
    options = {name.strip(): option for name, option in field.options.items()}
    whatever_case = {name.casefold(): option for name, option in options.items()}
    ids = set(field.options.values())

    def option(name: str, value: object) -> str | None:
        written = _text(name, value)
        if written is None or written in ids:
            return written
        found = options.get(written) or whatever_case.get(written.casefold())
        if found is None:
            what = f"option of the custom field '{field.label}'"
            raise RecordError(Reason.UNKNOWN_NAME, no_such(what, name, written, options))
        return found

    return option
