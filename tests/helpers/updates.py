"""Contacts that exist before a run, and the requests of a run that updates them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from target_apollo.sandbox import Fault, FaultKind, Sandbox

CREATE = "POST /contacts/bulk_create"
BULK = "POST /contacts/bulk_update"
BULK_ACCOUNTS = "POST /accounts/bulk_update"
STAGES = "POST /contacts/update_stages"
OWNERS = "POST /contacts/update_owners"
LISTS = "POST /labels/add_entity_ids_to_label_names"
PATCH = "PATCH /contacts/{id}"
USAGE = "POST /usage_stats/api_usage_stats"


def there(apollo: Sandbox, count: int, **values: Any) -> list[dict[str, Any]]:
    """Adds contacts to Apollo, as if they had been created before the run."""
    return [
        apollo.store.add_contact(email=f"p{n}@a.com", **{"title": "old", **values})
        for n in range(count)
    ]


def by_email(apollo: Sandbox) -> dict[str, dict[str, Any]]:
    return {str(contact["email"]): contact for contact in apollo.store.contacts()}


def titles(apollo: Sandbox) -> dict[str, object]:
    return {str(contact["email"]): contact["title"] for contact in apollo.store.contacts()}


def writes(apollo: Sandbox) -> dict[str, int]:
    return dict(Counter(r.endpoint for r in apollo.requests if r.method != "GET"))


def stream(**more: str) -> dict[str, Any]:
    """The schema of contacts with further properties of these types."""
    names = ("id", "email", "title", "first_name", "owner_id", "linkedin_url", "mobile_phone")
    plain = {name: {} for name in (*names, "contact_stage", "contact_stage_id", "label_names")}
    return {
        "properties": {**plain, **{name: {"type": [kind, "null"]} for name, kind in more.items()}}
    }


def refusal(endpoint: str, **own: Any) -> Fault:
    return Fault(
        endpoint=endpoint,
        kind=FaultKind.ERROR_BEFORE_WRITE,
        **{
            "status": 403,
            "body": {"error": "no", "error_code": "API_INACCESSIBLE"},
            "times": None,
            **own,
        },
    )
