"""What a sandbox holds of lists, sequences, deals and tasks, in the words of the rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.data import lists


def addresses(apollo: Sandbox) -> dict[str, str]:
    """Id of each contact -> its e-mail address."""
    return {contact["id"]: contact["email"] for contact in apollo.store.contacts()}


def on_list(apollo: Sandbox, name: str) -> set[str]:
    """The e-mail addresses of the contacts on a list."""
    known = addresses(apollo)
    return {known[contact_id] for contact_id in lists.members(apollo.store, name)}


def enrolled(apollo: Sandbox, sequence: str) -> dict[str, str]:
    """E-mail address of each contact in a sequence of this name -> its status there."""
    known = addresses(apollo)
    names = {one["id"]: one["name"] for one in apollo.store.sequences.all()}
    return {
        known[one["contact_id"]]: one["status"]
        for one in apollo.store.sequences.enrolments()
        if names[one["emailer_campaign_id"]] == sequence
    }


def deals_by(apollo: Sandbox, field_id: str) -> dict[str, list[dict[str, Any]]]:
    """Value of a custom field -> the deals that have it, so that a second one is seen."""
    found: dict[str, list[dict[str, Any]]] = {}
    for deal in apollo.store.deals.all():
        found.setdefault(str(deal["typed_custom_fields"].get(field_id)), []).append(deal)
    return found


def tasks_of(apollo: Sandbox) -> Counter[tuple[str, str, str]]:
    """Address of the contact, type and due time -> number of such tasks."""
    known = addresses(apollo)
    return Counter(
        (known.get(task["contact_id"], ""), task["type"], task["due_at"])
        for task in apollo.store.tasks.all()
    )
