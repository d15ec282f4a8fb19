"""The custom fields of a team, as two endpoints answer them.

GET /fields has all of them, with the modality in front of their ids ("contact.<hex>"). Apollo
accepts a write with such an id and drops the value, so this module returns the id alone. Only the
older GET /typed_custom_fields has the options of picklists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_apollo.apollo.answers import JSON, CheckedBody

_APOLLO_ID = re.compile(r"[0-9a-f]{24}")

_PICKLISTS = {"picklist", "multipicklist", "multi_select"}

Options = dict[str, str]


@dataclass(frozen=True)
class CustomField:
    """A custom field. `id` is 24 hex digits without a modality, as writes need it.

    `modality`: "contact", "account" or "opportunity"; `options` of a picklist: name -> option id.
    """

    id: str
    label: str
    modality: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)


def read_custom_fields(answer: CheckedBody) -> list[CustomField]:
    """Read the answer of GET /fields?source=custom, which lacks the options of picklists."""
    return [
        CustomField(
            id=_bare(field),
            label=answer.name(field, "label"),
            modality=answer.text(field, "modality"),
            type=answer.text(field, "type"),
        )
        for field in answer.fields("fields")
        # Filtered here too, since Apollo ignores query parameters that it does not know.
        if field.get("source", "custom") == "custom" and _APOLLO_ID.fullmatch(_bare(field))
    ]


def has_picklist(fields: Sequence[CustomField]) -> bool:
    """Return whether any field has options to choose from."""
    return any(field.type in _PICKLISTS for field in fields)


def read_picklist_options(answer: CheckedBody) -> dict[str, Options]:
    """Read the answer of GET /typed_custom_fields: field id -> option name -> option id."""
    return {
        _bare(field): {
            answer.name(option, "name"): answer.id(option, "id") for option in _options(field)
        }
        for field in answer.fields("typed_custom_fields")
    }


def _options(field: JSON) -> list[JSON]:
    options = field.get("picklist_values")
    return [one for one in options if isinstance(one, dict)] if isinstance(options, list) else []


def with_options(
    fields: Sequence[CustomField], options: Mapping[str, Options]
) -> list[CustomField]:
    """Return the fields with their options; `options` is field id -> option name -> option id."""
    return [
        CustomField(field.id, field.label, field.modality, field.type, options.get(field.id, {}))
        for field in fields
    ]


def _bare(field: JSON) -> str:
    return str(field["id"]).rpartition(".")[2]
