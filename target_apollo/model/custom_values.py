"""Normalises values of custom fields, which Apollo takes as text in a form of their type. Pure.

A field with options takes the ids of options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from target_apollo.apollo import CustomField
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.characters import bare, visible
from target_apollo.model.texts.placeholders import is_no_name, is_placeholder
from target_apollo.model.texts.spelling import no_such
from target_apollo.model.times import date, date_time
from target_apollo.model.values import (
    Normalise,
    entries,
    kind_of,
    number,
    phone,
    text,
    truth_of,
    typed_text,
    url,
)

_OF_SEVERAL_OPTIONS = frozenset({"multipicklist", "multi_select"})
#: Between options in one text, as CRMs export them.
_SEVERAL, _TWO = re.compile(r"[;,\n]"), 2


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


def _boolean(name: str, value: object) -> str | None:
    written = _text(name, value)
    if written is None or is_placeholder(written):
        return None
    found = truth_of(written)
    if found is None:
        raise RecordError(
            Reason.WRONG_TYPE, f"'{name}' must be true or false, not {kind_of(value)}"
        )
    return "true" if found else "false"


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
