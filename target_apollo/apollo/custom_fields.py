"""Custom fields, read off the two endpoints that describe them.

GET /fields has all fields, with ids that carry the modality in front ("contact.<hex>"); a write
with such an id is accepted and dropped, so they leave here bare. Only the older GET
/typed_custom_fields has the options of picklists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from target_apollo.apollo.models import CustomField

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_apollo.apollo.answers import Body
    from target_apollo.apollo.bodies import JSON

_APOLLO_ID = re.compile(r"[0-9a-f]{24}")
_PICKLISTS = {"picklist", "multipicklist", "multi_select"}

Options = dict[str, str]


def read_custom_fields(answer: Body) -> list[CustomField]:
    """Read the answer of GET /fields?source=custom; picklists are still without options."""
    return [
        CustomField(
            id=_bare(field),
            label=answer.text(field, "label"),
            modality=answer.text(field, "modality"),
            type=answer.text(field, "type"),
        )
        for field in answer.records("fields")
        # Filtered once more, since Apollo ignores query parameters that it does not know.
        if field.get("source", "custom") == "custom" and _APOLLO_ID.fullmatch(_bare(field))
    ]


def has_picklist(fields: Sequence[CustomField]) -> bool:
    """Return whether any field has options to choose from."""
    return any(field.type in _PICKLISTS for field in fields)


def read_picklist_options(answer: Body) -> dict[str, Options]:
    """Read the answer of GET /typed_custom_fields: field id -> option name -> option id."""
    return {
        _bare(field): {
            answer.text(option, "name"): answer.text(option, "id")
            for option in field.get("picklist_values") or []
            if isinstance(option, dict)
        }
        for field in answer.records("typed_custom_fields")
    }


def with_options(
    fields: Sequence[CustomField], options: Mapping[str, Options]
) -> list[CustomField]:
    """Return the fields with the options that are known of each."""
    return [
        CustomField(field.id, field.label, field.modality, field.type, options.get(field.id, {}))
        for field in fields
    ]


def _bare(field: JSON) -> str:
    return str(field["id"]).rpartition(".")[2]
