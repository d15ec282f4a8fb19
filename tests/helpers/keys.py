"""API keys with different lists of endpoints, and settings with such a key."""

from __future__ import annotations

from typing import Any

from target_apollo.cli.check.findings import Access, Check
from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import ObjectKind

BOTH = tuple(ObjectKind)
CONTACTS = (ObjectKind.CONTACTS,)
CREATE = "POST /contacts/bulk_create"
PROFILE = "api/v1/users/api_profile"
USAGE = "api/v1/usage_stats/api_usage_stats"
CONTACTS_CREATE, CONTACTS_UPDATE = "api/v1/contacts/bulk_create", "api/v1/contacts/update"
KEYS = {
    "sandbox": None,
    "contacts-only": (PROFILE, CONTACTS_CREATE, CONTACTS_UPDATE),
    "insert-only": (PROFILE, CONTACTS_CREATE),
    "update-only": (PROFILE, CONTACTS_UPDATE),
    "nameless": (CONTACTS_CREATE, CONTACTS_UPDATE),
    "nothing": (),
    "with-usage": (PROFILE, CONTACTS_CREATE, CONTACTS_UPDATE, USAGE),
}


def settings_of(url: str, key: str = "sandbox", **more: Any) -> Settings:
    defaults = {
        name: setting["default"]
        for name, setting in SCHEMA["properties"].items()
        if "default" in setting
    }
    return Settings.of({**defaults, "api_url": url, "api_key": key, **more})


def access_of(check: Check) -> dict[str, Access]:
    return {finding.endpoint: finding.access for finding in check.findings}
