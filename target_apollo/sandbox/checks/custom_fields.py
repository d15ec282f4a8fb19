"""Values of custom fields: which are stored, ignored or reported as an error. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.data.formats import day_of, moment_of
from target_apollo.sandbox.options import CustomFieldErrors, OptionsShown, SandboxOptions
from target_apollo.sandbox.serving.errors import unprocessable

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z", re.ASCII)


def write_custom_fields(
    own: dict[str, Any],
    sent: Any,
    known: Mapping[str, Mapping[str, Any]],
    modality: str,
    options: SandboxOptions,
) -> None:
    """Write the ``typed_custom_fields`` of a request into a record's own keys.

    As in Apollo, an id is ignored silently if it is unknown, has a prefix, or belongs to another
    modality. An empty value removes the field.

    Args:
        own: Keys of the stored record; changed in place.
        sent: Field id (24 hex digits, no prefix) -> value.
        known: The team's custom fields by id.
        modality: ``contact`` or ``account``.

    Raises:
        Refusal: 422, ``sent`` is no object, or the options ask for text and a value is none.
    """
    if sent is None:
        return
    if not isinstance(sent, dict):
        raise unprocessable("There is something wrong with your request.")
    values = dict(own.get("typed_custom_fields", ()))
    errors: dict[str, str] = {}
    for field_id, value in sent.items():
        field = known.get(field_id)
        if field is None or field["modality"] != modality:
            continue
        if value is None or value == "":
            values.pop(field_id, None)
            continue
        if not isinstance(value, str):
            if options.custom_values_must_be_strings:
                raise unprocessable("There is something wrong with your request.")
            value = _text(value)
        problem = _problem(field, value)
        if problem is None:
            values[field_id] = _shown(field, value, options)
        else:
            errors[field_id] = problem
    if values or "typed_custom_fields" in own:
        own["typed_custom_fields"] = values
    own.pop("custom_field_errors", None)
    if errors and options.custom_field_errors is CustomFieldErrors.MAPPING:
        own["custom_field_errors"] = errors
    elif errors and options.custom_field_errors is CustomFieldErrors.LIST:
        own["custom_field_errors"] = [
            {"field_id": field_id, "message": message} for field_id, message in errors.items()
        ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_text(part) for part in value)
    return str(value)


def _shown(field: Mapping[str, Any], value: str, options: SandboxOptions) -> str | list[str]:
    if field["type"] == "multipicklist" and options.options_shown is OptionsShown.ARRAY:
        return [part.strip() for part in value.split(",")]
    return value


def _problem(field: Mapping[str, Any], value: str) -> str | None:
    kind = field["type"]
    if kind == "number":
        return None if _NUMBER.match(value) else "is not a number"
    if kind == "boolean":
        return None if value.lower() in ("true", "false") else "is not true or false"
    if kind == "date":
        return None if day_of(value) else "is not a date"
    if kind == "datetime":
        # The document's own example gives such a field a day.
        return None if day_of(value) or moment_of(value) else "is not a time"
    if kind in ("picklist", "multipicklist"):
        options = {option["id"] for option in field["picklist_values"]}
        chosen = [value] if kind == "picklist" else value.split(",")
        return None if all(part.strip() in options for part in chosen) else "is not an option"
    longest = field.get("text_field_max_length")
    return "is too long" if longest and len(value) > longest else None
