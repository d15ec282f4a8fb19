"""The endpoints of custom fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.data.workspace import FIELD_MODALITIES, FIELD_TYPES
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import unprocessable

# (modality, name, label): a few of the fields that every team has.
_SYSTEM_FIELDS = (
    ("contact", "first_name", "First name"),
    ("contact", "last_name", "Last name"),
    ("contact", "title", "Title"),
    ("contact", "email", "Email"),
    ("account", "name", "Company name"),
    ("account", "domain", "Domain"),
)

_PICKLISTS = ("picklist", "multipicklist")
#: Only these have a greatest length.
_TEXTS = ("string", "textarea")
_POSTABLE_TYPES = frozenset(FIELD_TYPES).difference(_PICKLISTS)


def index(call: Call) -> Any:
    """GET /fields: ids have the modality as a prefix, which writing requests do not take."""
    source = call.parameter("source")
    shown: list[dict[str, Any]] = []
    if source in (None, "system"):
        shown.extend(
            _field(f"{modality}.{name}", modality, label, "string", "system")
            for modality, name, label in _SYSTEM_FIELDS
        )
    if source in (None, "custom"):
        shown.extend(_custom(field) for field in call.store.workspace.fields.values())
    return {"fields": shown}


def _custom(field: Mapping[str, Any]) -> dict[str, Any]:
    modality = field["modality"]
    shown = _field(f"{modality}.{field['id']}", modality, field["name"], field["type"], "custom")
    return {**shown, "created_at": field["created_at"]}


def _field(field_id: str, modality: str, label: str, kind: str, source: str) -> dict[str, Any]:
    return {
        "id": field_id,
        "category": "person" if modality == "contact" else "company",
        "description": None,
        "editable": False,
        "example": None,
        "field_name": label,
        "group": None,
        "icon_class": None,
        "label": label,
        "modality": modality,
        "parent": None,
        "source": source,
        "type": kind,
        "finder_view_ids": [],
        "project_workspace_id": None,
        "finder_views": [],
        "is_local": False,
    }


def create(call: Call) -> Any:
    """POST /fields: creates a custom field of any type but picklists."""
    body = call.body
    label, modality, kind = (str(body.get(name) or "") for name in ("label", "modality", "type"))
    if not label or modality not in FIELD_MODALITIES or kind not in _POSTABLE_TYPES:
        raise unprocessable("There is something wrong with your request.")
    meta = body.get("meta")
    longest = _length(meta) if isinstance(meta, dict) and kind in _TEXTS else None
    field = call.store.workspace.add_field(call.stamp, modality, label, kind, (), longest)
    return {"typed_custom_fields": [_typed(field)]}


def update(call: Call) -> Any:
    """PATCH /fields: renames custom fields and replaces their lengths and options.

    An option that is sent without its id is another one: values that are stored point nowhere then.
    """
    known = {
        f"{field['modality']}.{field_id}": field
        for field_id, field in call.store.workspace.fields.items()
    }
    sent = call.body.get("fields")
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise unprocessable("There is something wrong with your request.")
    if not sent or any(str(one.get("id")) not in known for one in sent):
        raise unprocessable("Some fields could not be found")
    if call.options.strict and len(sent) > 1:
        raise strict.refusal(call.endpoint.label, "`fields` has more than one field")
    changed = [known[str(one["id"])] for one in sent]
    changes = [_change_of(field, one) for field, one in zip(changed, sent, strict=True)]
    for field, change in zip(changed, changes, strict=True):
        call.store.workspace.change_field(field, *change)
    return {
        "fields": [
            {**_custom(field), "meta": {"max_length": field["text_field_max_length"]}}
            for field in changed
        ],
        "typed_custom_fields": [_typed(field) for field in changed],
    }


def _change_of(
    field: Mapping[str, Any], sent: Mapping[str, Any]
) -> tuple[str, list[dict[str, Any]], int | None]:
    """The new name, options and length of a field, as far as they apply to its type."""
    if sent.get("type") not in (None, field["type"]):
        raise unprocessable("Cannot change field type after creation")
    if str(sent.get("label") or "").startswith("powerup_"):
        raise unprocessable(
            "Field name with prefix 'powerup_' is not allowed. Please use another name."
        )
    meta = sent.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    options = meta.get("picklist_values")
    options = [one for one in options if isinstance(one, dict)] if isinstance(options, list) else []
    if field["type"] in _PICKLISTS and not options:
        raise unprocessable("Picklist fields must have at least one option")
    return (
        str(sent.get("label") or ""),
        options if field["type"] in _PICKLISTS else [],
        _length(meta) if field["type"] in _TEXTS else None,
    )


def _length(meta: Mapping[str, Any]) -> int | None:
    longest = meta.get("max_length")
    return int(longest) if isinstance(longest, (int, float)) else None


def _typed(field: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field[key] for key in ("id", "name", "modality", "text_field_max_length")}


def typed_custom_fields(call: Call) -> Any:
    """GET /typed_custom_fields: ids have no prefix; picklists have their options."""
    shown = []
    for field in call.store.workspace.fields.values():
        answer = {
            "id": field["id"],
            "modality": field["modality"],
            "name": field["name"],
            "type": field["type"],
            "picklist_options": [],
            "mapped_crm_field": None,
            "additional_mapped_crm_field": None,
            "is_readonly_mapped_crm_field": None,
            "picklist_options_last_synced_at": field["created_at"],
            "picklist_value_set_id": None,
            "mirrored": False,
            "system_name": None,
            "text_field_max_length": field["text_field_max_length"],
            "finder_view_ids": [],
            "is_local": False,
        }
        if field["picklist_values"]:
            answer["picklist_values"] = [
                {
                    "_id": option["id"],
                    "mapped_crm_values": {},
                    "name": option["name"],
                    "id": option["id"],
                    "key": option["id"],
                }
                for option in field["picklist_values"]
            ]
        shown.append(answer)
    return {"typed_custom_fields": shown}
