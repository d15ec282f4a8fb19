"""The endpoints that a client reads names and limits from: stages, fields, users, usage."""

from __future__ import annotations

import json
from typing import Any

from target_apollo.sandbox.call import Call
from target_apollo.sandbox.checks import first, page_of
from target_apollo.sandbox.errors import unprocessable
from target_apollo.sandbox.user_shape import user_object
from target_apollo.sandbox.windows import EndpointWindows
from target_apollo.sandbox.workspace import FIELD_MODALITIES, FIELD_TYPES

# (modality, name, label): a few of the fields that every team has.
_SYSTEM_FIELDS = (
    ("contact", "first_name", "First name"),
    ("contact", "last_name", "Last name"),
    ("contact", "title", "Title"),
    ("contact", "email", "Email"),
    ("account", "name", "Company name"),
    ("account", "domain", "Domain"),
)
_POSTABLE_TYPES = frozenset(FIELD_TYPES) - {"picklist", "multipicklist"}


def contact_stages(call: Call) -> Any:
    """GET /contact_stages."""
    return {"contact_stages": call.store.contact_stages}


def account_stages(call: Call) -> Any:
    """GET /account_stages."""
    return {"account_stages": call.store.account_stages}


def fields(call: Call) -> Any:
    """GET /fields: ids carry the modality as a prefix, unlike in everything that is written."""
    source = first(call.query, "source")
    shown: list[dict[str, Any]] = []
    if source in (None, "system"):
        shown.extend(
            _field(f"{modality}.{name}", modality, label, "string", "system")
            for modality, name, label in _SYSTEM_FIELDS
        )
    if source in (None, "custom"):
        shown.extend(
            {
                **_field(
                    f"{field['modality']}.{field['id']}",
                    field["modality"],
                    field["name"],
                    field["type"],
                    "custom",
                ),
                "created_at": field["created_at"],
            }
            for field in call.store.workspace.fields.values()
        )
    return {"fields": shown}


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


def create_field(call: Call) -> Any:
    """POST /fields: a custom field, but no picklist."""
    body = call.body
    label, modality, kind = (str(body.get(name) or "") for name in ("label", "modality", "type"))
    if not label or modality not in FIELD_MODALITIES or kind not in _POSTABLE_TYPES:
        raise unprocessable("There is something wrong with your request.")
    meta = body.get("meta")
    longest = meta.get("max_length") if isinstance(meta, dict) else None
    field = call.store.workspace.add_field(call.stamp, modality, label, kind, (), longest)
    return {
        "typed_custom_fields": [
            {
                "id": field["id"],
                "name": label,
                "modality": modality,
                "text_field_max_length": longest,
            }
        ]
    }


def typed_custom_fields(call: Call) -> Any:
    """GET /typed_custom_fields: bare ids, and the options of picklists."""
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


def users(call: Call) -> Any:
    """GET /users/search: the page comes back as text."""
    page, size = page_of(call)
    every = list(call.store.workspace.users.values())
    return {
        "pagination": {
            "page": str(page),
            "per_page": size,
            "total_entries": len(every),
            "total_pages": -(-len(every) // size),
        },
        "users": [user_object(user) for user in every[(page - 1) * size : page * size]],
        "num_fetch_result": None,
    }


_CREDITS = [
    "num_credits_remaining",
    "effective_num_lead_credits",
    "num_lead_credits_used",
    "effective_num_direct_dial_credits",
    "num_direct_dial_credits_used",
    "effective_num_export_credits",
    "num_export_credits_used",
    "effective_num_ai_credits",
    "num_ai_credits_used",
    "effective_num_power_up_credits",
    "num_power_up_credits_used",
    "total_unified_credits_used",
]


def profile(call: Call) -> Any:
    """GET /users/api_profile: the acting user, flat."""
    user = call.store.workspace.users[call.user_id]
    shown: dict[str, Any] = {
        key: user[key] for key in ("id", "team_id", "first_name", "last_name", "title", "email")
    }
    if first(call.query, "include_credit_usage") == "true":
        shown.update(dict.fromkeys(_CREDITS, 0))
    return shown


def usage_stats(call: Call) -> Any:
    """POST /usage_stats/api_usage_stats: per endpoint, under a key that is itself a JSON array."""
    schedule = call.options.schedule()
    stats: dict[str, Any] = {}
    for endpoint in call.endpoints:
        windows = call.windows.get(endpoint.entry) or EndpointWindows()
        usage = windows.usage(schedule, call.now)
        stats[json.dumps([endpoint.controller, endpoint.action])] = {
            window.window: {
                "limit": window.limit,
                "consumed": window.used,
                "left_over": None if window.limit is None else max(0, window.limit - window.used),
            }
            for window in reversed(usage)
        }
    return stats
