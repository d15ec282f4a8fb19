"""Strict mode: refuses with 422 what Apollo ignores silently. Pure functions.

Each message names the field and the endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.checks.request_fields import (
    BOOLEANS,
    LISTS_OF_OBJECTS,
    LISTS_OF_TEXT,
    NUMBERS,
    OBJECTS,
    TAKEN,
    Taken,
)
from target_apollo.sandbox.data.formats import is_id
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.serving.errors import Refusal, unprocessable

_NOTHING = Taken()

_SPECIAL = LISTS_OF_TEXT | LISTS_OF_OBJECTS | BOOLEANS | NUMBERS | OBJECTS

_TEXTUAL = (str, type(None))


def check(
    label: str,
    body: Mapping[str, Any],
    query: Mapping[str, list[str]],
    custom_fields: Mapping[str, Mapping[str, Any]],
    options: SandboxOptions,
) -> None:
    """Refuse the first parameter, field or value that the endpoint does not take.

    Args:
        label: The endpoint, such as ``PATCH /contacts/{id}``.
        body: The decoded JSON body.
        query: Query parameter -> its values.
        custom_fields: The team's custom fields by id.
        options: Some options make an endpoint take a further field.

    Raises:
        Refusal: 422.
    """
    taken = TAKEN.get(label, _NOTHING)
    for name in query:
        if name not in taken.query:
            raise refusal(label, f"the query parameter `{name}` is not documented")
    extra = _by_options(label, options)
    _check_record(label, body, taken.body | extra, taken.modality, custom_fields, "")
    for list_name, names in taken.records.items():
        records = body.get(list_name)
        if not isinstance(records, list):
            continue
        allowed = names | extra
        for index, record in enumerate(records):
            if isinstance(record, dict):
                _check_record(
                    label, record, allowed, taken.modality, custom_fields, f"{list_name}[{index}]."
                )


_SINGLE_CONTACT = ("POST /contacts", "PATCH /contacts/{id}", "PUT /contacts/{id}")


def _by_options(label: str, options: SandboxOptions) -> frozenset[str]:
    if options.single_takes_owner and label in _SINGLE_CONTACT:
        return frozenset({"owner_id"})
    if options.bulk_update_takes_stage and label == "POST /contacts/bulk_update":
        return frozenset({"contact_stage_id"})
    return frozenset()


def _check_record(
    label: str,
    record: Mapping[str, Any],
    allowed: frozenset[str],
    modality: str,
    custom_fields: Mapping[str, Mapping[str, Any]],
    where: str,
) -> None:
    if not record.keys() <= allowed:
        name = min(record.keys() - allowed)
        hint = _HINTS.get((label, name), "")
        raise refusal(label, f"`{where}{name}` is not taken there{hint}")
    for name, value in record.items():
        if type(value) is str and name not in _SPECIAL:
            continue
        problem = _type_problem(name, value)
        if problem:
            raise refusal(label, f"`{where}{name}` {problem}")
    custom = record.get("typed_custom_fields")
    if custom:
        _check_custom(label, custom, modality, custom_fields, f"{where}typed_custom_fields")


_HINTS = {
    ("POST /contacts/bulk_create", "owner_id"): ": the owner is an argument of the whole request",
}


def _type_problem(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in LISTS_OF_TEXT:
        good = isinstance(value, list) and all(isinstance(part, str) for part in value)
        return "" if good else "must be a list of text"
    if name in LISTS_OF_OBJECTS:
        good = isinstance(value, list) and all(isinstance(part, dict) for part in value)
        # Apollo itself refuses another value than a list.
        return "" if good or not isinstance(value, list) else "must be a list of objects"
    if name in BOOLEANS:
        return "" if isinstance(value, bool) else "must be true or false"
    if name in NUMBERS:
        good = isinstance(value, int) and not isinstance(value, bool)
        return "" if good else "must be a whole number"
    if name in OBJECTS:
        return ""
    return "" if isinstance(value, _TEXTUAL) else "must be text"


def _check_custom(
    label: str,
    custom: Any,
    modality: str,
    known: Mapping[str, Mapping[str, Any]],
    where: str,
) -> None:
    if not isinstance(custom, dict):
        raise unprocessable("There is something wrong with your request.")
    for field_id, value in custom.items():
        if not is_id(field_id):
            raise refusal(label, f"`{where}` has the key `{field_id}`, which is no bare field id")
        if field_id not in known or known[field_id]["modality"] != modality:
            raise refusal(label, f"`{where}` has `{field_id}`, which is no {modality} field")
        if not isinstance(value, _TEXTUAL):
            raise refusal(label, f"`{where}.{field_id}` must be text")


def unread_body(label: str, *, is_json: bool) -> Refusal:
    """The 422 for a body that Apollo treats as empty: no JSON by its content type, or no object."""
    if not is_json:
        return refusal(label, "the body is sent without `content-type: application/json`")
    return refusal(label, "the body is no JSON object")


def refusal(label: str, problem: str) -> Refusal:
    """The 422 for what Apollo ignores silently; raised by an endpoint too, for odd values."""
    return unprocessable(f"sandbox strict: {problem} ({label}).")
