"""Values of custom fields as Apollo takes them: always text, by the type of the field. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from target_apollo.api import CustomField
from target_apollo.normalising import number_text, text
from target_apollo.outcomes import Reason, RecordError

Normalise = Callable[[str, object], "str | None"]

_TRUE = {"true", "t", "yes", "y", "1"}
_FALSE = {"false", "f", "no", "n", "0"}


def normaliser_of(field: CustomField) -> Normalise | None:
    """How values of a custom field are spelled; None for a type that can't be written safely.

    Apollo documents no form for the values of a multipicklist, so none is guessed.
    """
    if field.type == "multipicklist":
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
    if not number.is_finite():
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be a number")
    return number_text(number)


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
    try:
        return date.fromisoformat(written[:10]).isoformat()
    except ValueError:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be a date (YYYY-MM-DD)") from None


def _datetime(name: str, value: object) -> str | None:
    written = text(name, value)
    if written is None:
        return None
    try:
        # Python 3.10 reads no closing Z.
        datetime.fromisoformat(written.replace("Z", "+00:00"))
    except ValueError:
        raise RecordError(Reason.WRONG_TYPE, f"'{name}' must be a date and time") from None
    return written


def _option_of(field: CustomField) -> Normalise:
    options = {name.strip().casefold(): option for name, option in field.options.items()}
    ids = set(field.options.values())

    def option(name: str, value: object) -> str | None:
        written = _text(name, value)
        if written is None or written in ids:
            return written
        found = options.get(written.casefold())
        if found is None:
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"'{name}' is none of the options of the custom field '{field.label}': "
                f"{', '.join(field.options) or 'it has none'}",
            )
        return found

    return option
